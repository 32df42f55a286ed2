--- What version 5.0.0 of the platform's JavaScript client sends, and what it
-- expects of each answer, as its public source has it (npm has older versions
-- only). Its calls that have nothing to do with snapshots are left out: logs,
-- metrics, files, environments, deploys, networks, credentials, invitations.
-- Run by spec/peers_spec.lua.
--
-- `calls`: its name for the call, the method, the path below /v2/ with
-- `{placeholders}`, and
--   query, json, form   what it sends: a query string, a JSON object, a file's
--                       name in a form's field `file`
--   response            the shape of the answer's `response`; absent: only the
--                       status is looked at
--   address             how it makes a download's address of each entry
--   ours                our call that must send the same
-- A shape: "string", "number", "boolean", "date"; "…|null"; "…?" may be
-- absent; an array of allowed words; { each = shape }; { field = shape }.

local rehearsals = require "spec.support.rehearsals"

local STATUS = {
  cpu = "string", ram = "string", storage = "string", running = "boolean",
  status = { "exited", "created", "starting", "restarting", "deleting",
    "running" },
  network = { total = "string", now = "string" }, uptime = "number|null",
}
local ENTRIES = { each = { name = "string", size = "number",
  modified = "date", key = "string" } }
local CREATED = { url = "string", key = "string" }

local APPLICATION = {
  id = "string", name = "string", desc = "string?", owner = "string",
  cluster = "string", ram = "number", language = "string",
  domain = "string|null", custom = "string|null", created_at = "date",
}
local DATABASE = {
  id = "string", name = "string", owner = "string", cluster = "string",
  ram = "number", type = "string", port = "number", created_at = "date",
}
local ME = {
  user = { id = "string", name = "string", email = "string",
    locale = "string", created_at = "date",
    plan = { name = "string", duration = "number|null",
      memory = { limit = "number", available = "number", used = "number" } } },
  applications = { each = { id = "string", name = "string", desc = "string?",
    ram = "number", lang = "string", cluster = "string",
    domain = "string|null", custom = "string|null", created_at = "date" } },
  databases = { each = { id = "string", name = "string", ram = "number",
    type = "string", cluster = "string", created_at = "date" } },
}
local WORKSPACES = { each = {
  id = "string", name = "string", owner = "string", createdAt = "date",
  members = { each = { id = "string", name = "string", joinedAt = "date",
    group = { "owner", "admin", "maintain", "manager", "view" } } },
  applications = { each = { id = "string", name = "string",
    desc = "string|null", ram = "number", lang = "string",
    domain = "string|null", custom = "string|null" } },
} }

local function rehearse(client, ids)
  return client:rehearse_restore(client:all_app_snapshots(ids.app)[1],
    rehearsals.options())
end

local function restore(kind)
  return function(client, ids)
    return client[kind](client, ids[kind]):restore_snapshot {
      snapshot_id = ids[kind], version_id = ids.version }
  end
end

local version_5 = {}

