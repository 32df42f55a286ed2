--- The command squaresnap as a user runs it: a process of its own, from the
-- PATH, with nothing of this process's environment but the module paths; in a
-- pipe or on a terminal (util-linux's `script`).
--
--   local result = command.run(s, { "list", id })  --> out, err, code
--
-- With a server `s` its addresses are given as options, and its key as
-- SQUARE_API_KEY, unless `setting` says otherwise.

local lfs = require "lfs"
local cjson = require("cjson").new()
local helpers = require "spec.support.helpers"
local process = require "spec.support.process"
local quote = require("spec.support.quote").shell
local times = require "spec.support.times"

local command = {}

-- The folder of the command, for when it is not on the PATH already.
local function bin_folder()
  local file = package.searchpath("squarecloud.cli",
    helpers.absolute(package.path))
  return file and file:gsub("cli%.lua$", "bin") or ""
end

local PASSED = { "ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "COLLECT",
  "TMPDIR" }

-- A home without the user's own configuration.
local home = helpers.tmpdir()

-- Those of this process's variables that the command gets, too: what a
-- sanitizer preloads and `make coverage` counts with is for it, but not for
-- the helpers. And the times of limits that its client is to have.
local function passed(setting)
  local words = { quote("LUA_INIT=" .. times.lua_init(setting.times)) }
  for _, name in ipairs(PASSED) do
    local value = os.getenv(name)
    -- a sanitizer's file, from any folder
    value = value and value:gsub("%f[%a_]suppressions=([^/])",
      "suppressions=" .. lfs.currentdir() .. "/%1")
    if value then words[#words + 1] = quote(name .. "=" .. value) end
  end
  return table.concat(words, " ")
end

local function environment(s, setting)
  local words = { "env", "-i", "LC_ALL=C.UTF-8", "TZ=UTC",
    "HOME=" .. tostring(home),
    "PATH=" .. bin_folder() .. ":" .. os.getenv "PATH",
    "LUA_PATH=" .. helpers.absolute(package.path),
    "LUA_CPATH=" .. helpers.absolute(package.cpath) }
  if s and setting.key ~= false then
    words[#words + 1] = "SQUARE_API_KEY=" .. (setting.key or s.key)
  end
  for name, value in pairs(setting.env or {}) do
    words[#words + 1] = name .. "=" .. value
  end
  for i, word in ipairs(words) do words[i] = quote(word) end
  return table.concat(words, " ")
    .. (setting.preload == false and "" or " " .. passed(setting))
end

local function words_of(s, arguments, setting)
  local words = { "squaresnap" }
  if s and setting.urls ~= false then
    words[2] = "--base-url=" .. s.http_base_url
    words[3] = "--snapshots-url=" .. s.http_snapshots_url
  end
  for _, word in ipairs(arguments) do words[#words + 1] = word end
  for i, word in ipairs(words) do words[i] = quote(word) end
  return table.concat(words, " ")
end

--- The shell's line that runs the command.
-- @param setting env (variables), key (another one, false: none), urls (false:
-- the platform's own), folder (to run in), shell (a command before it:
-- "ulimit -f 100"), stdin (a file), out (elsewhere: "/dev/full", "&-"), times
-- (of limits, as times.set takes them)
function command.line(s, arguments, setting)
  setting = setting or {}
  return ("cd %s && %s exec %s %s %s"):format(quote(setting.folder or "/"),
    setting.shell and setting.shell .. ";" or "", environment(s, setting),
    setting.script or words_of(s, arguments, setting),
    "<" .. quote(setting.stdin or "/dev/null"))
end

local Result = {}
Result.__index = Result

--- What was printed, as one JSON document.
function Result:json() return command.decode(self.out) end

--- What was printed, as JSON lines.
function Result:json_lines()
  local lines = {}
  for line in self.out:gmatch "[^\n]+" do
    lines[#lines + 1] = command.decode(line)
  end
  return lines
end

--- JSON as Lua values.
function command.decode(text) return cjson.decode(text) end

local function finish(files, code)
  local result = setmetatable({ code = code,
    out = helpers.read_file(files.out), err = helpers.read_file(files.err) },
    Result)
  helpers.remove(files.out)
  helpers.remove(files.err)
  return result
end

local function new_files(setting)
  local out, err = os.tmpname(), os.tmpname()
  return { out = out, err = err, words = (" >%s 2>%s"):format(
    setting and setting.out or quote(out), quote(err)) }
end

--- Runs the command to its end.
-- @return { out, err, code, json(), json_lines() }
function command.run(s, arguments, setting)
  local files = new_files(setting)
  local _, _, code = os.execute(command.line(s, arguments, setting)
    .. files.words)
  return finish(files, code)
end

--- Starts the command.
-- @return { pid, interrupt() (Ctrl-C), signal(name), kill(), wait() (its
-- result; as a shell has it, 128 and more is a signal), said() (its messages so
-- far) }
function command.start(s, arguments, setting)
  local files = new_files()
  local started = process.start(command.line(s, arguments, setting)
    .. files.words, { files.out, files.err }, function(_, how, code)
      return finish(files, how == "signal" and 128 + code or code)
    end)
  function started.signal(name)
    os.execute(("kill -%s %d"):format(name, started.pid))
  end
  function started.interrupt() started.signal "INT" end
  function started.said() return helpers.read_file(files.err) end
  return started
end

--- Starts the command on a terminal of its own.
-- @return { type(text) (on its keyboard), wait() (out: all that was shown) }
function command.terminal(s, arguments, setting)
  setting = setting or {}
  local files, code_file = new_files(), os.tmpname()
  local keyboard = os.tmpname()
  os.remove(keyboard)
  assert(os.execute("mkfifo " .. quote(keyboard)))
  local env = { TERM = "xterm" }
  for name, value in pairs(setting.env or {}) do env[name] = value end
  local inner = ("stty cols %d rows 24; exec env %s %s"):format(
    setting.columns or 80, passed(setting), words_of(s, arguments, setting))
  local line = command.line(s, arguments, { env = env, key = setting.key,
    folder = setting.folder, stdin = keyboard, preload = false,
    script = ("timeout --foreground 60 script -qefc %s /dev/null"):format(
      quote(inner)) })
  local pipe = assert(io.popen(("sh -c %s; echo $? >%s"):format(
    quote(line .. files.words), quote(code_file)), "r"))
  local keys = assert(io.open(keyboard, "w"))
  keys:setvbuf "no"
  local started = {}
  function started.type(text) keys:write(text) end
  function started.shown() return helpers.read_file(files.out) end
  function started.wait()
    pipe:read "a"
    pipe:close()
    keys:close()
    os.remove(keyboard)
    local code = math.tointeger(tonumber(helpers.read_file(code_file)))
    os.remove(code_file)
    return finish(files, code)
  end
  return started
end

return command
