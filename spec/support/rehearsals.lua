--- What the specs of rehearsals share: a snapshot to rehearse, and what the
-- server saw of it.

local helpers = require "spec.support.helpers"
local server = require "spec.support.server"

local rehearsals = {}

--- A fresh server, a client of it, and the listed snapshot of its first
-- application: { server, client, info, app }.
-- @param overrides of the client's options
function rehearsals.new(overrides)
  local s = server.shared()
  local maker <close> = helpers.client(s) -- not bound by the overrides
  assert(maker:snapshot(s.apps[1]))
  local client = helpers.client(s, overrides)
  local info = assert(client:all_app_snapshots(s.apps[1]))[1]
  return { server = s, client = client, info = info, app = s.apps[1],
    before = #s:requests() }
end

--- Options that consent and do not wait long; `more` replaces or adds.
function rehearsals.options(more)
  local options = { consent = true, settle = 0.05, timeout = 30 }
  for name, value in pairs(more or {}) do options[name] = value end
  return options
end

--- What was sent since the start that changes something: { "POST /apps",
-- "DELETE <id>" }.
function rehearsals.changes(one)
  local list = {}
  for i, request in ipairs(one.server:requests()) do
    local path = request.uri:match "^/v2/apps/?(.*)"
    if i > one.before and request.method ~= "GET" then
      list[#list + 1] = request.method .. " "
        .. (path == "" and "/apps" or path or request.uri)
    end
  end
  return list
end

--- Whether the server still has the application `id`.
function rehearsals.exists(one, id)
  return (pcall(one.server.app_dir, one.server, id))
end

return rehearsals
