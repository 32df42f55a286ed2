-- luacheck: std ngx_lua
--- A request's way through the server: recorded, led through the faults that
-- match it, routed, answered. Owns the record of requests (what
-- `server:requests()` gives) and the requests under way.

local cjson = require "cjson"
local lfs = require "lfs"
local answers = require "answers"
local faults = require "faults"
local posix = require "posix"
local routes = require "routes"
local state = require "state"

local app = { records = {} }

local BODY_KEPT = 1024 * 1024
local REMOVALS = 10 -- of the folder, when the parent is gone
local under_way = {} -- by $serial, which an internal redirect keeps
local last_serial = 0

function app.boot(file)
  local boot = assert(io.open(file))
  local settings = cjson.decode(boot:read("*a"))
  boot:close()
  app.token = settings.token
  app.settings = settings
  state.boot(settings)
  local born, tries = posix.started_at(settings.parent), 0
  assert(ngx.timer.every(0.2, function()
    if posix.started_at(settings.parent) == born then return end
    -- what the parent had started may still write there
    pcall(posix.remove_tree, settings.dir)
    tries = tries + 1
    if tries >= REMOVALS or not lfs.symlinkattributes(settings.dir, "mode") then
      posix.terminate_self()
    end
  end))
end

--- Puts all back to the start; stalled requests end.
function app.reset()
  app.records = {}
  faults.clear()
  state.reset()
end

-- A large body stays in nginx's file: `body_file`, with its beginning as
-- `body`.
local function read_body(req)
  ngx.req.read_body()
  local body = ngx.req.get_body_data() or ""
  local bytes, path = #body, ngx.req.get_body_file()
  if path then
    local file = assert(io.open(path, "rb"))
    body, bytes = file:read(BODY_KEPT), file:seek("end")
    file:close()
    req.body_file = path
  end
  req.body = body
  req.record.body = body:sub(1, BODY_KEPT)
  req.record.body_bytes = bytes
end

local function new_request()
  local headers = ngx.req.get_headers(0)
  setmetatable(headers, nil) -- its metatable looks up other spellings
  local uri, method = ngx.var.request_uri, ngx.req.get_method()
  local args = ngx.req.get_uri_args(0)
  ngx.update_time()
  local record = {
    method = method, uri = uri, args = args, headers = headers, body = "",
    connection = tonumber(ngx.var.connection), time = ngx.now(),
    connection_requests = tonumber(ngx.var.connection_requests),
    protocol = ngx.var.server_protocol, scheme = ngx.var.scheme,
    port = tonumber(ngx.var.server_port), status = 0, faults = {},
  }
  return { method = method, uri = uri, args = args, headers = headers,
    path = uri:gsub("^https?://[^/]*", ""):match("^[^?]*"), record = record }
end

function app.handle()
  local req = new_request()
  local config = state.config
  if config.record then app.records[#app.records + 1] = req.record end
  last_serial = last_serial + 1
  ngx.var.serial = last_serial
  under_way[tostring(last_serial)] = req
  if config.latency_ms > 0 then state.sleep(config.latency_ms / 1000) end
  local matched = faults.matching(req)
  if not (matched[1] and matched[1].unread) then read_body(req) end
  if config.limit_rate > 0 and not req.path:find("^/v2/") then
    ngx.var.limit_rate = config.limit_rate
  end
  local answer = faults.run(matched, req, routes.answer)
  if answer then answers.send(req, answer) end
end

--- The status is known before the client can see it; what the static file
-- handler sends gets the headers of the answer.
function app.header_filter()
  local req = under_way[ngx.var.serial or ""]
  if not req then return end
  req.record.status = ngx.status
  local sent = req.sent
  if not sent then return end
  for name, value in pairs(sent.headers) do ngx.header[name] = value end
  if sent.file.etag then ngx.header["ETag"] = sent.file.etag end
  if sent.file.modified then
    ngx.header["Last-Modified"] = ngx.http_time(math.floor(sent.file.modified))
  end
end

function app.log()
  local req = under_way[ngx.var.serial or ""]
  if not req then return end
  under_way[ngx.var.serial or ""] = nil
  req.record.finished = true
  req.record.bytes_sent = tonumber(ngx.var.bytes_sent)
end

return app
