-- luacheck: std ngx_lua
--- Every fault the server knows, each one small function. It is given the
-- request, `ordinary` (gives the answer that would be sent; for a POST the
-- work is done then, and only then) and the arguments it was armed with, and
-- returns an answer or sends its own and returns nothing.
-- Owns no state. `raw`: writes bytes itself, so HTTP/1.1 only.

local cjson = require "cjson"
local answers = require "answers"
local posix = require "posix"
local state = require "state"

local faults = {}

local function define(name, run, applies)
  faults[name] = { run = run, applies = applies }
end

-- The ordinary answer with all its headers.
local function whole(req, ordinary)
  local answer = ordinary()
  return answer.read and answer or answers.explicit(req, answer)
end

-- The work is done, if asked, whatever is answered then.
local function work(ordinary, args)
  if args.work then ordinary() end
end

local function raw(req, bytes, status)
  req.record.status = status or 0
  local socket = answers.raw_socket(req)
  local sent, why = socket:send(bytes)
  if not sent then ngx.log(ngx.INFO, "the client went away: ", why) end
  return sent
end

local function raw_answer(req, explicit, more)
  raw(req, answers.head_bytes(explicit, more), explicit.status)
  answers.each_piece(explicit, nil, function(piece)
    raw(req, piece, explicit.status)
  end)
end

-- Waits until the spec says release() (true) or starts anew (false).
local function wait_for_release(req)
  local released, generation = state.released, state.generation
  req.record.stalled = true
  repeat
    ngx.sleep(0.01)
    if generation ~= state.generation then return false end
  until released ~= state.released
  req.record.stalled = nil
  return true
end

local function with_body(explicit, body)
  explicit.length = #body
  explicit.read = function(at, count) return body:sub(at + 1, at + count) end
  explicit.headers["Content-Length"] = ("%d"):format(#body)
  return explicit
end

------------------------------------------------------------- the connection

-- RST: before any answer, or after `bytes` of the ordinary one's body (0: its
-- head alone). `unread`: before the request's body is read; `work`.
define("reset", function(req, ordinary, args)
  if args.bytes then
    answers.send_pieces(req, whole(req, ordinary), args.bytes)
  else
    work(ordinary, args)
  end
  local ok, why = posix.reset_connection()
  if not ok then ngx.log(ngx.ERR, why) end
  return answers.hang_up()
end)

-- The connection is closed without a byte. `work`.
define("empty_reply", function(_, ordinary, args)
  work(ordinary, args)
  return answers.hang_up()
end)

-- A request that is not its connection's first gets no answer, as when the
-- server has just closed a kept connection. `reset`: RST instead.
define("drop_kept", function(_, ordinary, args)
  work(ordinary, args)
  if args.reset then posix.reset_connection() end
  return answers.hang_up()
end, function(req) return req.record.connection_requests > 1 end)

-- Answers in full as if the connection were kept, and closes it. raw
define("close_after", function(req, ordinary)
  raw_answer(req, whole(req, ordinary), { "Connection: keep-alive" })
  return answers.hang_up()
end)

-- The body ends after `bytes`. `framing`: "length" (announced in full),
-- "chunked" (no last chunk), "close" (ended by closing, no length; raw).
define("cut", function(req, ordinary, args)
  local explicit, bytes = whole(req, ordinary), args.bytes or 0
  if args.framing == "close" then
    explicit.headers["Content-Length"] = nil
    raw(req, answers.head_bytes(explicit, { "Connection: close" }),
      explicit.status)
    answers.each_piece(explicit, bytes, function(piece)
      raw(req, piece, explicit.status)
    end)
    return answers.hang_up()
  end
  if args.framing == "chunked" then
    explicit.headers["Content-Length"] = nil
  end
  answers.send_pieces(req, explicit, bytes)
  return answers.hang_up()
end)

