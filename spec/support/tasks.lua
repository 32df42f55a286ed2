--- What the specs of tasks share.

local socket = require "socket"

local tasks = {}

--- Whether the client's descriptor is readable, now or within `seconds`.
function tasks.readable(client, seconds)
  return #socket.select({ client }, nil, seconds or 0) == 1
end

--- Steps until `ready()` gives something, which is returned; never blocks for
-- long in one step.
function tasks.step_until(client, ready)
  local deadline = socket.gettime() + 20
  repeat
    local result = ready()
    if result then return result end
    client:step(0.05)
  until socket.gettime() > deadline
  error("stepped in vain", 2)
end

--- A value for a <close> variable that writes down that it was closed, and
-- with what: log[#log + 1] = { name, what was raised }.
function tasks.closer(log, name, also)
  return setmetatable({}, { __close = function(_, raised)
    log[#log + 1] = { name, raised }
    if also then also(raised) end
  end })
end

--- The names in such a log.
function tasks.closed(log)
  local names = {}
  for i, one in ipairs(log) do names[i] = one[1] end
  return table.concat(names, " ")
end

--- The start of a script for spec.support.child: a client from the arguments
-- that tasks.arguments(s) gives, as `client`; `square`, `new_client`, `app`.
tasks.PROLOGUE = [[
  local square = require "squarecloud"
  local key, base_url, snapshots_url, ca_file, app = ...
  local function new_client()
    return square.Client { api_key = key, base_url = base_url, proxy = "",
      snapshots_url = snapshots_url, ca_file = ca_file,
      account_id = key:match "^[^-]+" }
  end
  local client = new_client()
  local _ = app, client
]]

--- The arguments of a script that begins so.
function tasks.arguments(s)
  return { s.key, s.base_url, s.snapshots_url, s.ca_file, s.apps[1] }
end

return tasks
