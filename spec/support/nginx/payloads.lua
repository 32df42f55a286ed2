-- luacheck: std ngx_lua
--- What the API says of the account and of what it holds, as JSON text: one
-- function per shape. Owns no state.

local cjson = require "cjson"
local signature = require "signature"
local state = require "state"

local json, null = signature.json, cjson.null
local CLUSTER, CREATED_AT = "test-1", "2024-01-10T12:00:00.000Z"

local payloads = {}

-- Every item of a list by `shape`, joined: an empty table would be `{}`.
local function array(list, shape)
  local parts = {}
  for i, one in ipairs(list) do parts[i] = shape(one) end
  return "[" .. table.concat(parts, ",") .. "]"
end

--- One application, as /apps/{id} has it.
function payloads.application(app)
  return json { id = app.id, name = app.name, desc = "", owner = app.owner,
    cluster = CLUSTER, ram = app.ram, language = "lua", domain = null,
    custom = null, created_at = CREATED_AT }
end

--- What an upload answers: the language is an object here.
function payloads.uploaded(app)
  return json { id = app.id, name = app.name, ram = app.ram, cpu = 0,
    language = { name = "lua", version = "5.4" } }
end

--- One database, as /databases/{id} has it.
function payloads.database(database)
  return json { id = database.id, name = database.name,
    owner = database.owner, cluster = CLUSTER, ram = database.ram,
    type = database.type, port = 7000, created_at = CREATED_AT }
end

--- What creating a database answers: its password comes this once.
function payloads.created_database(database, password)
  return json { id = database.id, name = database.name,
    memory = database.ram, type = database.type, password = password,
    certificate = "Y2VydGlmaWNhdGU=", cluster = CLUSTER,
    connection_url = ("%s://squarecloud:%s@%s.database.example:7000"):format(
      database.type, password, database.id) }
end

local function usage(resource)
  return "0.10%", ("42/%dMB"):format(resource.ram)
end

function payloads.status(resource)
  local word, cpu, ram = state.status_of(resource), usage(resource)
  local runs = word == "running"
  return json { running = runs, status = word, cpu = cpu, ram = ram,
    storage = "1MB", network = { total = "0KB ↑ 0KB ↓", now = "0KB ↑ 0KB ↓" },
    uptime = runs and 1700000000000 or null }
end

--- The account's applications in brief; what one uses only while it runs.
function payloads.statuses()
  return array(state.own "applications", function(app)
    if state.status_of(app) ~= "running" then
      return json { id = app.id, running = false }
    end
    local cpu, ram = usage(app)
    return json { id = app.id, running = true, cpu = cpu, ram = ram }
  end)
end

local function application_of_mine(app)
  return json { id = app.id, name = app.name, desc = "", ram = app.ram,
    lang = "lua", cluster = CLUSTER, domain = null, custom = null,
    created_at = CREATED_AT }
end

local function database_of_mine(database)
  return json { id = database.id, name = database.name, ram = database.ram,
    type = database.type, cluster = CLUSTER, created_at = CREATED_AT }
end

function payloads.me()
  local apps, databases = state.own "applications", state.own "databases"
  local limit, used = 4096, 0
  for _, list in ipairs { apps, databases } do
    for _, one in ipairs(list) do used = used + one.ram end
  end
  local user = json { id = state.account, name = state.owned.name,
    email = state.owned.email, locale = "en-US", created_at = CREATED_AT,
    plan = { name = state.config.plan, duration = 4102444800000,
      memory = { limit = limit, available = limit - used, used = used } } }
  return ('{"user":%s,"applications":%s,"databases":%s}'):format(user,
    array(apps, application_of_mine), array(databases, database_of_mine))
end

local function member(one)
  return json { id = one.id, name = one.name or one.id, group = one.group,
    joinedAt = CREATED_AT }
end

local function application_in_workspace(app)
  return json { id = app.id, name = app.name, desc = null, ram = app.ram,
    lang = "lua", domain = null, custom = null }
end

function payloads.workspaces()
  return array(state.workspaces, function(one)
    return ('{"id":%s,"name":%s,"owner":%s,"members":%s,"applications":%s,'
      .. '"createdAt":"%s"}'):format(json(one.id), json(one.name),
      json(one.owner), array(one.members, member),
      array(one.applications, application_in_workspace), CREATED_AT)
  end)
end

return payloads
