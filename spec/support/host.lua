--- Programs in C that the specs build and run: a shell's commands, free of
-- what a sanitizer, make, or this process's own module paths put into the
-- environment.

local helpers = require "spec.support.helpers"
local quote = require("spec.support.quote").shell

local host = {}

local CLEAN = "env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "
  .. "-u LUA_INIT -u LUA_INIT_5_4 -u LUA_PATH_5_4 -u LUA_CPATH_5_4 "

--- Runs a command.
-- @param environment variables to set, or nil
-- @return what it wrote to stdout, what to stderr, its exit code, and
-- "signal" instead of "exit" when a signal ended it
function host.run(command, environment)
  local dir <close> = helpers.tmpdir()
  local words = {}
  for name, value in pairs(environment or {}) do
    words[#words + 1] = quote(name .. "=" .. value)
  end
  local _, how, code = os.execute(("%s%s sh -c %s >%s/out 2>%s/err </dev/null")
    :format(CLEAN, table.concat(words, " "), quote("exec " .. command),
      dir.path, dir.path))
  return helpers.read_file(dir .. "/out"), helpers.read_file(dir .. "/err"),
    code, how
end

--- Runs a shell's script that must succeed; raises with its words when not.
-- @return what it wrote to stdout
function host.must(script)
  local out, err, code = host.run("sh -c " .. quote(script))
  if code ~= 0 then error(("%s\n%s%s"):format(script, out, err), 2) end
  return out
end

--- Compiles spec/host/<name>.c, with the whole of Lua linked in.
function host.compile(name, program)
  host.must(([[${CC:-cc} -std=c11 -g -o %s spec/host/%s.c \
    $(pkg-config --cflags lua5.4) -rdynamic \
    -Wl,-Bstatic $(pkg-config --libs lua5.4) -Wl,-Bdynamic -lm -ldl]])
    :format(quote(program), name))
end

return host
