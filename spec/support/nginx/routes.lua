-- luacheck: std ngx_lua
--- The routes: one table, one entry each. A handler takes the request and the
-- path's parameters and returns an answer. Owns no state.

local cjson = require "cjson"
local answers = require "answers"
local limits = require "limits"
local payloads = require "payloads"
local signature = require "signature"
local state = require "state"
local uploads = require "uploads"

local json = signature.json

local function refuse(err)
  return answers.failure(err)
end

-- A request's JSON object, or nil and an error.
local function json_body(req)
  local ok, body = pcall(cjson.decode, req.body)
  if not ok or type(body) ~= "table" then
    return nil, { 400, "INVALID_JSON_BODY" }
  end
  return body
end

local function snapshots_base(req)
  if state.config.snapshots_url then return state.config.snapshots_url end
  local host = req.headers.host
  if host == "api.squarecloud.app" then host = "snapshots.squarecloud.app" end
  return ngx.var.scheme .. "://" .. host
end

local function create(kind)
  return function(req, parameters)
    local resource, err = state.find(kind, parameters.id)
    if not resource then return refuse(err) end
    local entry, refused = state.create(resource)
    if not entry then return refuse(refused) end
    if entry == true then
      return answers.json(202,
        '{"status":"error","code":"SNAPSHOT_PROCESSING"}')
    end
    local key = state.created_key(entry)
    return answers.success(json { key = key,
      url = snapshots_base(req) .. state.path_of(entry) .. "?" .. key })
  end
end

-- A listing that a spec has given its own text, if any.
local function given_listing(name)
  local given = state.listings[name]
  return given and answers.json(given.status or 200, given.text)
end

-- N entries that exist nowhere, for reading long listings: app `listing-N`.
local function long_listing(count)
  local name = ("long %d"):format(count)
  if not state.cached[name] then
    local parts, day = {}, 86400
    for i = 1, count do
      parts[i] = ('{"name":"listing-%d","size":%d,"modified":"%s","key":%s}')
        :format(count, 1000000 + i, os.date("!%Y-%m-%dT%H:%M:%S.123Z",
          1700000000 + i * day), json(signature.sign("/x", ("%032x"):format(i),
          2000000000)))
    end
    state.cached[name] = { at = math.huge,
      text = "[" .. table.concat(parts, ",") .. "]" }
  end
  return answers.success(state.cached[name].text)
end

local function list(kind)
  return function(_, parameters)
    local given = given_listing(parameters.id)
    if given then return given end
    local count = parameters.id:match("^listing%-(%d+)$")
    if count then return long_listing(tonumber(count)) end
    local resource, err = state.find(kind, parameters.id)
    if not resource then return refuse(err) end
    return answers.success(state.list(resource))
  end
end

local function list_all(req)
  local scope = req.args.scope or "applications"
  if scope ~= "applications" and scope ~= "databases" then
    return refuse { 400, "INVALID_SCOPE" }
  end
  local given = given_listing(scope)
  if given then return given end
  local text, err = state.list_all(scope)
  if not text then return refuse(err) end
  return answers.success(text)
end

local function restore(kind)
  return function(req, parameters)
    local resource, err = state.find(kind, parameters.id)
    if not resource then return refuse(err) end
    local body, bad = json_body(req)
    if not body then return refuse(bad) end
    local id, version = body.snapshotId, body.versionId
    if id == nil or version == nil then
      return refuse { 400, "MISSING_PARAMETERS" }
    elseif type(id) ~= "string" then
      return refuse { 400, "INVALID_SNAPSHOT_ID" }
    elseif type(version) ~= "string" then
      return refuse { 400, "INVALID_VERSION_ID" }
    end
    local done, refused = state.restore(resource, id, version)
    if not done then return refuse(refused) end
    return answers.success()
  end
end

local function status(kind)
  return function(_, parameters)
    local resource, err = state.find(kind, parameters.id)
    if not resource then return refuse(err) end
    return answers.success(payloads.status(resource))
  end
end

-- An answer that is always a success: `shape` gives its JSON text.
local function always(shape)
  return function() return answers.success(shape()) end
end

local function application(_, parameters)
  local app, err = state.find("applications", parameters.id)
  if not app then return refuse(err) end
  return answers.success(payloads.application(app))
end

local function database(_, parameters)
  local found, err = state.find("databases", parameters.id)
  if not found then return refuse(err) end
  return answers.success(payloads.database(found))
end

local function create_database(req)
  local body, bad = json_body(req)
  if not body then return refuse(bad) end
  if type(body.name) ~= "string" or type(body.memory) ~= "number"
    or type(body.type) ~= "string" or type(body.version) ~= "string" then
    return refuse { 400, "MISSING_PARAMETERS" }
  end
  local made = state.add_resource { kind = "databases",
    id = state.random_id(), name = body.name, ram = body.memory,
    type = body.type, suffix = true }
  state.begin_boot(made)
  return answers.success(payloads.created_database(made, state.random_id()))
end

local function delete(kind)
  return function(_, parameters)
    local resource, err = state.find(kind, parameters.id)
    if not resource then return refuse(err) end
    state.remove_resource(kind, parameters.id)
    return answers.success()
  end
