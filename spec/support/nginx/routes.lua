-- luacheck: std ngx_lua
--- The routes: one table, one entry each. A handler takes the request and the
-- path's parameters and returns an answer. Owns no state.

local cjson = require "cjson"
local answers = require "answers"
local signature = require "signature"
local state = require "state"

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
        '{"status":"success","code":"SNAPSHOT_PROCESSING"}')
    end
    local key = state.key_of(entry)
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
    local word = state.status_of(resource)
    local runs = word == "running"
    return answers.success(json {
      running = runs, status = word,
      cpu = "0.1%", ram = "42MB", storage = "1MB",
      network = { total = "0KB", now = "0KB" }, requests = 0,
      uptime = runs and 1700000000000 or nil })
  end
end

local function application_json(app)
  return json { id = app.id, name = app.name, desc = "", ram = app.ram,
    lang = "lua", language = "lua", cluster = "test-1" }
end

local function application(_, parameters)
  local app, err = state.find("applications", parameters.id)
  if not app then return refuse(err) end
  return answers.success(application_json(app))
end

local function me()
  local apps, databases, used = {}, {}, 0
  for i, app in ipairs(state.applications) do
    apps[i], used = application_json(app), used + app.ram
  end
  for i, database in ipairs(state.databases) do
    databases[i] = json { id = database.id, name = database.name,
      ram = database.ram, type = database.type, cluster = "test-1" }
    used = used + database.ram
  end
  local user = json { id = state.account, name = "tester",
    email = "tester@example.com", locale = "en",
    plan = { name = state.config.plan, duration = 4102444800000,
      memory = { limit = 4096, available = 4096 - used, used = used } } }
  return answers.success(('{"user":%s,"applications":[%s],"databases":[%s]}')
    :format(user, table.concat(apps, ","), table.concat(databases, ",")))
end

local PIECE = 1024 * 1024
local TAIL = 4096

-- Where the bytes of a multipart body's field `file` lie in it: the first and
-- the last one's position; nil when it has none. In a large body the field is
-- the last one, near the end of which the boundary comes again.
local function find_file(req, read, size)
  local kind = req.headers["content-type"] or ""
  local boundary = kind:match("^multipart/form%-data;.*boundary=\"?([^\";]+)")
  if not boundary then return nil end
  local head, mark = "\r\n" .. read(0, PIECE), "\r\n--" .. boundary
  local _, at = head:find(mark, 1, true)
  while at do
    local head_start, head_end = head:find("\r\n\r\n", at + 1, true)
    if not head_start then return nil end
    local is_file = head:sub(at, head_start):find('[; ]name="?file"?[;\r]?')
    local stop = head:find(mark, head_end + 1, true)
    if is_file and stop then return head_end - 2, stop - 4 end
    if is_file then
      local from = math.max(head_end - 2, size - TAIL)
      stop = read(from, TAIL):find(mark, 1, true)
      return stop and head_end - 2, stop and from + stop - 2
    end
    at = stop and stop + #mark - 1
  end
end

-- Copies the field `file` to a file; false when there is none.
local function save_file(req, path)
  local source = req.body_file and assert(io.open(req.body_file, "rb"))
  local function read(at, count)
    if not source then return req.body:sub(at + 1, at + count) end
    source:seek("set", at)
    return source:read(count) or ""
  end
  local first, last = find_file(req, read, req.record.body_bytes)
  local target = first and assert(io.open(path, "wb"))
  for at = first or 1, last or 0, PIECE do
    target:write(read(at, math.min(PIECE, last - at + 1)))
  end
  if target then target:close() end
  if source then source:close() end
  return first ~= nil
end

local function upload(req)
  local id = state.random_version():gsub("-", "")
  local path = state.dir .. "/uploads/" .. id .. ".zip"
  if not save_file(req, path) then
    return refuse { 400, "MISSING_PARAMETERS" }
  end
  local app = state.add_resource {
    kind = "applications", id = id, files = {}, ram = 256 }
  if not state.unpack(path, app.dir) then
    state.remove_resource("applications", id)
    return refuse { 400, "INVALID_FILE" }
  end
  state.begin_boot(app)
  local config = io.open(app.dir .. "/squarecloud.app")
  if config then
    app.name = config:read("*a"):match("DISPLAY_NAME=([^\r\n]+)") or app.name
    config:close()
  end
  return answers.success(application_json(app))
end

local function delete(_, parameters)
  local app, err = state.find("applications", parameters.id)
  if not app then return refuse(err) end
  state.remove_resource("applications", parameters.id)
  return answers.success()
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
    if parameters.account == state.account and name then
      entry, missing = state.stored(kind, name, req.args.versionId)
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
  { "GET", "/v2/users/me", me },
  { "POST", "/v2/apps", upload },
  { "GET", "/v2/apps/:id", application },
  { "DELETE", "/v2/apps/:id", delete },
  { "GET", "/v2/apps/:id/status", status "applications" },
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
  local counted, too_many = state.count_request()
  if not counted then return refuse(too_many) end
  for _, route in ipairs(API) do
    local parameters = match(route, req.method, segments)
    if parameters then return route[3](req, parameters) end
  end
  return refuse { 404, "NOT_FOUND" }
end

return routes
