--- Scripts whose memory and system calls fail: spec/failing/shim.c, built when
-- it is first asked for, preloaded in a process of its own.

local child = require "spec.support.child"
local helpers = require "spec.support.helpers"

local failing = {}

local folder = helpers.tmpdir()
local built

local function build()
  if built then return end
  local path = folder .. "/failing_shim.so"
  built = assert(os.execute(("sh -c '${CC:-cc} -std=gnu11"
    .. " -O1 -g -fPIC -shared $(pkg-config --cflags lua5.4) -o \"$0\""
    .. " spec/failing/shim.c -ldl' '%s'"):format(path)))
end

--- Runs a script; in it `shim` is the module.
-- @param arguments its `...`; `environment` by name, or nil
-- @return what it printed, and its exit code
function failing.run(script, arguments, environment)
  build()
  local variables = { ASAN_OPTIONS = (os.getenv "ASAN_OPTIONS" or "")
    .. ":verify_asan_link_order=0:detect_leaks=0" }
  for name, value in pairs(environment or {}) do variables[name] = value end
  -- a sanitizer comes behind the shim, and is called by it
  variables.LD_PRELOAD = folder .. "/failing_shim.so"
  local out, err, code = child.run(("package.cpath = %q .. package.cpath "
    .. "local shim = require 'failing_shim' "):format(folder .. "/?.so;")
    .. script, arguments, variables)
  return out .. err, code
end

--- Walks; the arguments are walk.lua's. TMPDIR is the walk's alone.
-- @return what it printed, and its exit code
function failing.walk(...)
  local dir <close> = helpers.tmpdir()
  local words = {}
  for i, word in ipairs { ... } do words[i] = tostring(word) end
  return failing.run([[
    assert(shim)
    arg = { ... }
    dofile "spec/failing/walk.lua"]], words, { TMPDIR = dir.path })
end

return failing