version_5.calls = {
  { "user.get", "GET", "users/me", response = ME,
    ours = function(client) return client:account() end },
  { "user.snapshots", "GET", "users/snapshots", query = "scope=applications",
    response = ENTRIES,
    ours = function(client) return client:all_snapshots "applications" end },
  { "user.snapshots", "GET", "users/snapshots", query = "scope=databases",
    response = ENTRIES,
    ours = function(client) return client:all_snapshots "databases" end },

  { "applications.create", "POST", "apps", form = "app.zip", ours = rehearse,
    response = { id = "string", name = "string", ram = "number",
      cpu = "number", language = { name = "string", version = "string" } } },
  { "applications.statusAll", "GET", "apps/status", response = { each = {
    id = "string", running = "boolean", cpu = "string?", ram = "string?" } } },
  { "applications.fetch", "GET", "apps/{app}", response = APPLICATION },
  { "application.getStatus", "GET", "apps/{app}/status", response = STATUS,
    ours = rehearse },
  { "application.start", "POST", "apps/{app}/start" },
  { "application.stop", "POST", "apps/{app}/stop" },
  { "application.restart", "POST", "apps/{app}/restart" },
  { "application.delete", "DELETE", "apps/{app}", ours = rehearse },
  { "application.commit", "POST", "apps/{app}/commit", form = "commit.zip" },
  { "application.commit", "POST", "apps/{app}/commit", form = "index.js" },

  { "application.snapshots.list", "GET", "apps/{app}/snapshots",
    response = ENTRIES,
    address = "/applications/{account}/%s.zip?%s",
    ours = function(client, ids) return client:all_app_snapshots(ids.app) end },
  { "application.snapshots.create", "POST", "apps/{app}/snapshots",
    response = CREATED,
    ours = function(client, ids) return client:snapshot(ids.app) end },
  { "application.snapshots.restore", "POST", "apps/{app}/snapshots/restore",
    json = { snapshotId = "{app}", versionId = "{version}" },
    ours = restore "app" },

  { "databases.create", "POST", "databases", json = { name = "a", memory = 256,
    type = "redis", version = "7.4.5" },
    response = { id = "string", name = "string", memory = "number",
      type = "string", password = "string", certificate = "string?",
      connection_url = "string", cluster = "string" } },
  { "databases.fetch", "GET", "databases/{database}", response = DATABASE },
  { "database.getStatus", "GET", "databases/{database}/status",
    response = STATUS },
  { "database.delete", "DELETE", "databases/{database}" },
  { "database.snapshots.list", "GET", "databases/{database}/snapshots",
    response = ENTRIES,
    address = "/databases/{account}/%s.zip?%s",
    ours = function(client, ids)
      return client:database(ids.database):all_snapshots()
    end },
  { "database.snapshots.create", "POST", "databases/{database}/snapshots",
    response = CREATED,
    ours = function(client, ids)
      return client:database(ids.database):snapshot()
    end },
  { "database.snapshots.restore", "POST",
    "databases/{database}/snapshots/restore",
    json = { snapshotId = "{database}", versionId = "{version}" },
    ours = restore "database" },

  { "workspaces.list", "GET", "workspaces", response = WORKSPACES },
}

--- The code that it raises for an answer; nil when it is content.
-- @param status HTTP's
-- @param data the answer's JSON, nil when it is none
function version_5.raises(status, data)
  local whatever = { [413] = "PAYLOAD_TOO_LARGE", [429] = "RATE_LIMIT_EXCEEDED",
    [502] = "SERVER_UNAVAILABLE", [504] = "SERVER_UNAVAILABLE" }
  if whatever[status] then return whatever[status] end
  if not data then return "CANNOT_PARSE_RESPONSE" end
  if data.status == "error" or status < 200 or status > 299 then
    return data.code or ("UNKNOWN_ERROR_" .. status)
  end
end

-- What the server is set to, the call, the code that it raises, and the kind
-- of error that ours gives for the same.
version_5.refusals = {
  { { limits = { create_account_ms = 3600000 } },
    "application.snapshots.create", "RATE_LIMIT_EXCEEDED", "rate_limited" },
  { { limits = { requests = 1 } }, "user.get", "RATE_LIMIT_EXCEEDED",
    "rate_limited" },
  { { limits = { daily = 1 } }, "database.snapshots.create",
    "RATE_LIMIT_EXCEEDED", "quota" },
  { { processing_ms = 3600000 }, "application.snapshots.create",
    "SNAPSHOT_PROCESSING", "pending" },
  { { plan = "free" }, "user.snapshots", "UPGRADE_REQUIRED", "permission" },
  { { upload_limit = 1 }, "applications.create", "PAYLOAD_TOO_LARGE",
    "bad_request" },
  { { ids = { app = "nobody" } }, "application.snapshots.list",
    "APP_NOT_FOUND", "not_found" },
  { { ids = { version = "none" } }, "database.snapshots.restore",
    "SNAPSHOT_NOT_FOUND", "not_found" },
}

return version_5
