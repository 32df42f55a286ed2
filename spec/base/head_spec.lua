-- head.c: the head of an answer, read strictly from its lines.

local probe = require "store_probe"

local ABSENT, BROKEN = -1, -2

-- A head of these lines, complete.
local function head(...)
  local lines = { "HTTP/1.1 206 Partial Content\r\n" }
  for _, line in ipairs { ... } do lines[#lines + 1] = line .. "\r\n" end
  lines[#lines + 1] = "\r\n"
  local h = probe.head(lines)
  assert.is_true(h.complete)
  return h
end

describe("a decimal number", function()
  for text, want in pairs {
    ["0"] = 0, ["1"] = 1, ["007"] = 7, [" 5"] = 5, ["5 "] = 5, ["\t5\t"] = 5,
    ["5\r\n"] = 5, ["9223372036854775807"] = math.maxinteger,
    ["00000000000000000000000000000001"] = 1,
  } do
    it(("is read: %q"):format(text), function()
      assert.equal(want, probe.decimal(text))
    end)
  end

  for _, text in ipairs {
    "", " ", "-1", "+1", "-0", "1.0", "1e3", "0x10", "1 2", "1,1", "5;", "5a",
    "a5", "9223372036854775808", "9999999999999999999", "18446744073709551616",
    "18446744073709551617", ("9"):rep(1000), "1\0", "\0", "1_000", "'5'",
    "\xd9\xa1", "5\11",
  } do
    it(("is refused: %q"):format(text:sub(1, 30)), function()
      assert.equal(BROKEN, probe.decimal(text))
    end)
  end
end)

describe("a status line", function()
  for line, status in pairs {
    ["HTTP/1.1 200 OK"] = 200, ["HTTP/1.0 404 Not Found"] = 404,
    ["HTTP/2 206"] = 206, ["HTTP/2 206 "] = 206, ["http/1.1 200 ok"] = 200,
    ["HTTP/1.1 200"] = 200, ["HTTP/1.1   200 OK"] = 200,
    ["HTTP/1.1 999 x"] = 999, ["HTTP/1.1 200 "] = 200,
    ["HTTP/1.1"] = 0, ["HTTP/1.1 "] = 0, ["HTTP/1.1 20"] = 0,
    ["HTTP/1.1 2000"] = 0, ["HTTP/1.1 099 x"] = 0, ["HTTP/1.1 -20"] = 0,
    ["HTTP/1.1 +20 x"] = 0, ["HTTP/1.1 2 0"] = 0, ["HTTP/1.1 20x"] = 0,
    ["HTTP/1.1 200x"] = 0, ["HTTP/1.1\t200"] = 0, ["HTTP/1.1 0x1"] = 0,
  } do
    it(("is read: %q"):format(line), function()
      for _, ending in ipairs { "", "\n", "\r\n" } do
        assert.equal(status, probe.head { line .. ending }.status)
      end
    end)
  end

  it("that is none leaves the status unknown", function()
    for _, line in ipairs { "ICY 200 OK", "HTTP", "HTTP/", "<html>", "200" } do
      local h = probe.head { line, "Content-Length: 3", "\r\n" }
      assert.equal(0, h.status, line)
      assert.is_true(h.complete)
    end
  end)

  it("counts at the beginning only", function()
    local h = probe.head {
      "HTTP/1.1 200 OK\r\n", "Content-Encoding: gzip\r\n",
      "HTTP/1.1 206 Partial: Content\r\n", "\r\n",
    }
    assert.equal(200, h.status)
    assert.equal("gzip", h.content_encoding)
    h = probe.head { "junk\r\n", "HTTP/1.1 206 x\r\n", "\r\n" }
    assert.equal(0, h.status)
  end)
end)

describe("a head", function()
  it("begins with nothing known", function()
    assert.same({
      status = 0, bytes = 0, complete = false, malformed = false,
      content_length = ABSENT, range_first = ABSENT, range_last = ABSENT,
      range_total = ABSENT, has_range = false, bad_range = false, date = -1,
      etag = "", last_modified = "", content_type = "", content_encoding = "",
      retry_after = "",
    }, (probe.head {}))
  end)

  it("has what its lines say, whatever their case and blanks", function()
    local h = head("content-LENGTH:10", "Content-Range :  bytes 5-14/20 ",
                   'ETag: "9c1e"', "Content-Type:\tapplication/zip",
                   "Last-Modified: Thu, 27 Jun 2024 06:23:42 GMT",
                   "Date: Thu, 27 Jun 2024 06:23:42 GMT", "Retry-After: 7",
                   "Content-Encoding: identity", "X-Other: 1", "no colon",
                   ": no name", ":", "Content-Length-X: 3")
    assert.same({ 206, 10, 5, 14, 20 }, {
      h.status, h.content_length, h.range_first, h.range_last, h.range_total })
    assert.same({ true, false, false }, {
      h.has_range, h.bad_range, h.malformed })
    assert.equal('"9c1e"', h.etag)
    assert.equal("application/zip", h.content_type)
    assert.equal("Thu, 27 Jun 2024 06:23:42 GMT", h.last_modified)
    assert.equal(1719469422, h.date)
    assert.equal("7", h.retry_after)
    assert.equal("identity", h.content_encoding)
  end)

  it("keeps nothing of an interim one", function()
    local final = { "HTTP/1.1 206 x\r\n", "Content-Length: 3\r\n", "\r\n" }
    local interim = { "HTTP/1.1 103 Early Hints\r\n", "Content-Length: 9\r\n",
                      "ETag: \"x\"\r\n", " folded\r\n" }
    for _, ending in ipairs { "\r\n", false } do
      local lines = { table.unpack(interim) }
      if ending then lines[#lines + 1] = ending end
      assert.is_false(probe.head(lines).complete)
      table.move(final, 1, 3, #lines + 1, lines)
      local h = probe.head(lines)
      assert.same({ 206, 3, "", true, false }, {
        h.status, h.content_length, h.etag, h.complete, h.malformed })
      assert.equal(#table.concat(lines), h.bytes)
    end
  end)

  it("ends at its blank line, and trailers change nothing", function()
    local lines = { "HTTP/1.1 200 OK\r\n", "Content-Length: 3\r\n", "\r\n" }
    local want = probe.head(lines)
    for _, line in ipairs { "Content-Length: 9\r\n", "ETag: \"x\"\r\n",
                            "HTTP/1.1 206 x\r\n", " folded\r\n", "\r\n" } do
      lines[#lines + 1] = line
      want.bytes = want.bytes + #line
    end
    assert.same(want, (probe.head(lines)))
  end)

  it("does not end at a line of blanks", function()
    local h = probe.head { "HTTP/1.1 200 OK\r\n", "  \r\n",
                           "Content-Encoding: gzip\r\n", "\r\n" }
    assert.equal("gzip", h.content_encoding)
    assert.is_true(h.malformed)
  end)

  it("with a folded line is malformed", function()
    for _, fold in ipairs { " gzip", "\tgzip", " Content-Length: 5" } do
      local h = head("Content-Encoding:", fold)
      assert.is_true(h.malformed)
      assert.equal(ABSENT, h.content_length)
    end
  end)

  it("may be 256 KiB long, earlier ones included", function()
    local lines = { "HTTP/1.1 103 x\r\n", "X: " .. ("x"):rep(100000) .. "\r\n",
                    "\r\n", "HTTP/1.1 200 x\r\n" }
    local room = probe.HEAD_BYTES_MAX - #table.concat(lines)
    lines[5] = "X: " .. ("x"):rep(room - 5) .. "\r\n"
    local h, few = probe.head(lines)
    assert.equal(probe.HEAD_BYTES_MAX, h.bytes)
    assert.is_true(few)
    lines[6] = "\n"
    h, few = probe.head(lines)
    assert.is_true(h.complete)
    assert.is_false(few)
  end)

  it("survives every byte at every place of a line", function()
    local text = "Content-Range: bytes 0-9/10"
    for i = 1, #text do
      for byte = 0, 255 do
        local line = text:sub(1, i - 1) .. string.char(byte) .. text:sub(i + 1)
        local h = probe.head { "HTTP/1.1 206 x", line, "\r\n" }
        assert.is_true(not h.has_range or h.bad_range or h.range_first < 0
                       or h.range_last >= h.range_first)
      end
    end
  end)
end)

describe("Content-Length", function()
  it("may come twice when it says the same", function()
    assert.equal(5, head("Content-Length: 5", "Content-Length: 5")
                      .content_length)
    assert.equal(5, head("Content-Length: 5", "Content-Length: 05")
                      .content_length)
  end)

  for _, lines in ipairs {
    { "5", "6" }, { "5", "6", "5" }, { "5", "6", "6" }, { "5", "x" },
    { "x", "5" }, { "x", "x" }, { "x", "x", "5" }, { "5", "" }, { "" },
    { "-1" }, { "5, 5" }, { "5,5" }, { "9223372036854775808" },
    { "18446744073709551621" }, { "5 5" }, { "0x5" }, { "+5" }, { "5\0" },
  } do
    it(("is broken: %q"):format(table.concat(lines, "|")), function()
      local fields = {}
      for i, v in ipairs(lines) do fields[i] = "Content-Length: " .. v end
      assert.equal(BROKEN, head(table.unpack(fields)).content_length)
    end)
  end
end)

describe("Content-Range", function()
  local good = {
    ["bytes 0-9/10"] = { 0, 9, 10 }, ["bytes 0-0/1"] = { 0, 0, 1 },
    ["bytes 5-9/*"] = { 5, 9, ABSENT }, ["BYTES 0-9/10"] = { 0, 9, 10 },
    ["bytes */10"] = { ABSENT, ABSENT, 10 },
    ["bytes */0"] = { ABSENT, ABSENT, 0 },
    ["bytes\t0-9/10"] = { 0, 9, 10 }, ["bytes 0 - 9 / 10"] = { 0, 9, 10 },
    ["bytes 0-9223372036854775806/9223372036854775807"] =
      { 0, math.maxinteger - 1, math.maxinteger },
  }
  for text, want in pairs(good) do
    it(("is read: %q"):format(text), function()
      local h = head("Content-Range: " .. text)
      assert.is_false(h.bad_range)
      assert.same(want, { h.range_first, h.range_last, h.range_total })
    end)
  end

  for _, text in ipairs {
    "", "bytes", "bytes ", "bytes 0-9", "bytes 0-9/", "bytes /10", "0-9/10",
    "bytes=0-9/10", "bytes:0-9/10", "bytes0-9/10", "byte 0-9/10",
    "octets 0-9/10", "bytes -9/10", "bytes 0-/10", "bytes -/10",
    "bytes 9-0/10", "bytes 0-10/10", "bytes 10-10/10", "bytes 0-9/-1",
    "bytes */*", "bytes */", "bytes *-9/10", "bytes 0-*/10", "bytes 0--9/10",
    "bytes 0-9/1o", "bytes 0x0-0x9/10", "bytes 0-9/10/10", "bytes 0-9/**",
    "bytes 0-9, 10-19/20", "bytes 0-9/10, bytes 0-9/10", "bytes 0-9/10 x",
    "bytes 0-9\0/10", "bytes 0-9/9223372036854775808",
    "bytes 0-9223372036854775807/*", "bytes x-9223372036854775807/*",
    "bytes 0-18446744073709551617/*", "bytes 18446744073709551616-5/10",
    "bytes 0-9/+10", "bytes +0-9/10", "bytes 0-9/ ", "bytes **/10",
  } do
    it(("is bad, and says nothing: %q"):format(text), function()
      local h = head("Content-Range: " .. text)
      assert.is_true(h.has_range)
      assert.is_true(h.bad_range)
      assert.same({ ABSENT, ABSENT, ABSENT },
                  { h.range_first, h.range_last, h.range_total })
    end)
  end

  it("that comes twice is bad, the same or not", function()
    for _, second in ipairs { "bytes 0-9/10", "bytes 5-9/10", "x" } do
      local h = head("Content-Range: bytes 0-9/10", "Content-Range: " .. second)
      assert.is_true(h.bad_range)
      assert.equal(ABSENT, h.range_first)
      h = head("Content-Range: " .. second, "Content-Range: bytes 0-9/10")
      assert.is_true(h.bad_range)
    end
  end)
end)

describe("an etag", function()
  it("is kept as it came", function()
    for _, etag in ipairs { '"9c1e"', 'W/"9c1e"', '""', "bare", "" } do
      assert.equal(etag, head("ETag: " .. etag).etag)
    end
    assert.equal(191, #head("ETag: " .. ("x"):rep(191)).etag)
  end)

  it("that does not fit is absent, never a part of it", function()
    assert.equal("", head("ETag: " .. ("x"):rep(192)).etag)
    assert.equal("", head("ETag: " .. ("x"):rep(5000)).etag)
  end)

  it("with a control character is absent", function()
    for _, control in ipairs { "\0", "\r", "\n", "\t", "\27", "\127" } do
      assert.equal("", head('ETag: "a' .. control .. 'b"').etag)
    end
  end)

  it("that comes twice and differs is absent", function()
    assert.equal('"a"', head('ETag: "a"', 'ETag: "a"').etag)
    assert.equal("", head('ETag: "a"', 'ETag: "b"').etag)
    assert.equal("", head('ETag: "a"', 'ETag: "b"', 'ETag: "b"').etag)
    assert.equal("", head('ETag: "a"', "ETag:").etag)
    assert.equal("", head("ETag:", 'ETag: "a"').etag)
  end)
end)

describe("Content-Encoding", function()
  it("is not hidden by a second line, nor by its length", function()
    local function encoding(...)
      local lines = {}
      for i, v in ipairs { ... } do lines[i] = "Content-Encoding: " .. v end
      return head(table.unpack(lines)).content_encoding
    end
    assert.equal("gzip", encoding("gzip", "identity"))
    assert.equal("gzip", encoding("identity", "gzip"))
    assert.equal("gzip", encoding("gzip", ""))
    assert.equal("gzip", encoding("", "Identity", "gzip", "br"))
    assert.equal("identity", encoding("identity", "identity"))
    assert.equal("", encoding "")
    assert.equal(31, #encoding(("gzip, "):rep(20)))
    assert.equal("gzip", encoding("gzip\0"))
  end)

  it("and a long Content-Type keep their beginning", function()
    local long = "multipart/byteranges; boundary=" .. ("x"):rep(100)
    assert.equal(long:sub(1, 95), head("Content-Type: " .. long).content_type)
  end)
end)