end

-- Starting, stopping and restarting an application: shown by its status.
local function action(what)
  return function(_, parameters)
    local app, err = state.find("applications", parameters.id)
    if not app then return refuse(err) end
    state.act(app, what)
    return answers.success()
  end
end

local function stored(kind)
  return function(req, parameters)
    if req.headers.authorization then
      return answers.store_failure(400, "InvalidArgument",
        "Only one auth mechanism allowed")
    end
    local ok, code, reason, words = signature.check(req.method, req.path,
      req.args, req.headers)
    if not ok then return answers.store_failure(code, reason, words) end
    local name = parameters.file:match("^(.*)%.zip$")
    local entry, missing
    if name then
      entry, missing = state.stored(kind, parameters.account, name,
        req.args.versionId)
    end
    local answer = entry and answers.file(entry.file, "application/zip",
      entry.etag, entry.modified / 1000)
    if not answer then
      return answers.store_failure(404, missing or "NoSuchKey")
    end
    if entry.version then
      answer.headers["x-amz-version-id"] = entry.version
    end
    return answer
  end
end

local function plain_file(_, parameters)
  if parameters.file == "" or parameters.file:find("^%.%.?$")
    or parameters.file:find("[/%z]") then
    return answers.text(404, "text/plain", "not found\n")
  end
  return answers.file(state.dir .. "/files/" .. parameters.file,
    "application/octet-stream")
    or answers.text(404, "text/plain", "not found\n")
end

local function echo(req)
  return answers.json(200, json { method = req.method, uri = req.uri,
    headers = req.headers, body = req.body, args = req.args,
    protocol = ngx.var.server_protocol, connection = req.record.connection })
end

-- method, path (`:name` takes one segment, `*` the rest), handler
local API = {
  { "POST", "/v2/apps/:id/snapshots", create "applications" },
  { "POST", "/v2/databases/:id/snapshots", create "databases" },
  { "GET", "/v2/apps/:id/snapshots", list "applications" },
  { "GET", "/v2/databases/:id/snapshots", list "databases" },
  { "GET", "/v2/users/snapshots", list_all },
  { "POST", "/v2/apps/:id/snapshots/restore", restore "applications" },
  { "POST", "/v2/databases/:id/snapshots/restore", restore "databases" },
  { "GET", "/v2/users/me", always(payloads.me) },
  { "GET", "/v2/workspaces", always(payloads.workspaces) },
  { "POST", "/v2/apps", uploads.create },
  { "GET", "/v2/apps/status", always(payloads.statuses) },
  { "GET", "/v2/apps/:id", application },
  { "DELETE", "/v2/apps/:id", delete "applications" },
  { "POST", "/v2/apps/:id/commit", uploads.commit },
  { "POST", "/v2/apps/:id/start", action "start" },
  { "POST", "/v2/apps/:id/stop", action "stop" },
  { "POST", "/v2/apps/:id/restart", action "restart" },
  { "GET", "/v2/apps/:id/status", status "applications" },
  { "POST", "/v2/databases", create_database },
  { "GET", "/v2/databases/:id", database },
  { "DELETE", "/v2/databases/:id", delete "databases" },
  { "GET", "/v2/databases/:id/status", status "databases" },
}

local OTHERS = {
  { "*", "/applications/:account/:file", stored "applications" },
  { "*", "/databases/:account/:file", stored "databases" },
  { "GET", "/files/:file", plain_file },
  { "*", "/echo", echo },
  { "*", "/echo/*", echo },
}

local function segments_of(path)
  local parts = {}
  for part in path:gmatch("/([^/]*)") do parts[#parts + 1] = part end
  return parts
end

for _, route in ipairs(API) do route.segments = segments_of(route[2]) end
for _, route in ipairs(OTHERS) do route.segments = segments_of(route[2]) end

local function match(route, method, segments)
  if route[1] ~= "*" and route[1] ~= method then return nil end
  local parameters = {}
  for i, wanted in ipairs(route.segments) do
    if wanted == "*" then return parameters end
    local given = segments[i]
    if not given then return nil end
    if wanted:sub(1, 1) == ":" then
      parameters[wanted:sub(2)] = ngx.unescape_uri((given:gsub("+", "%%2B")))
    elseif wanted ~= given then
      return nil
    end
  end
  return #segments == #route.segments and parameters or nil
end

local routes = {}

--- The ordinary answer to a request.
function routes.answer(req)
  local segments = segments_of(req.path)
  for _, route in ipairs(OTHERS) do
    local parameters = match(route, req.method, segments)
    if parameters then return route[3](req, parameters) end
  end
  if req.headers.authorization ~= state.key then
    return refuse { 401, "ACCESS_DENIED" }
  end
  local counted, too_many = limits.request()
  if not counted then return refuse(too_many) end
  for _, route in ipairs(API) do
    local parameters = match(route, req.method, segments)
    if parameters then return route[3](req, parameters) end
  end
  return refuse { 404, "NOT_FOUND" }
end

return routes
