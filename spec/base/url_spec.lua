-- url.c: ids, keys, addresses and file names as text.


local probe = require "base_probe"

local function every_control()
  local list = { "\127" }
  for byte = 0, 31 do list[#list + 1] = string.char(byte) end
  return list
end

describe("an id", function()
  local good = {
    "a", "application_id", "1d2cdc0d6ebd435c91315c6329d12eab",
    "45ec0b49-9af6-445e-a55c-abd7ec5278b2_mongo", "...", ".a", "a.", "a/b",
    "../x", "%2e%2e", "a b", "a?b#c", "\xc3\xa9", "\xff", ("x"):rep(10000),
  }
  for _, id in ipairs(good) do
    it("is sent as given: " .. id:sub(1, 40), function()
      assert.is_nil(probe.id_problem(id))
    end)
  end

  it("that would change the request's path is refused", function()
    assert.equal("is empty", probe.id_problem "")
    assert.equal("is '.' or '..'", probe.id_problem ".")
    assert.equal("is '.' or '..'", probe.id_problem "..")
  end)

  it("with a control character anywhere is refused", function()
    for _, control in ipairs(every_control()) do
      local want = "contains a control character"
      assert.equal(want, probe.id_problem(control))
      assert.equal(want, probe.id_problem(control .. "a"))
      assert.equal(want, probe.id_problem("a" .. control .. "b"))
      assert.equal(want, probe.id_problem("a" .. control))
    end
  end)
end)

describe("plain text", function()
  it("is everything but control characters", function()
    assert.is_true(probe.text_is_plain "")
    for byte = 0, 255 do
      local plain = byte >= 32 and byte ~= 127
      assert.equal(plain, probe.text_is_plain("a" .. string.char(byte)), byte)
    end
  end)
end)

describe("percent-encoding of a path segment", function()
  it("keeps the unreserved characters and encodes every other byte", function()
    for byte = 0, 255 do
      local c = string.char(byte)
      local want = c:find "[%w%-%._~]" and byte < 128 and c
                   or ("%%%02X"):format(byte)
      local got, need = probe.url_encode(c)
      assert.equal(want, got)
      assert.equal(#want, need)
    end
  end)

  it("leaves no way out of the segment", function()
    assert.equal("..%2F..%2Fusers%3Fa%3Db%23c%25", (probe.url_encode
      "../../users?a=b#c%"))
    assert.equal("", (probe.url_encode ""))
  end)

  it("gives the whole length and never writes half a triple", function()
    local text, whole = "a/b~\xff", "a%2Fb~%FF"
    local ends = { [0] = "", "a", "a", "a", "a%2F", "a%2Fb", "a%2Fb~",
                   "a%2Fb~", "a%2Fb~", "a%2Fb~%FF" }
    for room = 0, #whole do
      local got, need = probe.url_encode(text, room + 1)
      assert.equal(ends[room], got)
      assert.equal(#whole, need)
    end
    local got, need = probe.url_encode(text, 0)
    assert.is_nil(got)
    assert.equal(#whole, need)
  end)
end)

describe("a parameter of a key", function()
  local key = "AWSAccessKeyId=AK%2FIA&Expires=1757683751" ..
              "&Signature=VZ03a+b%3D" ..
              "&versionId=45ec0b49-9af6-445e-a55c-abd7ec5278b2"
  local cases = {
    { "the last one", key, "versionId",
      "45ec0b49-9af6-445e-a55c-abd7ec5278b2" },
    { "the first one, decoded", key, "AWSAccessKeyId", "AK/IA" },
    { "a plus stays one", key, "Signature", "VZ03a+b=" },
    { "a leading ? is skipped", "?a=1", "a", "1" },
    { "only one ? is skipped", "??a=1", "?a", "1" },
    { "absent", key, "versionid", nil },
    { "a beginning of a name is not the name", key, "version", nil },
    { "an end of a name is not the name", "xversionId=1", "versionId", nil },
    { "the first of two", "a=1&a=2", "a", "1" },
    { "the first of two, though it is broken", "a=%zz&a=2", "a", nil },
    { "empty", "a=&b=2", "a", "" },
    { "empty without an equals sign", "a&b=2", "a", "" },
    { "empty at the end", "b=2&a=", "a", "" },
    { "more equals signs belong to the value", "a=b=c==", "a", "b=c==" },
    { "empty pairs are passed over", "&&a=1&&", "a", "1" },
    { "a fragment ends the query", "a=1#&b=2", "b", nil },
    { "a fragment ends the value", "a=1#x", "a", "1" },
    { "an encoded name is the name", "v%65rsionId=7", "versionId", "7" },
    { "a broken name is no name", "v%6=7", "v%6", nil },
    { "a cut escape at the end", "a=1%", "a", nil },
    { "a cut escape at the end, one digit", "a=1%4", "a", nil },
    { "an escape does not reach into the next pair", "a=%4&1=2", "a", nil },
    { "no hex digits", "a=%4g", "a", nil },
    { "lower and upper case hex", "a=%4a%4A", "a", "JJ" },
    { "bytes beyond ASCII", "a=%C3%A9\xc3\xa9", "a", "\xc3\xa9\xc3\xa9" },
    { "an encoded NUL", "a=1%00", "a", nil },
    { "an encoded line break", "a=1%0d%0aX: y", "a", nil },
    { "an encoded DEL", "a=%7F", "a", nil },
    { "a raw NUL", "a=1\0", "a", nil },
    { "a raw line break", "a=1\n", "a", nil },
    { "a NUL in the name", "a\0=1", "a", nil },
    { "an encoded NUL in the name", "a%00=1", "a", nil },
    { "nothing in nothing", "", "a", nil },
    { "nothing in a lone ?", "?", "a", nil },
    { "nothing in a lone #", "#a=1", "a", nil },
    { "nothing in a lone &", "&", "a", nil },
  }
  for _, case in ipairs(cases) do
    it("is found as it should: " .. case[1], function()
      local got, dst = probe.query_get(case[2], case[3])
      assert.equal(case[4], got)
      assert.equal(case[4] or "", dst)
    end)
  end

  it("is refused when it does not fit, and never cut", function()
    assert.equal("12345", (probe.query_get("a=12345", "a", 6)))
    local got, dst = probe.query_get("a=12345", "a", 5)
    assert.is_nil(got)
    assert.equal("", dst)
    assert.equal("", (probe.query_get("a=", "a", 1)))
    assert.is_nil((probe.query_get("a=1", "a", 1)))
    assert.is_nil((probe.query_get("a=", "a", 0)))
    assert.equal("/", (probe.query_get("a=%2f", "a", 2)))
  end)
end)

describe("the expiry of a key", function()
  local cases = {
    { "Expires=1757683751", 1757683751 },
    { "a=b&Expires=0&c", 0 },
    { "Expires=%31%32", 12 },
    { "Expires=007", 7 },
    { "Expires=9223372036854775807", math.maxinteger },
    { "Expires=9223372036854775808", -1 },
    { "Expires=99999999999999999999", -1 },
    { "Expires=" .. ("0"):rep(40) .. "1", -1 },
    { "Expires=", -1 },
    { "Expires", -1 },
    { "Expires=-1", -1 },
    { "Expires=+1", -1 },
    { "Expires= 1", -1 },
    { "Expires=1 ", -1 },
    { "Expires=0x10", -1 },
    { "Expires=1.5", -1 },
    { "Expires=1e3", -1 },
    { "expires=1757683751", -1 },
    { "X-Amz-Expires=60", -1 },
    { "", -1 },
  }
  for _, case in ipairs(cases) do
    it(("of %q is %d"):format(case[1]:sub(1, 40), case[2]), function()
      assert.equal(case[2], probe.query_expires(case[1]))
    end)
  end
end)

describe("an address", function()
  local cases = {
    { "https://h/a.zip?x=1#f", "https://h/a.zip", "x=1#f" },
    { "https://h/a.zip", "https://h/a.zip", "" },
    { "https://h/a.zip?", "https://h/a.zip", "" },
    { "https://h/a.zip#f?x=1", "https://h/a.zip", "" },
    { "https://h/a.zip?x=1?y=2", "https://h/a.zip", "x=1?y=2" },
    { "?x", "", "x" },
    { "", "", "" },
  }
  for _, case in ipairs(cases) do
    it(("%q is split at its query"):format(case[1]), function()
      assert.equal(case[2], probe.url_public(case[1]))
      assert.equal(case[3], probe.url_query(case[1]))
    end)
  end
end)

describe("a file name out of an address", function()
  local long = ("n"):rep(300)
  local cases = {
    { "https://s.app/applications/u/1d2c.zip?AWSAccessKeyId=x", "1d2c.zip" },
    { "https://s.app/a/1d2c", "1d2c.zip" },
    { "https://s.app/a/1d2c.tar", "1d2c.tar.zip" },
    { "https://s.app/a/1d2c.zip.part", "1d2c.zip.part.zip" },
    { "https://s.app/a/x.ZIP", "x.ZIP.zip" },
    { "https://s.app/a/xzip", "xzip.zip" },
    { "https://s.app/a/x.zip#f", "x.zip" },
    { "https://s.app/a/x.zip?name=../../etc/passwd", "x.zip" },
    { "https://s.app/a/", "snapshot.zip" },
    { "https://s.app/", "snapshot.zip" },
    { "https://s.app", "snapshot.zip" },
    { "https://s.app?x=/y.zip", "snapshot.zip" },
    { "https://user@s.app:8443/x.zip", "x.zip" },
    { "", "snapshot.zip" },
    { "x", "x.zip" },
    { "a/b/c", "c.zip" },
    { "https://s.app/a/.", "snapshot.zip" },
    { "https://s.app/a/..", "snapshot.zip" },
    { "https://s.app/a/.bashrc", "bashrc.zip" },
    { "https://s.app/a/....zip", "zip.zip" },
    { "https://s.app/a/%2e%2e%2fetc%2fpasswd", "etcpasswd.zip" },
    { "https://s.app/a/%2E%2E%5Cetc.zip", "etc.zip" },
    { "https://s.app/a/..\\..\\x.zip", "x.zip" },
    { "https://s.app/a/a%00b%0d%0a%1b[2J.zip", "ab2J.zip" },
    { "https://s.app/a/%D1%84%C3%A9.zip", "zip.zip" },
    { "https://s.app/a/%20%20", "snapshot.zip" },
    { "https://s.app/a/a%20b.zip", "ab.zip" },
    { "https://s.app/a/a%2", "a2.zip" },
    { "https://s.app/a/a%", "a.zip" },
    { "https://s.app/a/a%zz.zip", "azz.zip" },
    { "https://s.app/a/-rf_x.zip", "-rf_x.zip" },
    { "https://s.app/a/$(id)`id`;'\"*&|<>~.zip", "idid.zip" },
    { "https://s.app/" .. long, ("n"):rep(196) .. ".zip" },
    { "https://s.app/" .. long .. ".zip", ("n"):rep(196) .. ".zip" },
    { "https://s.app/" .. ("n"):rep(196) .. ".zip", ("n"):rep(196) .. ".zip" },
    { "https://s.app/" .. ("n"):rep(197) .. ".zip", ("n"):rep(196) .. ".zip" },
    { "https://s.app/" .. ("n"):rep(195) .. ".zip", ("n"):rep(195) .. ".zip" },
    { "https://s.app/" .. ("n"):rep(196), ("n"):rep(196) .. ".zip" },
    { "https://s.app/" .. ("n"):rep(200), ("n"):rep(196) .. ".zip" },
  }
  for _, case in ipairs(cases) do
    it("is tamed: " .. ("%q"):format(case[1]:sub(1, 60)), function()
      assert.equal(case[2], probe.name_from_url(case[1]))
    end)
  end

  it("is safe whatever the address is", function()
    math.randomseed(20240627)
    local alphabet = { "/", ".", "%", "2", "e", "f", "?", "#", ":", "a", "\\",
                       "zip", "\27", "\xff", " ", "..", "://", "%2e", "%2F" }
    for _ = 1, 20000 do
      local parts = {}
      for i = 1, math.random(0, 120) do
        parts[i] = alphabet[math.random(#alphabet)]
      end
      local name = probe.name_from_url(table.concat(parts))
      assert(name:find "^[%w_-][%w._-]*%.zip$" and #name <= probe.NAME_MAX,
             name)
      assert.is_nil(probe.filename_problem(name))
    end
  end)
end)

describe("a tamed id", function()
  local cases = {
    { "1d2cdc0d", nil, "1d2cdc0d" },
    { "45ec0b49-9af6_mongo", nil, "45ec0b49-9af6_mongo" },
    { "../../etc/passwd", nil, "etcpasswd" },
    { "a%2Fb", nil, "a2Fb" },
    { ".hidden", nil, "hidden" },
    { "", nil, "snapshot" },
    { "...", nil, "snapshot" },
    { "\0\1\xff /", nil, "snapshot" },
    { "a\0b", nil, "ab" },
    { "abcdef", 7, "abcdef" },
    { "abcdef", 6, "abcde" },
    { "abcdef", 1, "" },
    { "", 4, "sna" },
    { ("x"):rep(300), 500, ("x"):rep(200) },
  }
  for i, case in ipairs(cases) do
    it("is a plain name, case " .. i, function()
      assert.equal(case[3], probe.name_tame(case[1], case[2]))
    end)
  end

  it("is not written when there is no room at all", function()
    assert.is_nil(probe.name_tame("abc", 0))
  end)
end)

describe("a file name that was asked for", function()
  it("may be any single path segment", function()
    for _, name in ipairs { "a", "a.zip", ".hidden", "...", "a b", "-rf",
                            "\xc3\xa9.zip", "a:b", ("n"):rep(241) } do
      assert.is_nil(probe.filename_problem(name), name)
    end
  end)

  local cases = {
    { "", "is empty" },
    { ".", "is '.' or '..'" },
    { "..", "is '.' or '..'" },
    { "a/b", "contains a slash" },
    { "/", "contains a slash" },
    { "a/", "contains a slash" },
    { "a\\b", "contains a backslash" },
    { ("n"):rep(242), "is longer than 241 bytes" },
  }
  for _, case in ipairs(cases) do
    it(("%q %s"):format(case[1]:sub(1, 10), case[2]), function()
      assert.equal(case[2], probe.filename_problem(case[1]))
    end)
  end

  it("has no control character", function()
    for _, control in ipairs(every_control()) do
      assert.equal("contains a control character",
                   probe.filename_problem("a" .. control .. "b"))
    end
  end)
end)

describe("a growing buffer", function()
  it("holds what was added, terminated at every step", function()
    local pieces = {}
    for i = 1, 200 do pieces[i] = ("\0ab"):rep(i) end
    local all = table.concat(pieces)
    local got, size, terminated, empty = probe.buf(table.unpack(pieces))
    assert.is_true(got == all)
    assert.equal(#all, size)
    assert.is_true(terminated)
    assert.is_true(empty)
  end)

  it("takes pieces around its capacity", function()
    for size = 250, 260 do
      local piece = ("x"):rep(size)
      local got, n, terminated = probe.buf(piece, "y")
      assert.equal(piece .. "y", got)
      assert.equal(size + 1, n)
      assert.is_true(terminated)
    end
    local large = ("z"):rep(1 << 20)
    assert.is_true((probe.buf("a", large)) == "a" .. large)
  end)

  it("has no memory until there is a byte", function()
    local got, size, terminated, empty = probe.buf("", "")
    assert.is_nil(got)
    assert.equal(0, size)
    assert.is_true(terminated and empty)
  end)

  it("refuses what no memory can hold, unchanged", function()
    assert.is_true(probe.buf_refuses_too_much())
  end)
end)

describe("a copied string", function()
  it("is the same text in memory of its own", function()
    for _, text in ipairs { "", "a", ("x"):rep(5000) } do
      local copy, own = probe.strdup(text)
      assert.equal(text, copy)
      assert.is_true(own)
    end
    assert.is_nil((probe.strdup(nil)))
  end)
end)
