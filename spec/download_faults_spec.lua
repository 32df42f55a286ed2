--- What can go wrong between a download and the store: one row per fault, as
-- the fault happens each time (which error, after how many requests, what
-- stays on the disk) and once (then the download goes on by itself). How the
-- rows are read and run: spec/support/download_rows.lua. Rows 22 to 30 and 36
-- are in spec/download/ and spec/download_spec.lua.

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local rows = require "spec.support.download_rows"
local server = require "spec.support.server"

local SIZE, LARGE = #downloads.archive(64), #downloads.archive(1024)
local FIRST = "bytes=0-"
local REST = ("bytes=30000-%d"):format(SIZE - 1)
local QUICK = { stall_timeout = 1 }
local RANGED = { pattern = "^/[adf][^?]*/", range = true }

local function at(name, path)
  return function(s)
    return s[name] .. (path or "/files/r.zip")
  end
end

local function secure(name)
  return function(s)
    return s[name]:gsub("^http:", "https:") .. "/files/r.zip"
  end
end

-- An answer's range that is not what was asked for, and the same to a part.
local function distrusted(what, fault)
  fault.match = RANGED
  return { 7, what, fault, asked = 2, ranges = { FIRST, "" } },
    { 7, what .. ", to a part", fault, resume = true, asked = 2,
      ranges = { REST, "" } }
end

