--- What the specs of lifetimes share: the helpers in C of spec/lifetimes,
-- built when first asked for; processes that are watched while they run; the
-- start of their scripts. The host is built with SPEC_CFLAGS and run by
-- SPEC_RUN, words both (under.sh).

local lfs = require "lfs"
local helpers = require "spec.support.helpers"
local probe = require "process_probe"
local process = require "spec.support.process"
local quote = require("spec.support.quote").shell
local zips = require "spec.support.zips"

local lifetimes = {}

local here = lfs.currentdir()
local folder = helpers.tmpdir()

local function must(command)
  local ok = os.execute("env -u MAKEFLAGS " .. command)
  if not ok then error("failed: " .. command, 3) end
end

local built = {}
local function build(name, command)
  if not built[name] then
    local path = folder .. "/" .. name
    must(command:format(quote(path)))
    built[name] = path
  end
  return built[name]
end

--- The C host, spec/lifetimes/host.c; its head says what it does.
function lifetimes.host()
  return build("host", "sh -c '${CC:-cc} $SPEC_CFLAGS -std=c11 -O1 -g -o \"$0\""
    .. " spec/lifetimes/host.c $(pkg-config --cflags --libs lua5.4 libcurl)"
    .. " -lpthread' %s")
end

local function build_preloaded(name)
  return build(name .. ".so", "sh -c '${CC:-cc} -std=c11 -O1 -g -fPIC -shared"
    .. " -o \"$0\" spec/lifetimes/" .. name .. ".c -ldl' %s")
end

--- To be preloaded: spec/lifetimes/slow.c.
function lifetimes.slow() return build_preloaded "slow" end

--- To be preloaded: spec/lifetimes/jump.c.
function lifetimes.jump() return build_preloaded "jump" end

--- A ZIP file whose reading takes seconds: `path`.
function lifetimes.write_long_zip(path)
  local small = zips.bomb(24) -- its matches repeat every 13 bytes
  local turns = 1800000
  local raw = small:sub(1, 15) .. small:sub(3, 15):rep(turns)
    .. small:sub(16)
  helpers.write_file(path, (zips.build { { name = "zeros", method = 8,
    raw = raw, bytes = 1 + 258 * (24 + 8 * turns), crc = 1 } }))
end

--- Starts a process.
-- @param words of the command; `environment` by name; `script`, a file that
-- is removed at its end
-- @return { pid, wait() → stdout, stderr, "exit" or "signal", which, when it
-- had ended (probe.now); out() }
function lifetimes.start(words, environment, script)
  local base = os.tmpname()
  -- these processes fork, and end in the middle of things: what a leak check
  -- says of that is noise
  local command = { "env",
    "ASAN_OPTIONS=" .. (os.getenv "ASAN_OPTIONS" or "") .. ":detect_leaks=0",
    "LUA_PATH=" .. package.path,
    "LUA_CPATH=" .. package.cpath }
  for name, value in pairs(environment or {}) do
    command[#command + 1] = name .. "=" .. value
  end
  for _, word in ipairs(words) do command[#command + 1] = word end
  for i, word in ipairs(command) do command[i] = quote(word) end
  local started = process.start(("exec %s >%s 2>%s.err </dev/null")
    :format(table.concat(command, " "), base, base),
    { base, base .. ".err", script }, function(_, how, code)
      local ended = probe.now()
      return helpers.read_file(base), helpers.read_file(base .. ".err"), how,
        code, ended
    end)
  --- What it has written so far.
  function started.out() return helpers.read_file(base) end
  return started
end

--- The same with a script, run by lua5.4 or, with `mode`, by the C host.
function lifetimes.start_script(script, arguments, environment, mode, before)
  local path = os.tmpname()
  helpers.write_file(path, script)
  local words = before or {}
  for word in (mode and os.getenv "SPEC_RUN" or ""):gmatch "%S+" do
    words[#words + 1] = word
  end
  for _, more in ipairs { mode and { lifetimes.host(), mode, path }
    or { "lua5.4", path }, arguments or {} } do
    table.move(more, 1, #more, #words + 1, words)
  end
  return lifetimes.start(words, environment, path)
end

--- The same, waited for; killed when it does not come to an end.
function lifetimes.run(script, arguments, environment, mode)
  return lifetimes.start_script(script, arguments, environment, mode,
    { "timeout", "--foreground", "-s", "KILL", "120" }).wait()
end

--- The start of a script: `new_client(options)`, `client`, `app`, `dir`, and
-- `probe` (spec/support/process_probe.c). For lifetimes.arguments.
lifetimes.PROLOGUE = [[
local key, base_url, snapshots_url, ca_file, app, dir = ...
local square = require "squarecloud"
local probe = require "process_probe"
local function new_client(options)
  local o = { api_key = key, base_url = base_url, proxy = "",
    snapshots_url = snapshots_url, ca_file = ca_file,
    account_id = key:match "^[^-]+" }
  for name, value in pairs(options or {}) do o[name] = value end
  return square.Client(o)
end
local client = new_client()
local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end
-- Steps until `ready()`; raises when that never comes.
local function until_true(ready)
  local deadline = probe.now() + 30
  while not ready() do
    assert(probe.now() < deadline, "waited in vain")
    client:step(0.005)
  end
end
-- How late short sleeps are: what a machine under load adds to a time.
local function lateness()
  local late = 0
  for _ = 1, 5 do
    local start = probe.now()
    client:sleep(0.01)
    late = math.max(late, probe.now() - start - 0.01)
  end
  return late
end
local function count(path)
  local pipe <close> = io.popen("ls /proc/" .. probe.pid() .. path)
  local n = 0
  for _ in pipe:lines() do n = n + 1 end
  return n
end
local function threads() return count "/task" end
local function descriptors() return count "/fd" end
local _ = app, dir, exists, until_true, lateness, threads, descriptors
]]

function lifetimes.arguments(s, dir)
  return { s.key, s.base_url, s.snapshots_url, s.ca_file, s.apps[1],
    dir and tostring(dir) or "" }
end

lifetimes.here = here

return lifetimes
