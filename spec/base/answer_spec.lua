-- answer.c: what an answer of the API means.

local codes = require "spec.support.codes"
local probe = require "base_probe"
local tool = require "spec.support.tool"

local function error_body(code, message)
  local text = message and (',"message":"%s"'):format(message) or ""
  return ('{"status":"error","code":"%s"%s}'):format(code, text)
end

describe("the scan of an envelope", function()
  local function scan(body)
    local e = probe.envelope_scan(body)
    return { e.is_object, e.status, e.code, e.message }
  end

  local objects = {
    { "{}", "", "", "" },
    { " \t\r\n{ \n} \t\r\n", "", "", "" },
    { '{"status":"success"}', "success", "", "" },
    { '{"status":"error","code":"A","message":"m"}', "error", "A", "m" },
    { ' { "message" : "m" , "code" : "A" , "status" : "error" } ',
      "error", "A", "m" },
    { '{"response":{"status":"error","code":"IN"},"status":"success"}',
      "success", "", "" },
    { '{"status":"success","response":[{"code":"IN"},["message",{}]]}',
      "success", "", "" },
    { '{"a":"}","b":"{\\"status\\":\\"x\\"}","status":"y"}', "y", "", "" },
    { '{"a":["}","]","\\"]}"],"status":"y"}', "y", "", "" },
    { '{"a":"\\\\","status":"y"}', "y", "", "" },
    { '{"a":"\\\\\\"","status":"y"}', "y", "", "" },
    { '{"a":{"b":"\\\\"},"status":"y"}', "y", "", "" },
    { '{"a":1,"b":-1.5e+3,"c":true,"d":null,"status":"y"}', "y", "", "" },
    { '{"":"x","status":"y"}', "y", "", "" },
    -- no strings
    { '{"status":1,"code":null,"message":{"status":"x"}}', "", "", "" },
    { '{"status":["success"],"code":true,"message":[]}', "", "", "" },
    -- the last one counts
    { '{"status":"error","status":"success"}', "success", "", "" },
    { '{"code":"A","code":"B","message":"long","message":"s"}', "", "B", "s" },
    { '{"status":"success","status":null}', "", "", "" },
    { '{"message":"m","message":7,"code":"A","code":{}}', "", "", "" },
    -- keys by what they are, not by how they are written
    { '{"st\\u0061tus":"success","\\u0063ode":"A"}', "success", "A", "" },
    { '{"status":"a","stat\\u0075s":"b"}', "b", "", "" },
    { '{"Status":"a","status ":"b","statusx":"c","statu":"d"}', "", "", "" },
    { '{"status\\u0000":"a","code\0":"b"}', "", "", "" },
    { '{"message_and_much_more_than_that":"a"}', "", "", "" },
    -- unescaping
    { '{"message":"\\"\\\\\\/\\b\\f\\n\\r\\t"}', "", "", '"\\/\b\f\n\r\t' },
    { '{"message":"\\u00e9\\u20ac\\u0041"}', "", "", "\u{e9}\u{20ac}A" },
    { '{"message":"\\ud83d\\udcbe"}', "", "", "\u{1f4be}" },
    { '{"message":"\\uD83D\\uDCBE"}', "", "", "\u{1f4be}" },
    { '{"message":"\\udbff\\udfff"}', "", "", "\u{10ffff}" },
    { '{"message":"\\ud83d"}', "", "", "\u{fffd}" },
    { '{"message":"\\udcbe"}', "", "", "\u{fffd}" },
    { '{"message":"\\udcbe\\ud83d"}', "", "", "\u{fffd}\u{fffd}" },
    { '{"message":"\\ud83dx"}', "", "", "\u{fffd}x" },
    { '{"message":"\\ud83d\\n"}', "", "", "\u{fffd}\n" },
    { '{"message":"\\ud83d\\u0041"}', "", "", "\u{fffd}A" },
    { '{"message":"\\ud83d\\ud83d\\udcbe"}', "", "", "\u{fffd}\u{1f4be}" },
    { '{"message":"\\ud83d\\u12"}', "", "", "\u{fffd}\u{fffd}12" },
    { '{"message":"\\u"}', "", "", "\u{fffd}" },
    { '{"message":"\\u12"}', "", "", "\u{fffd}12" },
    { '{"message":"\\u12g4"}', "", "", "\u{fffd}12g4" },
    { '{"message":"\\q"}', "", "", "\u{fffd}" },
    { '{"message":"\\u0000a\0b"}', "", "", "\u{fffd}a\u{fffd}b" },
    { '{"message":"\xff\xc3\xa9\xe2"}', "", "", "\xff\xc3\xa9\xe2" },
    { '{"status":"success\\u0000"}', "success\u{fffd}", "", "" },
    { '{"status":"succ\\u0065ss"}', "success", "", "" },
    { '{"status":"success and more than that"}', "success and mor", "", "" },
  }
  for _, case in ipairs(objects) do
    it("reads " .. ("%q"):format(case[1]), function()
      assert.same({ true, case[2], case[3], case[4] }, scan(case[1]))
    end)
  end

  local others = {
    "", " ", "null", "true", "1", '"status"', "[]", '[{"status":"success"}]',
    "{", "}", "{{}}", "{}}", "{}{}", "{},", "{} x", "{}\0", "x{}", "\0{}",
    "\xef\xbb\xbf{}", "{,}", '{"a"}', '{"a":}', '{"a":1,}', '{"a" 1}',
    '{"a":1 "b":2}', '{"a":1;"b":2}', "{a:1}", "{'a':1}", '{1:2}',
    '{"a":1', '{"a":1,', '{"a":1,"b', '{"a":1,"b"', '{"a":1,"b":',
    '{"a":"', '{"a":"x', '{"a":"x\\"}', '{"a":"x\\', '{"a":"x\\u00',
    '{"a":[', '{"a":[}', '{"a":{]}', '{"a":{"b":"}', '{"a":[1}',
    '{"status":"success"', '{"status":"success"} trailing',
    '{"status":"success"]', '{"status":"success","a":[{"b":1}',
    "<html>", "\xff\xfe{\0}\0", "{\0}", '{"a":\0}', '{"a":"\\\\\\"}',
  }
  for _, body in ipairs(others) do
    it("takes no part of " .. ("%q"):format(body), function()
      assert.same({ false, "", "", "" }, scan(body))
    end)
  end

  it("takes no part of an object that is cut anywhere", function()
    local whole = '{"status":"err\\u006fr","code":"A","x":[{"y":"\\""}],' ..
                  '"message":"\\ud83d\\udcbe"}'
    assert.is_true(scan(whole)[1])
    for n = 0, #whole - 1 do
      assert.same({ false, "", "", "" }, scan(whole:sub(1, n)))
    end
  end)

  it("cuts fields to their room, between characters", function()
    local e = probe.envelope_scan(('{"code":"%s","message":"%s"}'):format(
      ("C"):rep(100), ("m"):rep(600)))
    assert.equal(("C"):rep(63), e.code)
    assert.equal(("m"):rep(511), e.message)
    for _, euro in ipairs { "\u{20ac}", "\\u20ac" } do
      e = probe.envelope_scan('{"message":"' .. euro:rep(600) .. '"}')
      assert.equal(("\u{20ac}"):rep(170), e.message)
    end
    e = probe.envelope_scan('{"message":"x' .. ("\\ud83d\\udcbe"):rep(600) ..
                            '","status":"s"}')
    assert.equal("x" .. ("\u{1f4be}"):rep(127), e.message)
    assert.equal("s", e.status)
    e = probe.envelope_scan('{"message":"' .. ("m"):rep(511) .. '"}')
    assert.equal(511, #e.message)
  end)

  it("goes as deep as the bytes go", function()
    local deep = ("["):rep(1000000) .. ("]"):rep(1000000)
    local body = '{"a":' .. deep .. ',"status":"success"}'
    assert.same({ true, "success", "", "" }, scan(body))
    assert.same({ false, "", "", "" }, scan(("{\"a\":"):rep(300000)))
    assert.same({ false, "", "", "" }, scan(("["):rep(1000000)))
  end)

  it("passes megabytes at once", function()
    local before = os.clock()
    local n = 1 << 23
    for _, middle in ipairs {
      '"' .. ("x"):rep(n) .. '"',
      '"' .. ("\\\\"):rep(n // 2) .. '"',
      '"' .. ('\\"'):rep(n // 2) .. '"',
      "[" .. ('{"a":"b"},'):rep(n // 10) .. "1]",
      "1" .. ("0"):rep(n),
    } do
      local body = '{"response":' .. middle .. ',"status":"success"}'
      assert.is_true(scan(body)[2] == "success")
    end
    assert.is_true(scan("{" .. ('"status":"x",'):rep(n // 13) ..
                        '"status":"y"}')[2] == "y")
    assert(os.clock() - before < tool.seconds(3))
  end)

  it("survives any bytes", function()
    math.randomseed(11)
    local words = { "{", "}", "[", "]", '"', "\\", ":", ",", "\\u", "d83d",
                    "dcbe", '"status"', '"code"', '"message"', "\0", " ", "1",
                    '"x"', "\xe2\x82\xac", "\xff" }
    for _ = 1, 30000 do
      local parts = { math.random(2) == 1 and '{"message":"' or "" }
      for i = 2, math.random(1, 40) do
        parts[i] = words[math.random(#words)]
      end
      if math.random(2) == 1 then parts[#parts + 1] = '"}' end
      local e = probe.envelope_scan(table.concat(parts))
      assert(e.is_object or e.status .. e.code .. e.message == "")
    end
  end)
end)

describe("the judgement of an answer", function()
  local function refused(status, body, post)
    local ok, f = probe.judge(status, body, post)
    assert.is_false(ok)
    assert.equal(status, f.http_status)
    assert.equal(-1, f.retry_after)
    assert.is_false(f.sent)
    return f
  end

  it("takes a success that is worth decoding", function()
    for _, body in ipairs {
      '{"status":"success"}', '{"status":"success","response":[]}',
      '{"response":{"status":"error","code":"INVALID_ID"},"status":"success"}',
      '\n{"status":"success","code":"SOMETHING"}\n',
    } do
      for _, status in ipairs { 200, 201, 202, 299 } do
        local ok, f = probe.judge(status, body)
        assert.is_true(ok)
        assert.equal("ok", f.kind)
        assert.equal("", f.message)
        assert.equal("", f.code)
      end
    end
  end)

  it("names the kind by code and status, and shows the code", function()
    for _, one in ipairs(codes.all) do
      for _, status in ipairs { one.status, 200, 400, 404, 418, 429, 500,
                                503 } do
        for _, post in ipairs { false, true } do
          local f = refused(status, error_body(one.code, "why"), post)
          assert.equal(probe.response_kind(status, one.code, post), f.kind)
          assert.equal(one.code, f.code)
          assert.equal("why", f.message)
        end
      end
    end
  end)

  it("gives old codes their new names", function()
    for old, new in pairs(codes.old) do
      local f = refused(400, error_body(old))
      assert.equal(new, f.code)
      assert.equal(probe.response_kind(400, new, false), f.kind)
      assert.equal(probe.code_sentence(new, f.kind), f.message)
    end
  end)

  it("decides by the status when there is no code, or one nobody knows",
     function()
    for _, status in ipairs { 400, 401, 403, 404, 409, 410, 429, 499, 500, 502,
                              599 } do
      local kind = probe.status_kind(status)
      for _, body in ipairs { "", "<html>", "{}", "null", "{",
                              '{"status":"error"}', '{"status":"success"}',
                              '{"status":"error","code":17}' } do
        local f = refused(status, body)
        assert.equal(kind, f.kind, status .. body)
        assert.equal("", f.code)
      end
      local f = refused(status, error_body "TEAPOT")
      assert.equal(kind, f.kind)
      assert.equal("TEAPOT", f.code)
    end
  end)

  it("of an error in a 2xx with a code nobody knows is protocol", function()
    assert.equal("protocol", refused(200, error_body "TEAPOT").kind)
    assert.equal("TEAPOT", refused(200, error_body "TEAPOT").code)
    assert.equal("server", refused(200, error_body "TEA_FAILED").kind)
    assert.equal("protocol", refused(200, '{"status":"error"}').kind)
    assert.equal("no tea", refused(200, error_body("X", "no tea")).message)
  end)

  it("of a snapshot made in the background is pending", function()
    for _, body in ipairs {
      '{"status":"success","code":"SNAPSHOT_PROCESSING"}',
      '{"status":"error","code":"SNAPSHOT_PROCESSING"}',
      '{"code":"SNAPSHOT_PROCESSING"}',
    } do
      for _, status in ipairs { 200, 202, 400, 409 } do
        for _, post in ipairs { false, true } do
          local f = refused(status, body, post)
          assert.equal("pending", f.kind)
          assert.is_true(f.retryable)
          assert.equal("SNAPSHOT_PROCESSING", f.code)
        end
      end
    end
  end)

  it("of a redirect is protocol, whatever it says", function()
    for _, status in ipairs { 300, 301, 302, 304, 307, 308, 399 } do
      for _, body in ipairs { "", '{"status":"success"}',
                              error_body "KEEP_CALM" } do
        local f = refused(status, body)
        assert.equal("protocol", f.kind)
        assert.equal(("the API answered with a redirect (HTTP %d)")
          :format(status), f.message)
      end
    end
  end)

  it("of a 2xx that is a gateway's is server", function()
    for _, body in ipairs { "", " \r\n", "<html>", "\n <!DOCTYPE html>",
                            "\xef\xbb\xbf<html>", "\xef\xbb\xbf",
                            "<?xml version='1.0'?>" } do
      assert.equal(body == "\xef\xbb\xbf" and "protocol" or "server",
                   refused(200, body).kind, body)
    end
  end)

  it("of any other 2xx is protocol", function()
    for _, body in ipairs { "{}", "[]", "null", "ok", "1", "\0", '"success"',
                            '{"status":"Success"}', '{"status":"pending"}',
                            '{"status":true}', '{"response":[]}',
                            '{"status":"success"', '{"status":"success"}x',
                            '{"status":"success","status":"x"}' } do
      local f = refused(200, body)
      assert.equal("protocol", f.kind, body)
      assert.is_false(f.retryable)
    end
  end)

  it("of no status at all is protocol", function()
    for _, status in ipairs { 0, 100, 600, -1 } do
      assert.equal("protocol", refused(status, '{"status":"success"}').kind)
    end
  end)

  local sentences = {
    { 502, "upstream", "the platform answered HTTP 502 without JSON" },
    { 502, "<html>",
      "the platform answered HTTP 502 with a page instead of JSON" },
    { 504, "", "the platform answered HTTP 504 with an empty body" },
    { 404, error_body "APP_NOT_FOUND", "no such application" },
    { 404, error_body "NOBODY_KNOWS",
      "the platform answered HTTP 404 without a message" },
    { 200, "{}",
      "the platform answered HTTP 200 with JSON that is not an API answer" },
    { 403, error_body("MISSING_SCOPE", "needs snapshots:read"),
      "needs snapshots:read" },
    { 404, '{"message":"no such app"}', "no such app" },
    { 502, error_body "APP_NOT_FOUND",
      "the platform answered HTTP 502 without a message" },
    { 503, error_body "CLUSTER_MAINTENANCE_TRY_LATER",
      "the cluster is under maintenance, try later" },
    { 404, '{"status":"error","message":""}',
      "the platform answered HTTP 404 without a message" },
  }
  for _, case in ipairs(sentences) do
    it("says: " .. case[3] .. " (" .. case[2] .. ")", function()
      assert.equal(case[3], refused(case[1], case[2]).message)
    end)
  end

  it("shows the platform's words safely", function()
    local f = refused(400, '{"status":"error","code":"A\\u001b[2J\\n",' ..
                      '"message":"\\u001b[31m https://h/x?Signature=SECRET ' ..
                      'AWSAccessKeyId=SECRET\\u0000"}')
    assert.equal([[A\x1b[2J\x0a]], f.code)
    assert.equal("\\x1b[31m https://h/x?[hidden] AWSAccessKeyId=[hidden]",
                 f.message)
  end)

  it("sets retryable by its kind", function()
    assert.is_true(refused(429, error_body "KEEP_CALM").retryable)
    assert.is_true(refused(503, "").retryable)
    assert.is_false(refused(429, error_body "DAILY_SNAPSHOTS_LIMIT_REACHED")
                    .retryable)
    assert.is_false(refused(404, "").retryable)
  end)
end)

describe("Retry-After", function()
  local now = 784111777 -- Sun, 06 Nov 1994 08:49:37 GMT
  local cases = {
    { "0", 0 }, { "5", 5 }, { "120", 120 }, { " 7\t", 7 }, { "007", 7 },
    { "2147483648", 2147483648 }, { "99999999999999999999999", 1e15 },
    { ("9"):rep(5000), 1e15 },
    { "Sun, 06 Nov 1994 08:49:37 GMT", 0 },
    { "Sun, 06 Nov 1994 08:50:37 GMT", 60 },
    { " Sunday, 06-Nov-94 08:49:38 GMT ", 1 },
    { "Sun Nov  6 09:49:37 1994", 3600 },
    { "Sun, 06 Nov 1994 08:49:36 GMT", 0 },
    { "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
    { "", -1 }, { " ", -1 }, { "-1", -1 }, { "+1", -1 }, { "1.5", -1 },
    { "1e3", -1 }, { "0x10", -1 }, { "5s", -1 }, { "5 5", -1 }, { "5\0", -1 },
    { "5\n", -1 }, { "soon", -1 }, { "inf", -1 }, { "nan", -1 },
    { "2024-06-27T06:23:42Z", -1 },
  }
  for _, case in ipairs(cases) do
    it(("of %q is %g seconds"):format(case[1]:sub(1, 30), case[2]), function()
      assert.equal(case[2], probe.retry_after(case[1], now))
    end)
  end

  it("that is absent is said to be", function()
    assert.equal(-1, probe.retry_after(nil, now))
  end)

  it("is judged against any clock", function()
    local date = "Sun, 06 Nov 1994 08:49:37 GMT"
    assert.equal(0, probe.retry_after(date, math.maxinteger))
    assert(probe.retry_after(date, math.mininteger) > 9e18)
  end)
end)

describe("trying again", function()
  local function decide(case)
    local again, wait = probe.retry_decide(case)
    assert(again or wait == 0)
    return again, wait
  end

  it("is for GETs on network, timeout, server, rate_limited", function()
    local yes = { network = true, timeout = true, server = true,
                  rate_limited = true }
    for i = 0, probe.KIND_COUNT - 1 do
      local kind = probe.kind_name(i)
      for _, sent in ipairs { false, true } do
        assert.equal(yes[kind] or false, (decide { kind = kind, sent = sent }),
                     kind)
      end
    end
  end)

  it("is for POSTs that cannot have been carried out", function()
    for i = 0, probe.KIND_COUNT - 1 do
      local kind = probe.kind_name(i)
      local unsent = kind == "network" or kind == "timeout" or
                     kind == "rate_limited"
      assert.equal(unsent, (decide { kind = kind, post = true,
                                      http_status = 429 }), kind)
      assert.equal(kind == "rate_limited",
                   (decide { kind = kind, post = true, sent = true,
                             http_status = 429 }), kind)
    end
  end)

  it("is not for POSTs limited by a code behind another status", function()
    assert.is_false((decide { kind = "rate_limited", post = true,
                              http_status = 200 }))
    assert.is_true((decide { kind = "rate_limited", http_status = 200 }))
  end)

  it("ends after as many attempts as were allowed", function()
    for retries = 0, 5 do
      for attempts = 1, 8 do
        local again = decide { kind = "server", retries = retries,
                               attempts = attempts }
        assert.equal(attempts <= retries, again)
      end
    end
  end)

  it("waits at random up to a limit that doubles from half a second",
     function()
    local limits = { 0.5, 1, 2, 4, 8, 16, 30, 30, 30 }
    for attempts, limit in ipairs(limits) do
      for _, random in ipairs { 0, 0.25, 0.5, 0.999 } do
        local _, wait = decide { kind = "network", retries = 100,
                                 attempts = attempts, random = random }
        assert.equal(random * limit, wait)
      end
    end
    local _, wait = decide { kind = "network", retries = 2000000000,
                             attempts = 2000000000, random = 0.5 }
    assert.equal(15, wait)
  end)

  it("waits at least as long as was asked for", function()
    local _, wait = decide { kind = "rate_limited", retry_after = 5 }
    assert.equal(5, wait)
    _, wait = decide { kind = "rate_limited", retry_after = 0, random = 0.5 }
    assert.equal(0.25, wait)
    _, wait = decide { kind = "server", retry_after = 3, random = 0.5,
                       attempts = 5, retries = 9 }
    assert.equal(4, wait)
  end)

  it("is given up when more is asked for than is allowed", function()
    local again, wait = decide { kind = "rate_limited", retry_after = 60 }
    assert.is_true(again)
    assert.equal(60, wait)
    assert.is_false((decide { kind = "rate_limited", retry_after = 60.5 }))
    assert.is_false((decide { kind = "server", retry_after = 1,
                              max_retry_wait = 0 }))
    assert.is_true((decide { kind = "server", retry_after = 0,
                             max_retry_wait = 0 }))
  end)
end)
