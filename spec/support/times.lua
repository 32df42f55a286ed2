--- The times of the platform's rate limits as the specs have them: what pauses
-- for a minute there pauses for a moment here, and creates go one behind the
-- other. Read by each client that is made, in this process and, by LUA_INIT, in
-- those that a spec starts.

local lfs = require "lfs"

local times = {}

local NAME = "squarecloud.limit_times"

--- Seconds: a pause of every call, of creates, of one application's creates and
-- restores; between two creates.
times.SHORT = { calls = 0.1, creates = 0.05, application = 0.1, pace = 0 }

--- Sets them; those that are left out are the platform's.
function times.set(seconds) debug.getregistry()[NAME] = seconds end

--- Sets others until the end: local _ <close> = times.within { calls = 1 }, or
-- until its undo() is called.
function times.within(seconds)
  local before = debug.getregistry()[NAME]
  local function undo() times.set(before) end
  times.set(seconds)
  return setmetatable({ undo = undo }, { __close = undo })
end

-- What a Lua that starts does first, by the value of LUA_INIT.
local function statement(init)
  if not init or init == "" then return "" end
  local file = init:match "^@(.*)"
  if not file then return init end
  if file:sub(1, 1) ~= "/" then file = lfs.currentdir() .. "/" .. file end
  return ("dofile %q"):format(file)
end

--- LUA_INIT for a process whose clients are to have such times, too.
function times.lua_init(seconds)
  local fields = {}
  for name, value in pairs(seconds or times.SHORT) do
    fields[#fields + 1] = ("%s=%s"):format(name, value)
  end
  return ("%s debug.getregistry()[%q]={%s}"):format(
    statement(os.getenv "LUA_INIT"), NAME, table.concat(fields, ","))
end

times.set(times.SHORT)

return times
