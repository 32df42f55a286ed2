-- What the command would send, for --dry-run: the requests that change
-- something, as the library makes them.

local json = require "squarecloud.cli.json"

local wire = {}

local BASE_URL = "https://api.squarecloud.app/v2"

local function encode(text)
  return (text:gsub("[^%w%-%._~]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

local function base_url(session)
  return (session.options.base_url or BASE_URL):gsub("/+$", "")
end

local function resource_url(session, id)
  return ("%s/%s/%s/snapshots"):format(base_url(session),
    session.options.database and "databases" or "apps", encode(id))
end

--- The request that creates a snapshot.
function wire.create(session, id)
  return { method = "POST", url = resource_url(session, id) }
end

--- The request that restores one.
function wire.restore(session, id, snapshot_id, version_id)
  return { method = "POST", url = resource_url(session, id) .. "/restore",
    body = { snapshotId = snapshot_id, versionId = version_id } }
end

--- The requests of a rehearsal: whose id the second one has is known when the
-- first one is answered.
function wire.rehearse(session, keep)
  local url = base_url(session) .. "/apps"
  return { { method = "POST", url = url },
    not keep and { method = "DELETE", url = url .. "/<id of the copy>" }
      or nil }
end

--- Shows requests instead of sending them.
function wire.show(session, requests)
  local console = require "squarecloud.cli.console"
  for _, request in ipairs(requests) do
    session.console:line("%s %s", request.method, console.show(request.url))
    if request.body then
      session.console:line("%s", console.show(json.encode(request.body)))
    end
  end
  session.console:document { dry_run = true, requests = json.array(requests) }
end

return wire
