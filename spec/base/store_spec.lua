-- store.c: what an answer of the store means for the bytes of a download.
-- The numbers in the titles are rows of the fault matrix.

local probe = require "store_probe"

local EXPIRES = 1719469422 -- Thu, 27 Jun 2024 06:23:42 GMT
local DATE = "Date: Thu, 27 Jun 2024 06:23:42 GMT"
local BEFORE = "Date: Thu, 27 Jun 2024 06:23:41 GMT"

-- The lines of a head: its status, then its fields.
local function lines_of(answer)
  local lines = { ("HTTP/1.1 %d x\r\n"):format(answer[1]) }
  for i = 2, #answer do lines[i] = answer[i] .. "\r\n" end
  lines[#lines + 1] = "\r\n"
  return lines
end

-- What is asked: the whole, by a first range; the rest of 1000 bytes from
-- 400 on; a piece of them; the whole without a range.
local function first(more)
  local w = { ranged = true }
  for k, v in pairs(more or {}) do w[k] = v end
  return w
end
local function rest(more)
  local w = { ranged = true, first = 400, stop = 1000, total = 1000,
              etag = '"a"' }
  for k, v in pairs(more or {}) do w[k] = v end
  return w
end
local function piece(more)
  local w = { ranged = true, first = 400, stop = 600, total = 1000,
              etag = '"a"' }
  for k, v in pairs(more or {}) do w[k] = v end
  return w
end
local function whole(more)
  local w = {}
  for k, v in pairs(more or {}) do w[k] = v end
  return w
end

local function length(n) return "Content-Length: " .. n end
local function range(text) return "Content-Range: bytes " .. text end
local function etag(text) return 'ETag: "' .. text .. '"' end
local EARLIER = "Thu, 27 Jun 2024 06:23:41 GMT"
local LATER = "Thu, 27 Jun 2024 06:23:42 GMT"
local MULTIPART = "Content-Type: multipart/byteranges; boundary=THIS"
local MAX = "9223372036854775807"

local function take(at, n, total, assumed)
  return { verdict = "take", first = at, length = n, total = total,
           assumed = assumed or false, kind = "ok" }
end
local function all(n, total, assumed)
  return { verdict = "whole", first = 0, length = n, total = total or n,
           assumed = assumed or false, kind = "ok" }
end
local function done(total)
  return { verdict = "done", first = 0, length = -1, total = total,
           assumed = false, kind = "ok" }
end
local function bare(verdict)
  return { verdict = verdict, first = 0, length = -1, total = -1,
           assumed = false, kind = "ok" }
end
local function restart(kind, find)
  return { verdict = "restart", kind = kind, find = find }
end
local function refuse(kind, find)
  return { verdict = "refuse", kind = kind, find = find }
end

local CHANGED = "changed during the download"
local UNUSABLE = "without a usable range"
local UNASKED = "not requested"

local rows = {
  -- what all is well with
  { "a first range", first(),
    { 206, range "0-999/1000", length(1000), etag "a" }, take(0, 1000, 1000) },
  { "the rest", rest(),
    { 206, range "400-999/1000", length(600), etag "a" },
    take(400, 600, 1000) },
  { "the rest, without an etag", rest(),
    { 206, range "400-999/1000", length(600) }, take(400, 600, 1000) },
  { "a piece", piece(), { 206, range "400-599/1000", length(200) },
    take(400, 200, 1000) },
  { "a piece, chunked", piece(), { 206, range "400-599/1000" },
    take(400, 200, 1000, true) },
  { "a piece of an untold total that is known", piece(),
    { 206, range "400-599/*", length(200) }, take(400, 200, 1000) },
  { "a range as large as the listing says", first { expected = 1000 },
    { 206, range "0-999/1000", length(1000) }, take(0, 1000, 1000) },
  { "an identity encoding", rest(),
    { 206, range "400-999/1000", length(600), "Content-Encoding: identity" },
    take(400, 600, 1000) },
  { "the largest size there is", first(),
    { 206, range("0-9223372036854775806/" .. MAX), length(MAX) },
    take(0, math.maxinteger, math.maxinteger) },
  { "the whole", whole(), { 200, length(1000) }, all(1000) },
  { "the whole, as large as listed", whole { expected = 1000 },
    { 200, length(1000) }, all(1000) },
  { "an empty whole (the check refuses it)", whole(), { 200, length(0) },
    all(0) },

  -- 5: without a length
  { "5 an unknown length", whole(), { 200 }, all(-1, -1, true) },
  { "5 no length, but the listing's", whole { expected = 1000 }, { 200 },
    all(1000, 1000, true) },
  { "5 no length, but the version's", rest { pinned = true }, { 200 },
    all(1000, 1000, true) },
  { "5 no length, of what may have changed", rest(), { 200 },
    all(-1, -1, true) },

  -- 7: Content-Range
  { "7 a wrong start", rest(), { 206, range "401-999/1000", length(599) },
    restart("protocol", UNASKED) },
  { "7 an earlier start", rest(), { 206, range "0-999/1000", length(1000) },
    restart("protocol", UNASKED) },
  { "7 a wrong start of the first", first(),
    { 206, range "1-999/1000", length(999) }, restart("protocol", UNASKED) },
  { "7 a wrong total", rest(), { 206, range "400-999/1001", length(600) },
    restart("integrity", CHANGED) },
  { "7 a smaller total", rest(), { 206, range "400-899/900", length(500) },
    restart("integrity", CHANGED) },
  { "7 a later end", piece(), { 206, range "400-600/1000", length(201) },
    restart("protocol", UNASKED) },
  { "7 a later end, of an untold total", piece(),
    { 206, range "400-999/*", length(600) }, restart("protocol", UNASKED) },
  { "7 a shorter range", rest(), { 206, range "400-499/1000", length(100) },
    take(400, 100, 1000) },
  { "7 a shorter first range", first(),
    { 206, range "0-0/1000", length(1) }, take(0, 1, 1000) },
  { "7 a shorter range with the whole's length", rest(),
    { 206, range "400-499/1000", length(600) },
    refuse("protocol", "does not fit its range") },
  { "7 an untold total", first(), { 206, range "0-999/*", length(1000) },
    restart "protocol" },
  { "7 none", rest(), { 206, length(600) }, restart("protocol", UNUSABLE) },
  { "7 none, and no length", first(), { 206 },
    restart("protocol", UNUSABLE) },
  { "7 unsatisfied", rest(), { 206, range "*/1000", length(600) },
    restart("protocol", UNUSABLE) },
  { "7 twice", rest(),
    { 206, range "400-999/1000", range "400-999/1000", length(600) },
    restart("protocol", UNUSABLE) },
  { "7 malformed", rest(), { 206, range "400-", length(600) },
    restart("protocol", UNUSABLE) },
  { "7 overflowing", rest(), { 206, range("400-" .. MAX .. "/*") },
    restart("protocol", UNUSABLE) },
  { "7 overflowing from nowhere", first(), { 206, range("x-" .. MAX .. "/*") },
    restart("protocol", UNUSABLE) },
  { "7 multipart", rest(), { 206, MULTIPART, length(600) },
    restart("protocol", UNUSABLE) },
  { "7 multipart with a range", rest(),
    { 206, MULTIPART, range "400-999/1000", length(600) },
    restart("protocol", UNUSABLE) },
  { "7 multipart with a boundary that fits nowhere", rest(),
    { 206, MULTIPART .. ("x"):rep(100), range "400-999/1000", length(600) },
    restart("protocol", UNUSABLE) },
  { "7 in answer to no range", whole(),
    { 206, range "0-999/1000", length(1000) }, refuse "protocol" },

  -- 8: all of it
  { "8 a 200 to a first range", first(), { 200, length(1000) }, all(1000) },
  { "8 a 200 to the rest", rest(), { 200, length(1000) }, all(1000) },
  { "8 a 200 to a piece", piece(), { 200, length(1000), etag "a" },
    all(1000) },
  { "8 a 200 with a stray range", rest(),
    { 200, range "400-999/1000", length(1000) }, all(1000) },

  -- 9: 416
  { "9 all is there", { ranged = true, first = 1000 }, { 416, range "*/1000" },
    done(1000) },
  { "9 all is there, as was known",
    { ranged = true, first = 1000, total = 1000, etag = '"a"' },
    { 416, range "*/1000", etag "a" }, done(1000) },
  { "9 all is there, of another object",
    { ranged = true, first = 1000, etag = '"a"' },
    { 416, range "*/1000", etag "b" }, restart "integrity" },
  { "9 another total", { ranged = true, first = 1000 },
    { 416, range "*/999" }, restart("integrity", "no such range") },
  { "9 another total than was known",
    { ranged = true, first = 900, stop = 1000, total = 1000 },
    { 416, range "*/900" }, restart "integrity" },
  { "9 untold", rest(), { 416 }, restart "integrity" },
  { "9 malformed", { ranged = true, first = 1000 }, { 416, range "*/x" },
    restart "integrity" },
  { "9 twice", { ranged = true, first = 1000 },
    { 416, range "*/1000", range "*/1000" }, restart "integrity" },
  { "9 of an empty object", first(), { 416, range "*/0" },
    restart "integrity" },
  { "9 to no range", whole(), { 416 }, bare "error" },

  -- 10: another object
  { "10 another etag with a range", rest(),
    { 206, range "400-999/1000", length(600), etag "b" },
    restart("integrity", CHANGED) },
  { "10 a weaker etag", rest(),
    { 206, range "400-999/1000", length(600), 'ETag: W/"a"' },
    restart("integrity", CHANGED) },
  { "10 an etag that comes late", rest { etag = "", begun = true },
    { 206, range "400-999/1000", length(600), etag "a" },
    restart("integrity", CHANGED) },
  { "10 no etag, then or now", rest { etag = "", begun = true },
    { 206, range "400-999/1000", length(600) }, take(400, 600, 1000) },
  { "10 another time of change",
    rest { etag = "", begun = true, modified = EARLIER },
    { 206, range "400-999/1000", length(600), "Last-Modified: " .. LATER },
    restart("integrity", CHANGED) },
  { "10 the same time of change",
    rest { etag = "", begun = true, modified = LATER },
    { 206, range "400-999/1000", length(600), "Last-Modified: " .. LATER },
    take(400, 600, 1000) },
  { "10 another time of change, the etag being the same",
    rest { begun = true, modified = EARLIER },
    { 206, range "400-999/1000", length(600), etag "a",
      "Last-Modified: " .. LATER }, take(400, 600, 1000) },
  { "10 another object whole", rest(), { 200, length(2000), etag "b" },
    all(2000) },
  { "10 412", rest(), { 412 }, restart("integrity", CHANGED) },
  { "10 a version of another size", rest { pinned = true },
    { 200, length(2000), etag "b" }, refuse("integrity", CHANGED) },
  { "10 a version of its size", rest { pinned = true },
    { 200, length(1000), etag "b" }, all(1000) },
  { "10 a version seen first", first { pinned = true }, { 200, length(9) },
    all(9) },

  -- 11 to 14: refusals, whose body tells more
  { "13 300", first(), { 300 }, refuse("protocol", "HTTP 300") },

  -- 15: redirects
  { "15 301", first(), { 301 }, bare "redirect" },
  { "15 302", rest(), { 302 }, bare "redirect" },
  { "15 303", whole(), { 303 }, bare "redirect" },
  { "15 307", first(), { 307 }, bare "redirect" },
  { "15 308", first(), { 308 }, bare "redirect" },
  { "15 304", rest(), { 304 }, refuse("protocol", "HTTP 304") },
  { "15 305", first(), { 305 }, refuse("protocol", "HTTP 305") },

  -- 18: lengths
  { "18 more than the range", rest(),
    { 206, range "400-999/1000", length(601) },
    refuse("protocol", "does not fit its range") },
  { "18 less than the range", rest(),
    { 206, range "400-999/1000", length(599) },
    refuse("protocol", "does not fit its range") },
  { "18 overflowing", whole(), { 200, length "9223372036854775808" },
    refuse("protocol", "malformed Content%-Length") },
  { "18 negative", whole(), { 200, length "-1" },
    refuse("protocol", "malformed Content%-Length") },
  { "18 twice and different", rest(),
    { 206, range "400-999/1000", length(600), length(601) },
    refuse("protocol", "malformed Content%-Length") },
  { "18 twice and the same", whole(), { 200, length(9), length(9) }, all(9) },
  { "18 no number", whole(), { 200, length "9x" },
    refuse("protocol", "malformed Content%-Length") },

  -- 19: larger, or smaller, than the listing said
  { "19 a larger whole", whole { expected = 999 }, { 200, length(1000) },
    refuse("integrity", "1000 bytes, the listing says 999") },
  { "19 a smaller whole", whole { expected = 1001 }, { 200, length(1000) },
    refuse("integrity", "1000 bytes, the listing says 1001") },
  { "19 a larger total", first { expected = 999 },
    { 206, range "0-999/1000", length(1000) },
    refuse("integrity", "1000 bytes, the listing says 999") },
  { "19 a larger whole in answer to the rest", rest { expected = 1000 },
    { 200, length(1001) }, refuse("integrity", "1001 bytes") },
  { "19 nothing where something was listed", first { expected = 5 },
    { 200, length(0) }, refuse("integrity", "0 bytes") },

  -- 20: encodings
  { "20 gzip", whole(), { 200, length(9), "Content-Encoding: gzip" },
    refuse("protocol", "encoded") },
  { "20 gzip of a range", rest(),
    { 206, range "400-999/1000", length(600), "Content-Encoding: gzip" },
    refuse("protocol", "encoded") },
  { "20 gzip, then identity", whole(),
    { 200, "Content-Encoding: gzip", "Content-Encoding: identity" },
    refuse("protocol", "encoded") },
  { "20 a long one", whole(),
    { 200, "Content-Encoding: " .. ("gzip, "):rep(20) },
    refuse("protocol", "encoded") },
  { "20 folded", whole(), { 200, "Content-Encoding:", " gzip" },
    refuse("protocol", "malformed head") },

  -- 21: no file
  { "21 204", first(), { 204 }, refuse("protocol", "HTTP 204") },
  { "21 202", first(), { 202, length(9) }, refuse("protocol", "HTTP 202") },
  { "21 205", first(), { 205 }, refuse("protocol", "HTTP 205") },
  { "21 junk", first(), { 0 }, refuse("protocol", "HTTP 0") },
}

for _, status in ipairs { 400, 401, 403, 404, 408, 410, 425, 429, 451, 500,
                          501, 502, 503, 504, 599, 600, 999 } do
  rows[#rows + 1] = { "11-14 " .. status, rest(), { status, length(9) },
                      bare "error" }
end

describe("the store's answer", function()
  for _, row in ipairs(rows) do
    local title, want, answer, expected = table.unpack(row)
    it("is judged: " .. title, function()
      local got = probe.judge(want, lines_of(answer))
      local fails = expected.verdict == "refuse"
                    or expected.verdict == "restart"
      assert.equal(fails and answer[1] or 0, got.http_status)
      assert.is_false(got.retryable)
      assert.equal(fails, got.message ~= "")
      for field, value in pairs(expected) do
        if field == "find" then assert.matches(value, got.message)
        else assert.equal(value, got[field], field) end
      end
    end)
  end

  it("never grants a byte beyond what was asked", function()
    math.randomseed(20240627)
    local function near(n) return n + math.random(-2, 2) end
    for _ = 1, 20000 do
      local total = math.random(1, 9)
      local at = math.random(0, total - 1)
      local stop = math.random(at + 1, total)
      local w = { ranged = true, first = at, stop = stop, total = total }
      local answer = { 206, range(("%d-%d/%s"):format(near(at), near(stop - 1),
        math.random(4) == 1 and "*" or near(total))) }
      if math.random(2) == 1 then answer[3] = length(near(stop - at)) end
      local g = probe.judge(w, lines_of(answer))
      if g.verdict == "take" then
        assert.equal(at, g.first)
        assert.is_true(g.length >= 1 and at + g.length <= stop)
        assert.equal(total, g.total)
      else
        assert.is_true(g.verdict == "restart" or g.verdict == "refuse")
        assert.equal(-1, g.length)
      end
    end
  end)
end)

local function xml(code, message)
  return ('<?xml version="1.0"?>\n<Error><Code>%s</Code><Message>%s</Message>'
          .. "<RequestId>1</RequestId></Error>"):format(code, message)
end

describe("a refusal of the store", function()
  local NOW = EXPIRES
  local later = { expires = EXPIRES + 1 }
  local past = { expires = EXPIRES }
  for _, row in ipairs {
    -- title, want, answer, body, kind, code, text in the message
    { "11 past its time", past, { 403, DATE }, xml("AccessDenied", "Denied"),
      "expired", "AccessDenied", "list the snapshots again" },
    { "11 just before its time", past, { 403, BEFORE },
      xml("AccessDenied", "Denied"), "permission", "AccessDenied", "Denied" },
    { "11 by our clock, when there is no other", past, { 403 }, "", "expired",
      "" },
    { "11 not by our clock when there is another", past, { 403, BEFORE }, "",
      "permission", "" },
    { "11 as the body says", later, { 403, DATE },
      xml("AccessDenied", "Request has expired"), "expired", "AccessDenied" },
    { "11 a token", later, { 403, DATE }, xml("ExpiredToken", "x"), "expired",
      "ExpiredToken" },
    { "11 a token, S3's way", later, { 400, DATE }, xml("ExpiredToken", "x"),
      "expired", "ExpiredToken" },
    { "11 another 403", later, { 403, DATE },
      xml("SignatureDoesNotMatch", "no match"), "permission",
      "SignatureDoesNotMatch", "no match" },
    { "11 a 403 without a time", {}, { 403, DATE }, nil, "permission", "",
      "refused the download" },
    { "11 401", past, { 401, DATE }, xml("AccessDenied", "expired"),
      "permission", "AccessDenied" },
    { "11 400", past, { 400, DATE }, xml("InvalidArgument", "expired"),
      "bad_request", "InvalidArgument" },
    { "11 402", {}, { 402 }, "", "permission", "" },
    { "12 404", past, { 404, DATE }, xml("NoSuchKey", "The key is not there"),
      "not_found", "NoSuchKey", "The key is not there" },
    { "12 404 of a version", {}, { 404 }, xml("NoSuchVersion", "x"),
      "not_found", "NoSuchVersion" },
    { "12 410", {}, { 410 }, "", "not_found", "" },
    { "13 408", {}, { 408 }, "", "server", "" },
    { "13 500", {}, { 500 }, xml("InternalError", "x"), "server",
      "InternalError" },
    { "13 502", {}, { 502 }, "<html>Bad Gateway</html>", "server", "" },
    { "13 503", {}, { 503 }, "", "server", "" },
    { "13 504", {}, { 504 }, "", "server", "" },
    { "13 SlowDown", {}, { 503 }, xml("SlowDown", "slower"), "server",
      "SlowDown" },
    { "13 SlowDown by another status", {}, { 400 }, xml("SlowDown", "slower"),
      "server", "SlowDown" },
    { "14 429", {}, { 429 }, "", "rate_limited", "" },
    { "a 416 to no range", {}, { 416 }, "", "bad_request", "" },
    { "a status beyond all", {}, { 600 }, "", "protocol", "" },
  } do
    local title, want, answer, body, kind, code, find = table.unpack(row, 1, 7)
    it("is told: " .. title, function()
      local f = probe.error(want, lines_of(answer), body, NOW)
      local again = kind == "server" or kind == "rate_limited"
      assert.same({ kind, code, answer[1], again, -1 }, {
        f.kind, f.code, f.http_status, f.retryable, f.retry_after })
      assert.matches(find or ".", f.message)
    end)
  end

  it("says how long to wait (14)", function()
    for value, seconds in pairs {
      ["7"] = 7, ["0"] = 0, ["99999999"] = 99999999, ["soon"] = -1, [""] = -1,
      ["-1"] = -1, ["Thu, 27 Jun 2024 06:24:42 GMT"] = 60,
      ["Thu, 27 Jun 2024 06:22:42 GMT"] = 0, [("9"):rep(63)] = 1e15,
      [("9"):rep(64)] = -1,
    } do
      for _, status in ipairs { 429, 503 } do
        local answer = lines_of { status, DATE, "Retry-After: " .. value }
        assert.equal(seconds, probe.error({}, answer, "", 0).retry_after)
        answer = lines_of { status, "Retry-After: " .. value }
        assert.equal(seconds, probe.error({}, answer, "", NOW).retry_after)
      end
    end
  end)

  it("is shown safely", function()
    local body = xml("Access\27[2JDenied", "see https://h/x?Signature=abc&b=c")
    local f = probe.error({}, lines_of { 403, DATE }, body, NOW)
    assert.equal("Access\\x1b[2JDenied", f.code)
    assert.equal("see https://h/x?[hidden]", f.message)
  end)

  it("is cut where there is no more room", function()
    local body = xml(("C"):rep(100), ("m"):rep(1000))
    local f = probe.error({}, lines_of { 403, DATE }, body, NOW)
    assert.equal(("C"):rep(60) .. "...", f.code)
    assert.equal(("m"):rep(252) .. "...", f.message)
  end)

  it("may end anywhere", function()
    local body = xml("NoSuchKey", "no key")
    for n = 0, #body do
      local f = probe.error({}, lines_of { 404 }, body:sub(1, n), NOW)
      assert.equal("not_found", f.kind)
      assert.is_true(f.code == "" or f.code == "NoSuchKey")
    end
  end)

  it("may be anything", function()
    for _, body in ipairs { "<Code>", "<Code></Code>", "<Code", "\0\0\0",
                            "<Code>\0</Code>", ("<"):rep(16384),
                            ("<Code>"):rep(2000) } do
      assert.equal("not_found",
                   probe.error({}, lines_of { 404 }, body, NOW).kind)
    end
  end)
end)

describe("the first bytes of a file", function()
  for text, problem in pairs {
    ["PK\3\4"] = false, ["PK\5\6"] = false, ["P"] = false, ["PK"] = false,
    ["PK\6\6"] = false, ["PK\3"] = false, ["PK\5"] = false, [""] = false,
    ["PK\3\4more than needed"] = false,
    ["<htm"] = "an HTML page", ["<"] = "an HTML page",
    ["<!DO"] = "an HTML page",
    ["<?xm"] = "XML", ["{\"st"] = "JSON", ["{"] = "JSON",
    ["PK\3\5"] = "no ZIP file", ["PK\5\4"] = "no ZIP file",
    ["PK\7\8"] = "no ZIP file", ["pk\3\4"] = "no ZIP file",
    ["\0\0\0\0"] = "no ZIP file", ["\0"] = "no ZIP file",
    ["\31\139\8\0"] = "no ZIP file", ["Not "] = "no ZIP file",
    ["Pk"] = "no ZIP file",
  } do
    it(("are %s: %q"):format(problem or "a ZIP's", text), function()
      assert.equal(problem or nil, probe.magic(text))
    end)
  end
end)

describe("an etag for If-Range", function()
  it("is quoted and not weak", function()
    for _, text in ipairs { '"a"', '""', '"9c1e-2"', '"\xc3\xa9"', "\"'\"" } do
      assert.is_true(probe.etag_is_strong(text), text)
    end
    for _, text in ipairs { "", '"', "a", 'W/"a"', 'w/"a"', '"a', 'a"', "'a'",
                            '"a"b', '"a"b"', '"a", "b"', ' "a"', '"a b"' } do
      assert.is_false(probe.etag_is_strong(text), text)
    end
  end)
end)