-- Chunks; after `bytes` a size that is none. raw
define("chunked_malformed", function(req, ordinary, args)
  local explicit = whole(req, ordinary)
  explicit.headers["Content-Length"] = nil
  explicit.headers["Transfer-Encoding"] = "chunked"
  raw(req, answers.head_bytes(explicit), explicit.status)
  answers.each_piece(explicit, args.bytes or 100, function(piece)
    raw(req, ("%x\r\n%s\r\n"):format(#piece, piece), explicit.status)
  end)
  raw(req, args.junk or "zz not a size\r\n", explicit.status)
  return answers.hang_up()
end)

-- The full answer in chunks, well formed, no length.
define("chunked", function(req, ordinary)
  local explicit = whole(req, ordinary)
  explicit.headers["Content-Length"] = nil
  return explicit
end)

-- The full answer without a length, ended by closing. raw
define("no_length", function(req, ordinary)
  local explicit = whole(req, ordinary)
  explicit.headers["Content-Length"] = nil
  raw_answer(req, explicit, { "Connection: close" })
  return answers.hang_up()
end)

-- `bytes` exactly, instead of an answer. `keep`: the connection stays open.
-- raw
define("raw", function(req, ordinary, args)
  work(ordinary, args)
  raw(req, args.bytes or "")
  if args.keep then wait_for_release(req) end
  return answers.hang_up()
end)

-- A body without status line or headers. raw
define("http09", function(req, _, args)
  raw(req, args.body or "this is not HTTP\r\n")
  return answers.hang_up()
end)

------------------------------------------------------------------- lengths

-- More body than Content-Length says: `extra` bytes behind it. raw
define("more_than_announced", function(req, ordinary, args)
  local explicit = whole(req, ordinary)
  raw_answer(req, explicit, args.close and { "Connection: close" })
  raw(req, ("x"):rep(args.extra or 1000), explicit.status)
  return answers.hang_up()
end)

-- Content-Length as given: `values`, one line each (overflowing, negative,
-- two that differ …); the ordinary body. raw
define("content_length", function(req, ordinary, args)
  local explicit = whole(req, ordinary)
  explicit.headers["Content-Length"] = args.values
  raw_answer(req, explicit)
  return answers.hang_up()
end)

-------------------------------------------------------------------- ranges

-- 200 and everything, whatever range was asked for. `refuse`: and says so.
define("ignore_range", function(req, ordinary, args)
  req.ignore_range = true
  local answer = whole(req, ordinary)
  answer.headers["Accept-Ranges"] = args.refuse and "none" or nil
  return answer
end)

-- 416, with the object's size or `total` in Content-Range.
define("range_not_satisfiable", function(req, ordinary, args)
  req.ignore_range = true
  local total = args.total or whole(req, ordinary).total
  return answers.text(416, "text/html", "<h1>416</h1>\n",
    { ["Content-Range"] = ("bytes */%d"):format(total) })
end)

-- A 206 whose Content-Range is not what was asked for: `start`, `stop`,
-- `total` are added to the right numbers; `value` is the header itself, false
-- leaves it out; `length`: the body has that many bytes more (or fewer) than
-- the range; `multipart`: a part with its own headers in the body.
define("content_range", function(req, ordinary, args)
  local explicit = whole(req, ordinary)
  local value = args.value
  if value == nil then
    value = ("bytes %d-%d/%d"):format(explicit.first + (args.start or 0),
      explicit.last + (args.stop or 0), explicit.total + (args.total or 0))
  end
  explicit.status = 206
  explicit.headers["Content-Range"] = value or nil
  if args.length then
    local body = explicit.read(0, explicit.length)
    with_body(explicit, args.length < 0 and body:sub(1, args.length - 1)
      or body .. ("x"):rep(args.length))
  elseif args.multipart then
    explicit.headers["Content-Range"] = nil
    explicit.headers["Content-Type"] = "multipart/byteranges; boundary=cut"
    with_body(explicit, ("\r\n--cut\r\nContent-Range: %s\r\n\r\n%s"
      .. "\r\n--cut--\r\n"):format(value, explicit.read(0, explicit.length)))
  end
  return explicit
end)

-- A 206 with only `bytes` of those asked for, and headers that say so.
define("short_range", function(req, ordinary, args)
  local explicit = whole(req, ordinary)
  local count = math.min(args.bytes, explicit.length)
  explicit.status, explicit.length = 206, count
  explicit.headers["Content-Length"] = ("%d"):format(count)
  explicit.headers["Content-Range"] = ("bytes %d-%d/%d"):format(
    explicit.first, explicit.first + count - 1, explicit.total)
  return explicit
end)

-- Another etag than the object's: If-Range and If-Match go by it.
define("etag", function(_, ordinary, args)
  local answer = ordinary()
  if answer.file then answer.file.etag = args.value or '"another"' end
  return answer
end)

------------------------------------------------------------------- answers

-- Any answer: `status`, `headers`, and one of `body`, `json` (a table), or
-- `code` and `message` (the API's envelope); `work`.
define("respond", function(_, ordinary, args)
  work(ordinary, args)
  local status = args.status or 200
  if args.code then
    return answers.failure { status, args.code, args.message, args.headers }
  end
  if args.json then
    return answers.json(status, cjson.encode(args.json), args.headers)
  end
  return answers.text(status, args.type or "text/plain", args.body or "",
    args.headers)
end)

-- The store's XML error: `status`, `code`, `message`, `headers`.
define("store_error", function(_, _, args)
  local answer = answers.store_failure(args.status or 503,
    args.code or "SlowDown", args.message or "Please reduce your request rate.")
  for name, value in pairs(args.headers or {}) do
    answer.headers[name] = value
  end
  return answer
end)

-- 403 of an address past its time.
define("expired", function()
  return answers.store_failure(403, "AccessDenied", "Request has expired")
end)

-- 429 (or `status`) with `code`; `retry_after`: the header as given, or
-- `date`: that many seconds from now as an HTTP date.
define("rate_limited", function(_, ordinary, args)
  work(ordinary, args)
  local after = args.retry_after
  if args.date then
    after = ngx.http_time(math.ceil(ngx.now()) + args.date)
  end
  return answers.failure { args.status or 429, args.code or "KEEP_CALM",
    args.message, { ["Retry-After"] = after and tostring(after) or nil } }
end)

-- A gateway's HTML page: `status` 502. With 200 it is a page where the
-- object should be.
define("html", function(_, ordinary, args)
  work(ordinary, args)
  return answers.text(args.status or 502, "text/html", args.body or
    "<html><body><h1>Bad Gateway</h1></body></html>\n", args.headers)
end)

-- No body at all: `status` 200, 204, 304, …
define("nothing", function(_, ordinary, args)
  work(ordinary, args)
  return { status = args.status or 200, headers = {}, body = "" }
end)

-- The ordinary answer with headers `set` (name to value) or `remove`d (array).
define("headers", function(req, ordinary, args)
  local explicit = whole(req, ordinary)
  for name, value in pairs(args.set or {}) do explicit.headers[name] = value end
  for _, name in ipairs(args.remove or {}) do explicit.headers[name] = nil end
  return explicit
end)

-- The ordinary answer with another `body`, or only the first `bytes` of its
-- own, under a length that fits.
define("body", function(req, ordinary, args)
  local explicit = whole(req, ordinary)
  return with_body(explicit,
    args.body or explicit.read(0, args.bytes or explicit.length))
end)

-- JSON that is nested `depth` deep.
define("json_deep", function(_, _, args)
  local depth = args.depth or 100000
  return answers.success(("["):rep(depth) .. ("]"):rep(depth))
end)

-- JSON of at least `bytes`.
define("json_huge", function(_, _, args)
  return answers.success('["' .. ("a"):rep(args.bytes or 16 * 1024 * 1024)
    .. '"]')
end)

-- The body as gzip (stored, not compressed), and Content-Encoding says so.
-- `label`: only the header, over the ordinary body.
define("gzip", function(req, ordinary, args)
  local explicit = whole(req, ordinary)
  explicit.headers["Content-Encoding"] = "gzip"
  if args.label then return explicit end
  local body = explicit.read(0, explicit.length) or ""
  local parts = { "\31\139\8\0\0\0\0\0\0\255" }
  local function little(number, count)
    local bytes = {}
    for i = 1, count do
      bytes[i] = string.char(number % 256)
      number = math.floor(number / 256)
    end
    return table.concat(bytes)
  end
  for at = 1, math.max(#body, 1), 65535 do
    local block = body:sub(at, at + 65534)
    parts[#parts + 1] = (at + 65535 > #body and "\1" or "\0")
      .. little(#block, 2) .. little(65535 - #block, 2) .. block
  end
  parts[#parts + 1] = little(ngx.crc32_long(body), 4) .. little(#body, 4)
  return with_body(explicit, table.concat(parts))
end)

----------------------------------------------------------------- redirects

-- `to`: "self" (with `times`: that many hops, else a loop), "other_host"
-- (localhost and 127.0.0.1 change places), "plain" (to http), "file", "" (an
-- empty Location), false (none), or any Location. `status` 302.
define("redirect", function(req, _, args)
  local host, port = ngx.var.host, ngx.var.server_port
  local scheme, to = ngx.var.scheme, args.to
  local known = {
    self = scheme .. "://" .. host .. ":" .. port .. req.uri,
    other_host = scheme .. "://" .. (host == "localhost" and "127.0.0.1"
      or "localhost") .. ":" .. port .. req.uri,
    plain = ("http://%s:%d%s"):format(host, state.ports.http, req.uri),
    file = "file:///etc/hostname",
  }
  local location = to
  if to == nil then location = known.self end
  location = known[location] or location
  if location == "" then -- nginx leaves out a header without a value
    raw(req, ("HTTP/1.1 %d Found\r\nLocation: \r\nContent-Length: 0\r\n"
      .. "Connection: close\r\n\r\n"):format(args.status or 302),
      args.status or 302)
    return answers.hang_up()
  end
  return { status = args.status or 302, body = "",
    headers = { Location = location or nil } }
end)

---------------------------------------------------------------------- time

-- `ms` before the ordinary answer.
define("delay", function(_, ordinary, args)
  state.sleep((args.ms or 0) / 1000)
  return ordinary()
end)

-- At most `bytes_per_second` on this connection.
define("limit_rate", function(_, ordinary, args)
  ngx.var.limit_rate = args.bytes_per_second
  return ordinary()
end)

-- Silence until release() or the client goes: before the answer, with `bytes`
-- in mid-body after so many, with `head` (raw) in mid-head. Released, it goes
-- on to the end. `work`: a POST's work is done before the silence. `unread`:
-- its body is not read meanwhile.
define("stall", function(req, ordinary, args)
  if args.head then
    local explicit = whole(req, ordinary)
    local head = answers.head_bytes(explicit)
    raw(req, head:sub(1, 20), explicit.status)
    if wait_for_release(req) then
      raw(req, head:sub(21), explicit.status)
      answers.each_piece(explicit, nil, function(piece)
        raw(req, piece, explicit.status)
      end)
    end
    return answers.hang_up()
  end
  if not args.bytes then
    local answer = args.work and ordinary()
    if not wait_for_release(req) then return answers.hang_up() end
    return answer or ordinary()
  end
  local explicit = whole(req, ordinary)
  answers.send_pieces(req, explicit, args.bytes)
  if not wait_for_release(req) then return answers.hang_up() end
  answers.send_pieces(req, explicit, nil, math.min(args.bytes, explicit.length))
end)

-- After `after` bytes of the body, `bytes` (1) every `every_ms` (500). With
-- `head` (raw) it is the head that drips, and the body comes as usual.
define("drip", function(req, ordinary, args)
  local explicit, generation = whole(req, ordinary), state.generation
  local bytes, pause = args.bytes or 1, (args.every_ms or 500) / 1000
  local function drip(length, use, from)
    for at = from, length - 1, bytes do
      use(at, math.min(bytes, length - at))
      state.sleep(pause)
      if generation ~= state.generation then return answers.hang_up() end
    end
  end
  if args.head then
    local head = answers.head_bytes(explicit)
    drip(#head, function(at, count)
      raw(req, head:sub(at + 1, at + count), explicit.status)
    end, 0)
    answers.each_piece(explicit, nil, function(piece)
      raw(req, piece, explicit.status)
    end)
    return answers.hang_up()
  end
  local first = math.min(args.after or 0, explicit.length)
  answers.send_pieces(req, explicit, first)
  drip(explicit.length, function(at, count)
    ngx.print((explicit.read(at, count)))
    ngx.flush(true)
  end, first)
end)

---------------------------------------------------------------- large heads

-- One header line of `bytes` (200 KB). raw
define("long_header", function(req, ordinary, args)
  raw_answer(req, whole(req, ordinary),
    { "X-Long: " .. ("a"):rep(args.bytes or 200 * 1024) })
  return answers.hang_up()
end)

-- Header lines of about `bytes` (4 MB) in all. raw
define("many_headers", function(req, ordinary, args)
  local lines = {}
  for i = 1, math.ceil((args.bytes or 4 * 1024 * 1024) / 1024) do
    lines[i] = ("X-Line-%06d: %s"):format(i, ("b"):rep(1006))
  end
  raw_answer(req, whole(req, ordinary), lines)
  return answers.hang_up()
end)

return faults
