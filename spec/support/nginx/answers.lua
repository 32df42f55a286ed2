-- luacheck: std ngx_lua
--- Answers as values, and the three ways to send one: by nginx's static file
-- handler (ranges and all), piece by piece through nginx, or as raw bytes on
-- the socket. A fault takes the answer that would be given, alters it or
-- sends it its own way. Owns no state.
--
-- An answer: { status, headers = { [name] = value }, body = string } or
-- { status, headers, file = { path, size, etag, modified } }. `explicit`
-- makes of either one that has all its headers, `length` and `read(at, n)`.

local lfs = require "lfs"
local signature = require "signature"

local answers = {}

local PIECE = 256 * 1024

local REASONS = {
  [200] = "OK", [206] = "Partial Content", [202] = "Accepted",
  [204] = "No Content", [302] = "Moved Temporarily", [304] = "Not Modified",
  [416] = "Requested Range Not Satisfiable",
}

function answers.text(status, content_type, body, headers)
  headers = headers or {}
  headers["Content-Type"] = headers["Content-Type"] or content_type
  return { status = status, headers = headers, body = body }
end

--- A JSON answer from JSON text.
function answers.json(status, text, headers)
  return answers.text(status, "application/json; charset=utf-8", text, headers)
end

--- The envelope of a success; `response` is JSON text or nil.
function answers.success(response)
  return answers.json(200, response
    and ('{"status":"success","response":' .. response .. "}")
    or '{"status":"success"}')
end

--- The envelope of an error: { http status, code, message, headers }.
function answers.failure(err)
  local message = err[3] and (',"message":' .. signature.json(err[3])) or ""
  return answers.json(err[1], ('{"status":"error","code":%s%s}'):format(
    signature.json(err[2]), message), err[4])
end

--- The store's XML error.
function answers.store_failure(status, code, message)
  return answers.text(status, "application/xml",
    ('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>%s</Code>'
    .. "<Message>%s</Message><RequestId>%s</RequestId></Error>"):format(
    code, message or code, ngx.var.request_id:sub(1, 16)))
end

--- A file's answer. Without `etag` and `modified` nginx's own are used.
function answers.file(path, content_type, etag, modified)
  local size = lfs.attributes(path, "size")
  if not size then return nil end
  return { status = 200, headers = { ["Content-Type"] = content_type },
    file = { path = path, size = size, etag = etag, modified = modified } }
end

-- If-Match, If-None-Match, If-Modified-Since on a file with an etag of ours:
-- nginx would compare with its own.
local function conditional(req, file)
  local headers = req.headers
  local wanted, unwanted = headers["if-match"], headers["if-none-match"]
  local since = headers["if-modified-since"]
  for _, name in ipairs { "If-Match", "If-None-Match", "If-Modified-Since",
    "If-Unmodified-Since" } do
    ngx.req.clear_header(name)
  end
  local function among(list)
    if list == "*" then return true end
    for tag in list:gmatch('W?/?"[^"]*"') do
      if tag == file.etag then return true end
    end
    return false
  end
  if wanted and not among(wanted) then
    return answers.text(412, "text/plain", "precondition failed\n")
  end
  if unwanted and among(unwanted)
    or not unwanted and since and file.modified
    and (ngx.parse_http_time(since) or 0) >= math.floor(file.modified) then
    return { status = 304, headers = { ETag = file.etag }, body = "" }
  end
end

-- The range of a request that asks for one part of a file: first and last
-- byte; nil when it asks for none that counts, false when for one past the end.
local function range_of(req, file)
  local range, guard = req.headers.range, req.headers["if-range"]
  if not range or req.method ~= "GET" or req.ignore_range then return nil end
  if guard and guard ~= file.etag
    and guard ~= ngx.http_time(math.floor(file.modified)) then
    return nil
  end
  local first, last = range:match("^bytes=(%d*)%-(%d*)$")
  if not first or first == "" and last == "" then return nil end
  if first == "" then
    first = math.max(0, file.size - tonumber(last))
    last = file.size - 1
  else
    first = tonumber(first)
    last = math.min(tonumber(last) or math.huge, file.size - 1)
  end
  if first >= file.size or last < first then return false end
  return first, last
end

local function reader(path)
  return function(at, count)
    local file = io.open(path, "rb")
    if not file then return nil end
    file:seek("set", at)
    local bytes = file:read(count)
    file:close()
    return bytes
  end
end