local function add(list, ...)
  for _, row in ipairs { ... } do list[#list + 1] = row end
end

local connection = {
  { 1, "the connection is refused", kind = "network", asked = 2, again = true,
    url = at "refused", unseen = true },
  -- a name server that does not answer is waited for, too
  { 1, "the name is not found", kind = "network", asked = 2, again = true,
    url = function() return "https://nothing.invalid/r.zip" end,
    unseen = true, client = { connect_timeout = 60 } },
  { 1, "nobody takes the connection", kind = "timeout", asked = 2,
    again = true, url = at "black_hole", unseen = true,
    client = { connect_timeout = 0.2 } },
  { 2, "the certificate is self-signed", kind = "tls", asked = 1,
    url = at "self_signed", unseen = true },
  { 2, "the certificate has expired", kind = "tls", asked = 1,
    url = at "expired", unseen = true },
  { 2, "the certificate is another host's", kind = "tls", asked = 1,
    url = at "wrong_host", unseen = true },
  { 2, "the server knows no modern TLS", kind = "tls", asked = 1,
    url = at "old_tls", unseen = true },
  { 2, "the CA file is missing", kind = "tls", asked = 1, url = "https",
    client = { ca_file = "/nonexistent/ca.pem" }, unseen = true },
  { 2, "the CA file knows nobody", kind = "tls", asked = 1, url = "https",
    client = { ca_file = "/dev/null" }, unseen = true },
  { 2, "the port speaks no TLS and says nothing", kind = "timeout", asked = 2,
    again = true, url = secure "silent", unseen = true,
    client = { connect_timeout = 0.2 } },
  { 3, "a reset before any answer", { fault = "reset" }, kind = "network",
    asked = 2, again = true, once = 2 },
  { 3, "a reset behind the head", { fault = "reset", bytes = 0 },
    kind = "network", asked = 2, again = true, once = 2, kept = "maybe" },
  { 3, "a reset in mid-body", { fault = "reset", bytes = 30000 },
    kind = "network", asked = 2, again = true, once = 2, kept = "maybe" },
  { 3, "a reset in mid-body over TLS", { fault = "reset", bytes = 30000 },
    kind = "network", asked = 2, again = true, once = 2, kept = "maybe",
    url = "https" },
  { 3, "an empty reply", { fault = "empty_reply" }, kind = "network",
    asked = 2, again = true, once = 2 },
  { 3, "an empty reply over TLS", { fault = "empty_reply" }, kind = "network",
    asked = 2, again = true, once = 2, url = "https" },
  { 3, "an empty reply to a part", { fault = "empty_reply" },
    kind = "network", asked = 2, again = true, once = 2, resume = true,
    kept = true, ranges = { REST, REST } },
  { 4, "cut short with a length", { fault = "cut", bytes = 30000 },
    kind = "network", asked = 2, again = true, kept = true, once = 2,
    ranges = { FIRST, REST } },
  { 4, "cut short with a length over TLS", { fault = "cut", bytes = 30000 },
    kind = "network", asked = 2, again = true, kept = true, once = 2,
    ranges = { FIRST, REST }, url = "https" },
  { 4, "cut short, and no retries", { fault = "cut", bytes = 30000 },
    kind = "network", asked = 1, again = true, kept = true, retries = 0 },
  { 4, "cut short behind the head", { fault = "cut", bytes = 0 },
    kind = "network", asked = 2, again = true, once = 2 },
  { 5, "a range cut short without a length",
    { fault = "cut", bytes = 30000, framing = "close" }, kind = "integrity",
    asked = 2, again = true, kept = true, once = 2, ranges = { FIRST, REST } },
  { 5, "all of it, cut short without a length", {
    { fault = "cut", bytes = 30000, framing = "close" },
    { fault = "ignore_range" } }, kind = "integrity", asked = 2, once = 2,
    ranges = { FIRST, "" } },
  { 5, "the same, its size known", {
    { fault = "cut", bytes = 30000, framing = "close" },
    { fault = "ignore_range" } }, kind = "integrity", asked = 2, again = true,
    once = 2, info = true },
  { 5, "cut within the first four bytes", {
    { fault = "cut", bytes = 3, framing = "close" },
    { fault = "ignore_range" } }, kind = "integrity", asked = 2, once = 2 },
  { 6, "no length, in chunks", { fault = "chunked" }, asked = 1 },
  { 6, "no length, ended by closing", { fault = "no_length" }, asked = 1 },
  { 6, "no length, and no range", { { fault = "no_length" },
    { fault = "ignore_range" } }, asked = 1 },
  { 6, "chunks cut short",
    { fault = "cut", bytes = 30000, framing = "chunked" }, kind = "network",
    asked = 2, again = true, kept = true, once = 2 },
  { 6, "a chunk that is none", { fault = "chunked_malformed", bytes = 30000 },
    kind = "protocol", asked = 2, again = true, kept = true, once = 2 },
}

local ranges = {
  { 7, "a range that is wrong whatever is asked for",
    { fault = "content_range", start = 7 }, kind = "protocol", asked = 2 },
  { 7, "another total than the listing's",
    { fault = "content_range", total = 5 }, kind = "integrity", asked = 1,
    info = true },
  { 7, "a total that is not reached", retries = 2,
    { fault = "content_range", total = 5, times = 1 }, asked = 3,
    ranges = { FIRST, ("bytes=%d-%d"):format(SIZE, SIZE + 4), "" } },
  { 7, "another total than the part's", { fault = "content_range", total = 5 },
    kind = "integrity", message = "changed", asked = 1, resume = true,
    retries = 0 },
  { 7, "fewer bytes than the range", { fault = "content_range", length = -3 },
    kind = "protocol", asked = 1 },
  { 7, "more bytes than the range", { fault = "content_range", length = 3 },
    kind = "protocol", asked = 1 },
  { 7, "fewer bytes than the range, to a part", resume = true,
    { fault = "content_range", length = -3 }, kind = "protocol", asked = 1 },
  { 7, "shorter ranges than asked for", size = 1024, asked = 4,
    { fault = "short_range", bytes = 300000 }, ranges = { FIRST,
      ("bytes=300000-%d"):format(LARGE - 1),
      ("bytes=600000-%d"):format(LARGE - 1),
      ("bytes=900000-%d"):format(LARGE - 1) } },
  { 7, "crumbs of what was asked for", { fault = "short_range",
    bytes = 20000 }, kind = "protocol", asked = 2, again = true, kept = true,
    once = 2, ranges = { FIRST, ("bytes=20000-%d"):format(SIZE - 1) } },
  { 8, "ranges are ignored", { fault = "ignore_range" }, asked = 1,
    ranges = { FIRST } },
  { 8, "ranges are refused", { fault = "ignore_range", refuse = true },
    asked = 1, ranges = { FIRST } },
  { 8, "a part's range is ignored", { fault = "ignore_range" }, asked = 1,
    resume = true, ranges = { REST } },
  { 8, "a part's range is ignored, the answer is cut", {
    { fault = "cut", bytes = 40000 }, { fault = "ignore_range" } },
    kind = "network", asked = 2, again = true, once = 2, resume = true,
    ranges = { REST, "" } },
  { 9, "416 to a part", { fault = "range_not_satisfiable", times = 1 },
    asked = 2, resume = true, ranges = { REST, "" } },
  { 9, "416 that says the part is all", asked = 2, resume = true,
    { fault = "range_not_satisfiable", total = 30000, times = 1 },
    ranges = { REST, "" } },
  { 9, "416 whatever is asked for", { fault = "range_not_satisfiable" },
    kind = "bad_request", asked = 2, resume = true },
  { 10, "another etag than the part's", { fault = "etag" }, asked = 1,
    resume = true, ranges = { REST } },
  { 10, "another etag in a range", { fault = "headers",
    set = { ETag = '"other"' } }, asked = 2, resume = true,
    ranges = { REST, "" } },
  { 10, "an etag that comes late", { { fault = "cut", bytes = 30000,
    times = 1 }, { fault = "headers", remove = { "ETag" }, times = 1 } },
    retries = 2, asked = 3, ranges = { FIRST, REST, "" } },
  { 10, "another time of change, without an etag", { { fault = "cut",
    bytes = 30000, times = 1 }, { fault = "headers", remove = { "ETag" } },
    { fault = "headers", times = 1, set = { ["Last-Modified"] =
      "Thu, 27 Jun 2024 06:23:42 GMT" } } }, retries = 2, asked = 3,
    ranges = { FIRST, REST, "" } },
  { 10, "no etag at all", { { fault = "cut", bytes = 30000, times = 1 },
    { fault = "headers", remove = { "ETag" } } }, asked = 2,
    ranges = { FIRST, REST } },
  { 10, "412", { fault = "respond", status = 412 }, kind = "integrity",
    asked = 2, once = 2, resume = true, ranges = { REST, "" } },
  { 10, "another size of the same version", { { fault = "body",
    bytes = 20000 }, { fault = "ignore_range" } }, kind = "integrity",
    asked = 1, resume = true, message = "changed" },
}
add(ranges, distrusted("a range from elsewhere",
  { fault = "content_range", start = 7 }))
add(ranges, distrusted("a range that ends behind the file",
  { fault = "content_range", stop = 5 }))
add(ranges, distrusted("a total smaller than the range",
  { fault = "content_range", total = -1 }))
add(ranges, distrusted("no Content-Range",
  { fault = "content_range", value = false }))
add(ranges, distrusted("a Content-Range that cannot be read",
  { fault = "content_range", value = "bytes what" }))
add(ranges, distrusted("several parts",
  { fault = "content_range", multipart = true }))

local answers = {
  { 11, "the address has expired", { fault = "expired" }, kind = "expired",
    asked = 1, err = { http_status = 403 } },
  { 11, "the address of a part has expired", { fault = "expired" },
    kind = "expired", asked = 1, resume = true, kept = true },
  { 11, "the address is past its time, whatever the store says",
    kind = "expired", asked = 1, url = function(_, entry)
      return (entry.http_url:gsub("Expires=%d+", "Expires=1000"))
    end },
  { 11, "403", { fault = "store_error", status = 403, code = "AccessDenied",
    message = "Access Denied" }, kind = "permission", asked = 1,
    message = "Access Denied",
    err = { http_status = 403, code = "AccessDenied" } },
  { 11, "403 to a part", { fault = "store_error", status = 403,
    code = "AccessDenied", message = "Access Denied" },
    kind = "permission", asked = 1, resume = true, kept = true },
  { 11, "401", { fault = "store_error", status = 401, code = "Unauthorized" },
    kind = "permission", asked = 1, err = { http_status = 401 } },
  { 11, "400", { fault = "store_error", status = 400, code = "BadDigest" },
    kind = "bad_request", asked = 1, err = { code = "BadDigest" } },
  { 11, "a wrong signature", kind = "permission", asked = 1,
    url = function(_, entry)
      return (entry.http_url:gsub("Signature=", "Signature=xx"))
    end },
  { 12, "404", { fault = "store_error", status = 404, code = "NoSuchKey" },
    kind = "not_found", asked = 1,
    err = { http_status = 404, code = "NoSuchKey" } },
  { 12, "404 to a part", { fault = "store_error", status = 404,
    code = "NoSuchVersion" },
    kind = "not_found", asked = 1, resume = true, kept = false },
  { 12, "410", { fault = "respond", status = 410 }, kind = "not_found",
    asked = 1 },
  { 13, "a gateway's page", { fault = "html" }, kind = "server", asked = 2,
    again = true, once = 2, err = { http_status = 502 } },
  { 13, "SlowDown under another status", { fault = "store_error",
    status = 400 }, kind = "server", asked = 2, again = true, once = 2,
    err = { code = "SlowDown" } },
  { 13, "an error of megabytes", { fault = "respond", status = 500,
    body = ("<Code>x</Code>"):rep(20000) }, kind = "server", asked = 2,
    again = true, once = 2 },
  { 13, "503 to a part", { fault = "store_error" }, kind = "server",
    asked = 2, again = true, once = 2, resume = true, kept = true,
    ranges = { REST, REST } },
  { 13, "503 for longer than is waited", { fault = "store_error",
    headers = { ["Retry-After"] = "301" } }, kind = "server", asked = 1,
    again = true, err = { retry_after = 301 } },
  { 14, "429 with seconds", { fault = "rate_limited", retry_after = 1 },
    kind = "rate_limited", asked = 2, again = true, once = 2,
    err = { http_status = 429, retry_after = 1 } },
  { 14, "429 with a date", { fault = "rate_limited", date = 1 },
    kind = "rate_limited", asked = 2, again = true, once = 2 },
  { 14, "429 with a date far off", { fault = "rate_limited", date = 3600 },
    kind = "rate_limited", asked = 1, again = true },
  { 14, "429 with 99999999", { fault = "rate_limited",
    retry_after = 99999999 }, kind = "rate_limited", asked = 1, again = true,
    err = { retry_after = 99999999 } },
  { 14, "429 with more than max_retry_wait", { fault = "rate_limited",
    retry_after = 2 }, kind = "rate_limited", asked = 1, again = true,
    client = { max_retry_wait = 1 } },
  { 14, "429 without a time", { fault = "rate_limited" }, again = true,
    kind = "rate_limited", asked = 2, once = 2, resume = true, kept = true },
}
for _, status in ipairs { 408, 500, 502, 503, 504 } do
  add(answers, { 13, "" .. status, { fault = "respond", status = status },
    kind = "server", asked = 2, again = true, once = 2,
    err = { http_status = status } })
end

local redirects = {
  { 15, "a redirect on the same host", { fault = "redirect", times = 1 },
    asked = 2, ranges = { FIRST, FIRST } },
  { 15, "a redirect to another host",
    { fault = "redirect", to = "other_host", times = 1 }, asked = 2 },
  { 15, "a redirect to another host over TLS", url = "https",
    { fault = "redirect", to = "other_host", times = 1 }, asked = 2 },
  { 15, "a redirect of a part", { fault = "redirect", times = 1 }, asked = 2,
    resume = true, ranges = { REST, REST } },
  { 15, "five redirects", { fault = "redirect", times = 5 }, asked = 6 },
  { 15, "six redirects", { fault = "redirect", times = 6 },
    kind = "protocol", asked = 6 },
  { 15, "redirects in a circle", { fault = "redirect" }, kind = "protocol",
    asked = 6 },
  { 15, "redirects in a circle, of a part", { fault = "redirect" },
    kind = "protocol", asked = 6, resume = true },
  { 15, "a redirect away from https", { fault = "redirect", to = "plain" },
    kind = "protocol", asked = 1, url = "https" },
  { 15, "a redirect to a plain host elsewhere", { fault = "redirect",
    to = "http://example.com/r.zip" }, kind = "protocol", asked = 1 },
  { 15, "a redirect to a file", { fault = "redirect", to = "file" },
    kind = "protocol", asked = 1 },
  { 15, "a redirect to ftp", { fault = "redirect", to = "ftp://localhost/" },
    kind = "protocol", asked = 1 },
  { 15, "a redirect to nowhere", { fault = "redirect", to = "" },
    kind = "protocol", asked = 1 },
  { 15, "a redirect that has no address", { fault = "redirect", to = false },
    kind = "protocol", asked = 1 },
}
for _, status in ipairs { 301, 303, 307, 308 } do
  add(redirects, { 15, "a redirect with " .. status, { fault = "redirect",
    status = status, times = 1 }, asked = 2 })
end

local times = {
  { 16, "silence in the body", { fault = "stall", bytes = 30000 },
    kind = "timeout", asked = 2, again = true, kept = true, once = 2,
    client = QUICK, ranges = { FIRST, REST } },
  { 16, "silence before the head", { fault = "stall" }, kind = "timeout",
    asked = 2, again = true, once = 2, client = QUICK },
  { 16, "silence in the head", { fault = "stall", head = true },
    kind = "timeout", asked = 2, again = true, once = 2, client = QUICK },
  { 16, "silence to a part", { fault = "stall" }, kind = "timeout", asked = 2,
    again = true, once = 2, client = QUICK, resume = true, kept = true },
  { 16, "a dripping body", { fault = "drip", after = 20000, every_ms = 100 },
    kind = "timeout", message = "than 1 KiB", asked = 1, again = true,
    kept = true, retries = 0, client = { stall_timeout = 1 } },
  { 16, "a dripping head", { fault = "drip", bytes = 10, every_ms = 200,
    head = true }, kind = "timeout", message = "than 1 KiB", asked = 1,
    again = true, retries = 0, client = { stall_timeout = 1 } },
  { 16, "a slow answer in time", { fault = "delay", ms = 200 }, asked = 1,
    client = { stall_timeout = 5 } },
}

local junk = {
  { 17, "a header line of 200 KB", { fault = "long_header" },
    kind = "protocol", asked = 1 },
  { 17, "4 MB of headers", { fault = "many_headers" }, kind = "protocol",
    asked = 1 },
  { 18, "more bytes than announced, behind the end",
    { fault = "more_than_announced" }, asked = 1 },
  { 18, "more bytes than the listing said", { { fault = "no_length" },
    { fault = "ignore_range" } }, kind = "protocol", asked = 1,
    info = { size = SIZE - 1 } },
  { 18, "a length that overflows", kind = "protocol", asked = 1,
    { fault = "content_length", values = { "99999999999999999999" } } },
  { 18, "a negative length", { fault = "content_length", values = { "-1" } },
    kind = "protocol", asked = 1 },
  { 18, "two lengths", { fault = "content_length",
    values = { "" .. SIZE, "5" } }, kind = "protocol", asked = 1 },
  { 18, "the same length twice", { fault = "content_length",
    values = { "" .. SIZE, "" .. SIZE } }, asked = 1 },
  { 19, "larger than the listing said", kind = "integrity", asked = 1,
    info = { size = SIZE - 1 } },
  { 19, "smaller than the listing said", kind = "integrity", asked = 1,
    info = { size = SIZE + 1 } },
  { 20, "gzip", { fault = "gzip" }, kind = "protocol", asked = 1 },
  { 20, "gzip, by its name only", { fault = "gzip", label = true },
    kind = "protocol", asked = 1 },
  { 21, "bytes that are no HTTP", { fault = "http09" }, kind = "protocol",
    asked = 1 },
  { 21, "a head without an end", { fault = "raw",
    bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" }, kind = "network",
    asked = 2, again = true, once = 2 },
  { 21, "a status line alone", { fault = "raw",
    bytes = "HTTP/1.1 200 OK\r\n" }, kind = "network", asked = 2,
    again = true, once = 2 },
  { 21, "a header line that is none", { fault = "raw",
    bytes = "HTTP/1.1 200 OK\r\nbad line\r\n\r\n" }, kind = "protocol",
    asked = 1 },
  { 21, "a page where the file should be", { fault = "html", status = 200 },
    kind = "integrity", asked = 1, message = "HTML" },
  { 21, "a page, its size said to be the file's", kind = "integrity",
    { fault = "body", body = ("<html> "):rep(SIZE):sub(1, SIZE) }, asked = 1,
    message = "HTML", info = true },
  { 21, "no byte", { fault = "nothing" }, kind = "integrity", asked = 1 },
  { 21, "no byte, unchecked", { fault = "nothing" }, kind = "integrity",
    asked = 1, verify = false },
  { 21, "204", { fault = "nothing", status = 204 }, kind = "protocol",
    asked = 1 },
  { 21, "304", { fault = "nothing", status = 304 }, kind = "protocol",
    asked = 1 },
}

describe("a download, whatever the store does, row", function()
  -- of its own: connections that other specs left open would be asked first,
  -- and libcurl asks again by itself when one of those is gone
  local own

  local function fresh()
    own = own or server.start()
    own:reset()
    return own
  end

  teardown(function() if own then own:stop() end end)

  for _, theme in ipairs { connection, ranges, answers, redirects, times,
    junk } do
    rows.define(it, fresh, theme)
  end

  -- libcurl 8.23 takes them out of the address; from others it is refused
  it("15: a redirect's user and password are sent to nobody", function()
    local s = fresh()
    local folder <close> = helpers.tmpdir()
    local client <close> = helpers.client(s, { retries = 0 })
    local entry = s:add_snapshot { app = s.apps[1],
      bytes = downloads.archive(64) }
    s:fault { fault = "redirect", times = 1,
      to = entry.http_url:gsub("//", "//user:word@", 1) }
    local zip, err = client:download { url = entry.http_url,
      path = folder.path }
    if zip then zip:close() else assert.equal("protocol", err.kind) end
    for _, one in ipairs(s:requests()) do
      assert.is_nil(one.headers.authorization)
    end
  end)

  it("31: a kept connection that is gone is unnoticed", function()
    local s = fresh()
    for _, reset in ipairs { false, true } do
      local folder <close> = helpers.tmpdir()
      local client <close> = helpers.client(s, { retries = 0 })
      local entry = s:add_snapshot { app = s.apps[1],
        bytes = downloads.archive(64) }
      assert(client:download { url = entry.http_url, path = folder.path,
        filename = "first" }):close()
      s:fault { fault = "drop_kept", reset = reset }
      local zip <close> = assert(client:download { url = entry.http_url,
        path = folder.path, filename = "second" })
      assert.is_true(zip:test())
      s:clear_faults()
    end
  end)
end)
