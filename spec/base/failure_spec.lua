-- failure.c: failures as plain data, and outside text made fit to be shown.


local probe = require "base_probe"
local tool = require "spec.support.tool"

local HIDDEN = "[hidden]"

describe("a kind", function()
  it("has the contract's name", function()
    local names = {
      [0] = "ok", "authentication", "permission", "not_found", "bad_request",
      "rate_limited", "quota", "pending", "server", "network", "tls",
      "timeout", "protocol", "expired", "integrity", "filesystem", "exists",
      "cancelled", "closed",
    }
    assert.equal(#names + 1, probe.KIND_COUNT)
    for i = 0, #names do assert.equal(names[i], probe.kind_name(i)) end
  end)

  it("that does not exist has a harmless one", function()
    assert.equal("unknown", probe.kind_name(probe.KIND_COUNT))
    assert.equal("unknown", probe.kind_name(-1))
  end)
end)

describe("a failure", function()
  it("is cleared whatever it was", function()
    assert.same({
      kind = "ok", code = "", message = "", retryable = false, sent = false,
      http_status = 0, curl_code = 0, errno = 0, retry_after = -1,
    }, probe.failure_clear())
  end)

  it("is cleared before it is set, and gives false", function()
    local f, gave = probe.failure_set("quota", "16 a day")
    assert.is_false(gave)
    assert.same({
      kind = "quota", code = "", message = "16 a day", retryable = false,
      sent = false, http_status = 0, curl_code = 0, errno = 0,
      retry_after = -1,
    }, f)
  end)

  it("is retryable by its kind", function()
    local retryable = { network = true, timeout = true, server = true,
                        rate_limited = true, pending = true }
    for i = 0, probe.KIND_COUNT - 1 do
      local kind = probe.kind_name(i)
      local f = probe.failure_set(kind, "x")
      assert.equal(kind, f.kind)
      assert.equal(retryable[kind] or false, f.retryable, kind)
    end
  end)

  it("may be wrapped in words around its own message", function()
    local f = probe.failure_wrap("bad \27 entry https://h/x?a=b", "a.zip: ")
    assert.equal("integrity", f.kind)
    assert.equal("a.zip: bad \\x1b entry https://h/x?[hidden]", f.message)
  end)

  it("keeps as much of a long message as there is room for", function()
    local exact = ("m"):rep(1023)
    assert.equal(exact, probe.failure_set("server", exact).message)
    assert.equal(("m"):rep(1020) .. "...",
                 probe.failure_set("server", exact .. "m").message)
    for _, n in ipairs { 4094, 4095, 4096, 5000, 100000 } do
      assert.equal(("m"):rep(1020) .. "...",
                   probe.failure_set("server", ("m"):rep(n)).message)
    end
  end)

  it("hides a query that is longer than any buffer", function()
    for _, n in ipairs { 900, 1100, 4000, 4096, 5000 } do
      local query = "?AWSAccessKeyId" .. ("k"):rep(n) .. "=SECRET&Signature=S"
      local message = probe.failure_set("server", "at https://h/x" .. query ..
                                        " it fails").message
      assert.is_nil(message:find "kkkk")
      assert.is_nil(message:find "SECRET")
      assert.equal("at https://h/x?[hidden]", message:sub(1, 23))
      assert(message:sub(24) == " it fails" or message:sub(24) == "...")
    end
  end)
end)

describe("a failure of the system", function()
  it("names what, where, and why", function()
    local f, gave = probe.failure_errno(2, "cannot open", "/tmp/x.part")
    assert.is_false(gave)
    assert.equal("filesystem", f.kind)
    assert.equal(2, f.errno)
    assert.is_false(f.retryable)
    assert.equal("cannot open /tmp/x.part: No such file or directory",
                 f.message)
  end)

  it("without a path names the rest", function()
    assert.equal("cannot sync: Input/output error",
                 probe.failure_errno(5, "cannot sync", nil).message)
  end)

  it("keeps the reason behind a path of any length", function()
    for _, n in ipairs { 600, 699, 700, 1000, 4096 } do
      local path = "/" .. ("p"):rep(n)
      local message = probe.failure_errno(28, "cannot write", path).message
      assert.equal("cannot write /ppp", message:sub(1, 17))
      assert.equal(": No space left on device", message:sub(-25))
      if n >= 700 then assert(message:find("ppp...: No", 1, true)) end
    end
  end)

  it("escapes a path", function()
    assert.equal([[cannot open a\x0ab: Permission denied]],
                 probe.failure_errno(13, "cannot open", "a\nb").message)
  end)

  it("knows a number nobody knows", function()
    local f = probe.failure_errno(99999, "cannot", "x")
    assert.equal(99999, f.errno)
    assert(#f.message > #"cannot x: ")
  end)
end)

describe("shown text", function()
  local same = {
    "", "plain", "a\\b \\x1b", "what? yes", "what?", "a = b", "a? b=c",
    "?[hidden]", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x92\xbe",
    "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "\xc2\xa0", "signature", "Signature",
    "authorization is needed", "unauthorized", "AWSAccessKeyId", "[hidden]",
    "really?! (\"no\")", "a?b c=d", "???",
  }
  for _, text in ipairs(same) do
    it(("is left as it is: %q"):format(text), function()
      assert.equal(text, probe.show(text))
    end)
  end

  local escaped = {
    { "a\0b", [[a\x00b]] }, { "a\tb", [[a\x09b]] },
    { "a\r\nb", [[a\x0d\x0ab]] },
    { "\27[2J", [[\x1b[2J]] }, { "\127", [[\x7f]] },
    { "\xc2\x80", [[\xc2\x80]] }, { "\xc2\x9b31m", [[\xc2\x9b31m]] },
    { "\xe2\x80\xa8", [[\xe2\x80\xa8]] }, { "\xe2\x80\xae", [[\xe2\x80\xae]] },
    { "\xe2\x81\xa6", [[\xe2\x81\xa6]] }, { "\xe2\x80\x8f", [[\xe2\x80\x8f]] },
    -- no UTF-8: alone, overlong, cut, a surrogate, too large, never valid
    { "\x80", [[\x80]] }, { "\xff", [[\xff]] }, { "\xfe", [[\xfe]] },
    { "\xc0\xaf", [[\xc0\xaf]] }, { "\xc1\xbf", [[\xc1\xbf]] },
    { "\xe0\x80\xaf", [[\xe0\x80\xaf]] },
    { "\xf0\x80\x80\xaf", [[\xf0\x80\x80\xaf]] },
    { "\xe2\x82", [[\xe2\x82]] }, { "\xe2\x82x", [[\xe2\x82x]] },
    { "\xf0\x9f\x92", [[\xf0\x9f\x92]] }, { "\xc3", [[\xc3]] },
    { "\xed\xa0\x80", [[\xed\xa0\x80]] }, { "\xed\xbf\xbf", [[\xed\xbf\xbf]] },
    { "\xf4\x90\x80\x80", [[\xf4\x90\x80\x80]] },
    { "\xf5\x80\x80\x80", [[\xf5\x80\x80\x80]] },
    { "\xc3\xc3\xa9", "\\xc3\xc3\xa9" },
  }
  for _, case in ipairs(escaped) do
    it("has its control characters and broken bytes escaped: " .. case[2],
       function() assert.equal(case[2], probe.show(case[1])) end)
  end

  it("escapes every single control character", function()
    for byte = 0, 255 do
      local c = string.char(byte)
      local plain = byte >= 32 and byte < 127
      assert.equal(plain and c or ("\\x%02x"):format(byte), probe.show(c))
    end
  end)

  local hidden = {
    { "https://h/x.zip?AWSAccessKeyId=A&Expires=1&Signature=B%3D",
      "https://h/x.zip?[hidden]" },
    { "GET https://h/x?a=b failed", "GET https://h/x?[hidden] failed" },
    { '"https://h/x?a=b": failed', '"https://h/x?[hidden]": failed' },
    { "'https://h/x?a=b'", "'https://h/x?[hidden]'" },
    { "`https://h/x?a=b`", "`https://h/x?[hidden]`" },
    { "(https://h/x?a=b)", "(https://h/x?[hidden])" },
    { "<https://h/x?a=b>.", "<https://h/x?[hidden]>." },
    { "[x?a=b] {x?a=b}", "[x?[hidden]] {x?[hidden]}" },
    { "x?a=b\ty", [[x?[hidden]\x09y]] },
    { "x?a=b\ny", [[x?[hidden]\x0ay]] },
    { "x?a=b\0c", "x?[hidden]" },
    { "x?a=b\27[0m", "x?[hidden]" },
    { "x?=", "x?[hidden]" },
    { "x?a=b?c=d", "x?[hidden]" },
    { "x?y z?a=b", "x?y z?[hidden]" },
    { "x?a[]=1&token=T", "x?[hidden]" },
    { "x?a]&token=T", "x?[hidden]" },
    { "a?b=c, d?e=f.", "a?[hidden] d?[hidden]" },
    { "key Signature=VZ03+/=", "key Signature=[hidden]" },
    { "signature=a SIGNATURE=b", "signature=[hidden] SIGNATURE=[hidden]" },
    { "AWSAccessKeyId=AK&Expires=1&Signature=S&versionId=v",
      "AWSAccessKeyId=[hidden]&Expires=1&Signature=[hidden]&versionId=v" },
    { "awsaccesskeyid=AK", "awsaccesskeyid=[hidden]" },
    { "X-Amz-Signature=0f", "X-Amz-Signature=[hidden]" },
    { "x-amz-signature=0f;a", "x-amz-signature=[hidden];a" },
    { "X-Amz-Credential=AK/2024 x", "X-Amz-Credential=[hidden] x" },
    { "X-Amz-Security-Token=t)", "X-Amz-Security-Token=[hidden])" },
    { 'Signature="abc" x', 'Signature="[hidden]" x' },
    { "Signature=", "Signature=" },
    { "Signature= x", "Signature= x" },
    { "<AWSAccessKeyId>AK</AWSAccessKeyId><Signature>S</Signature>",
      "<AWSAccessKeyId>[hidden]</AWSAccessKeyId>" ..
      "<Signature>[hidden]</Signature>" },
    { "<SignatureProvided>S</SignatureProvided>",
      "<SignatureProvided>[hidden]</SignatureProvided>" },
    { "Authorization: 1234-abcd", "Authorization: [hidden]" },
    { "authorization:1234-abcd", "authorization:[hidden]" },
    { "AUTHORIZATION:\tBearer abc def", "AUTHORIZATION:\\x09[hidden]" },
    { "Authorization: key\r\nHost: h",
      [[Authorization: [hidden]\x0d\x0aHost: h]] },
    { "Authorization: key\nHost: h", [[Authorization: [hidden]\x0aHost: h]] },
    { "Proxy-Authorization: Basic eA==", "Proxy-Authorization: [hidden]" },
    { '{"Authorization": "key one", "a": 1}',
      '{"Authorization": "[hidden]", "a": 1}' },
    { '"authorization":"k"', '"authorization":"[hidden]"' },
    { "header 'Authorization: key one' was refused",
      "header 'Authorization: [hidden]' was refused" },
    { "Authorization:", "Authorization:" },
    { "Signature=[hidden]SECRET x", "Signature=[hidden] x" },
    { "x?[hidden]&k=SECRET y", "x?[hidden] y" },
    { "Authorization: [hidden]SECRET", "Authorization: [hidden]" },
  }
  for _, case in ipairs(hidden) do
    it(("holds no secret: %q"):format(case[1]), function()
      assert.equal(case[2], probe.show(case[1]))
    end)
  end

  it("gains nothing by being shown again", function()
    for _, case in ipairs(hidden) do
      local once = probe.show(case[1])
      if not once:find([[\x0]], 1, true) then -- a line break ended something
        assert.equal(once, probe.show(once))
      end
    end
    for _, case in ipairs(escaped) do
      assert.equal(case[2], probe.show(case[2]))
    end
  end)

  it("is cut between characters, escapes and redactions", function()
    assert.equal("abcdef", probe.show("abcdef", 7))
    assert.equal("abc...", probe.show("abcdefg", 7))
    assert.equal("a...", probe.show("a\xe2\x82\xac\xe2\x82\xac", 7))
    assert.equal("\xe2\x82\xac...",
                 probe.show("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 9))
    assert.equal("ab...", probe.show("ab\27\27", 9))
    assert.equal([[ab\x1b...]], probe.show("ab\27\27", 10))
    assert.equal("x?" .. HIDDEN, probe.show("x?a=b", 11))
    assert.equal("x?...", probe.show("x?a=b", 10))
  end)

  it("fits whatever room there is", function()
    for cap = 0, 40 do
      for _, text in ipairs { ("a"):rep(39), ("\xff"):rep(20),
                              "\xe2\x82\xac\27?a=b Signature=c d" } do
        local got = probe.show(text, cap)
        assert(cap == 0 and got == nil or #got < cap)
      end
    end
    assert.equal("", probe.show("abc", 1))
    assert.equal("a", probe.show("abc", 2))
    assert.equal("ab", probe.show("abc", 3))
    assert.equal("abc", probe.show("abc", 4))
    assert.equal("...", probe.show("abcd", 4))
    assert.equal("a...", probe.show("abcde", 5))
  end)

  it("is ready soon when there are megabytes of it", function()
    local before = os.clock()
    for _, piece in ipairs { "?", "authorization ", "a", "\xff", "s", "? " } do
      assert(#probe.show(piece:rep((1 << 22) // #piece), 1024) < 1024)
    end
    assert(#probe.show("x?a=" .. ("b"):rep(1 << 22), 1024) == 10)
    assert(os.clock() - before < tool.seconds(2))
  end)

  it("is printable and within its room whatever the bytes are", function()
    math.randomseed(7)
    local words = { "?", "=", "Signature=", "Authorization:", " ", "[hidden]",
                    "\n", "\xe2\x82\xac", '"', "&", ")", "a" }
    for _ = 1, 20000 do
      local parts = {}
      for i = 1, math.random(0, 30) do
        parts[i] = math.random(3) == 1 and string.char(math.random(0, 255))
                   or words[math.random(#words)]
      end
      local got = probe.show(table.concat(parts), math.random(1, 90))
      assert(#got < 90 and utf8.len(got) and not got:find "[%c\127]")
    end
  end)
end)

describe("hiding a secret", function()
  local key = "1d2cdc0d6ebd435c-91315c6329d12eab"
  local cases = {
    { "the key " .. key .. " is bad", "the key [hidden] is bad" },
    { key, HIDDEN },
    { key .. key, HIDDEN .. HIDDEN },
    { key:sub(2), key:sub(2) },
    { "", "" },
    { "ends in " .. key:sub(1, 10), "ends in " .. key:sub(1, 10) },
    { "was cut: " .. key:sub(1, 10) .. "...", "was cut: [hidden]..." },
    { "was cut: " .. key:sub(1, 32) .. "...", "was cut: [hidden]..." },
    { "was cut: " .. key:sub(1, 4) .. "...", "was cut: [hidden]..." },
    { "was cut: " .. key:sub(1, 3) .. "...",
      "was cut: " .. key:sub(1, 3) .. "..." },
    { key .. " and " .. key:sub(1, 9) .. "...", "[hidden] and [hidden]..." },
  }
  for i, case in ipairs(cases) do
    it("replaces it in the message, case " .. i, function()
      assert.equal(case[2], probe.failure_hide(case[1], "", key).message)
    end)
  end

  it("replaces it in the code", function()
    assert.equal("A_[hidden]_B",
                 probe.failure_hide("", "A_" .. key .. "_B", key).code)
    local cut = ("X"):rep(50) .. key:sub(1, 13)
    assert.equal(("X"):rep(50) .. HIDDEN, probe.failure_hide("", cut, key).code)
  end)

  it("fits when the text grows by it", function()
    local message = probe.failure_hide(("abcd"):rep(255), "", "abcd").message
    assert(#message <= 1023)
    assert.equal(HIDDEN:rep(127) .. "...", message)
    local code = probe.failure_hide("", ("abcd"):rep(15), "abcd").code
    assert.equal(HIDDEN:rep(7) .. "...", code)
  end)

  it("cuts between characters", function()
    local text = "abcd" .. ("\xe2\x82\xac"):rep(339)
    local message = probe.failure_hide(text, "", "abcd").message
    assert(utf8.len(message))
    assert.equal("...", message:sub(-3))
  end)

  it("leaves everything when there is no secret to speak of", function()
    for _, secret in ipairs { "", "a", "abc" } do
      local f = probe.failure_hide("abc abc", "abc", secret)
      assert.equal("abc abc", f.message)
      assert.equal("abc", f.code)
    end
    assert.equal("abc", probe.failure_hide("abc", "", nil).message)
  end)
end)