--- The answer with all its headers written out, nothing left to nginx:
-- status, headers, length, read(at, count), and for a file `first`, `last`,
-- `total`.
function answers.explicit(req, answer)
  local result = { status = answer.status, headers = {}, length = 0 }
  for name, value in pairs(answer.headers) do result.headers[name] = value end
  local headers, file = result.headers, answer.file
  if not file then
    local body = answer.body or ""
    result.length, result.first, result.total = #body, 0, #body
    result.last = #body - 1
    result.read = function(at, count) return body:sub(at + 1, at + count) end
    headers["Content-Length"] = ("%d"):format(#body)
    return result
  end
  file.modified = file.modified or lfs.attributes(file.path, "modification")
  file.etag = file.etag or ('"%x-%x"'):format(file.modified, file.size)
  local first, last = range_of(req, file)
  headers["ETag"], headers["Accept-Ranges"] = file.etag, "bytes"
  headers["Last-Modified"] = ngx.http_time(math.floor(file.modified))
  result.total = file.size
  if first == false then
    result.status, result.first, result.last = 416, 0, -1
    headers["Content-Range"] = ("bytes */%d"):format(file.size)
    headers["Content-Length"] = "0"
    result.read = function() return "" end
    return result
  end
  if first then
    result.status = 206
    headers["Content-Range"] =
      ("bytes %d-%d/%d"):format(first, last, file.size)
  end
  first, last = first or 0, last or file.size - 1
  result.first, result.last, result.length = first, last, last - first + 1
  headers["Content-Length"] = ("%d"):format(result.length)
  local read = reader(file.path)
  result.read = function(at, count) return read(first + at, count) end
  return result
end

--- The first `limit` bytes of an explicit answer's body, piece by piece;
-- `use` is called with each.
function answers.each_piece(explicit, limit, use, from)
  local at = from or 0
  limit = math.min(limit or explicit.length, explicit.length)
  while at < limit do
    local piece = explicit.read(at, math.min(PIECE, limit - at))
    if not piece or piece == "" then break end
    use(piece)
    at = at + #piece
  end
end

--- Sends an explicit answer's head through nginx (any protocol).
function answers.send_head(req, explicit)
  req.record.status = explicit.status
  ngx.status = explicit.status
  for name, value in pairs(explicit.headers) do ngx.header[name] = value end
  ngx.send_headers()
end

--- Sends up to `limit` bytes of an explicit answer through nginx, and waits
-- until they are written. Head first unless `from` says where to go on.
function answers.send_pieces(req, explicit, limit, from)
  if not from then answers.send_head(req, explicit) end
  answers.each_piece(explicit, limit, function(piece)
    ngx.print(piece)
    ngx.flush(true)
  end, from)
  ngx.flush(true)
end

--- Sends an answer, the ordinary way.
function answers.send(req, answer)
  if answer.read then return answers.send_pieces(req, answer) end
  if answer.file then
    if answer.file.etag then
      local other = conditional(req, answer.file)
      if other then return answers.send(req, other) end
    end
    if req.ignore_range then ngx.req.clear_header("Range") end
    req.sent = answer
    ngx.var.object_path = answer.file.path
    return ngx.exec("/_static")
  end
  ngx.status = answer.status
  for name, value in pairs(answer.headers) do ngx.header[name] = value end
  local body = answer.body or ""
  if answer.status ~= 204 and answer.status ~= 304 then
    ngx.header["Content-Length"] = #body
  end
  if req.method ~= "HEAD" then ngx.print(body) end
  ngx.eof()
end

--- The bytes of an explicit answer's head. Its headers' values may be arrays:
-- then one line each. `order` puts some names first.
function answers.head_bytes(explicit, more)
  local lines = { ("HTTP/1.1 %d %s"):format(explicit.status,
    REASONS[explicit.status] or "Status"),
    "Server: nginx", "Date: " .. ngx.http_time(ngx.time()) }
  for name, value in pairs(explicit.headers) do
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      lines[#lines + 1] = name .. ": " .. one
    end
  end
  for _, line in ipairs(more or {}) do lines[#lines + 1] = line end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

--- The socket beneath an HTTP/1.1 connection, for bytes nginx would not send.
-- Under HTTP/2 there is none: the request is answered 500 with the reason.
function answers.raw_socket(req)
  if not req.socket then
    local ok, socket, why = pcall(ngx.req.socket, true)
    if not ok or not socket then
      why = ok and why or socket
      answers.send(req, answers.text(500, "text/plain",
        "this fault writes raw bytes: " .. tostring(why) .. "\n"))
      return ngx.exit(ngx.OK)
    end
    req.socket = socket
    socket:settimeout(3600 * 1000)
  end
  return req.socket
end

--- Ends the connection: nothing more is sent, no lingering.
function answers.hang_up()
  return ngx.exit(444)
end

return answers
