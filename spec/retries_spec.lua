--- What a question (GET) does when it fails: which failures are worth another
-- try, how many, after how long, and what the error says in the end. Counted
-- in the server's own record. Actions (POST) are in actions_spec.lua.

local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local wire = require "spec.support.wire"

local s

local function begin()
  s = server.shared()
  wire.reset(s)
end

local function client_of(overrides)
  local options = { base_url = s.http_base_url, retries = 1 }
  for name, value in pairs(overrides or {}) do options[name] = value end
  return helpers.client(s, options)
end

-- Seconds between the requests, as the server saw them.
local function pauses()
  local list, all = {}, s:requests()
  for i = 2, #all do list[i - 1] = all[i].time - all[i - 1].time end
  return list
end

local SHORT = 1 -- seconds that a server may be silent

-- What goes wrong, the fault, and the error's fields.
local WORTH_IT = {
  { "a reset before the answer", { fault = "reset" },
    { kind = "network", http_status = false } },
  { "a reset behind the answer's head", { fault = "reset", bytes = 0 },
    { kind = "network" } },
  { "a reset in the answer's body", { fault = "reset", bytes = 3 },
    { kind = "network" } },
  { "a connection closed without an answer", { fault = "empty_reply" },
    { kind = "network", curl_code = 52, http_status = false } },
  { "an answer cut short", { fault = "cut", bytes = 10 },
    { kind = "network", curl_code = 18 } },
  { "an answer that ends in its head", { fault = "raw",
    bytes = "HTTP/1.1 200 OK\r\nDate: x\r\n" },
    { kind = "network", http_status = false } },
  { "chunks without an end", { fault = "cut", bytes = 10,
    framing = "chunked" }, { kind = "network" } },
  { "silence", { fault = "stall" },
    { kind = "timeout", curl_code = 28, http_status = false } },
  { "silence in the answer's head", { fault = "stall", head = true },
    { kind = "timeout", curl_code = 28 } },
  { "silence in the answer's body", { fault = "stall", bytes = 5 },
    { kind = "timeout", curl_code = 28 } },
  { "an answer that only drips", { fault = "drip", every_ms = 50 },
    { kind = "timeout", curl_code = 28 } },
  { "INTERNAL_SERVER_ERROR", { fault = "respond", status = 500,
    code = "INTERNAL_SERVER_ERROR", message = "ouch" },
    { kind = "server", code = "INTERNAL_SERVER_ERROR", http_status = 500,
      message = "ouch", curl_code = false } },
  { "a failure told by its code alone", { fault = "respond", status = 400,
    code = "INTERNAL_ERROR" }, { kind = "server", http_status = 400,
      code = "INTERNAL_SERVER_ERROR" } },
  { "maintenance", { fault = "respond", status = 503,
    code = "CLUSTER_MAINTENANCE_TRY_LATER" }, { kind = "server",
      http_status = 503, code = "CLUSTER_MAINTENANCE_TRY_LATER" } },
  { "a gateway's page", { fault = "html" },
    { kind = "server", http_status = 502, code = false } },
  { "a gateway's empty answer", { fault = "nothing", status = 504 },
    { kind = "server", http_status = 504, code = false } },
  { "a page where JSON should be", { fault = "html", status = 200 },
    { kind = "server", http_status = 200 } },
  { "nothing where JSON should be", { fault = "nothing" },
    { kind = "server", http_status = 200 } },
  { "KEEP_CALM", { fault = "rate_limited" },
    { kind = "rate_limited", http_status = 429, code = "KEEP_CALM",
      retry_after = false } },
  { "RATE_LIMIT", { fault = "rate_limited", code = "RATE_LIMIT" },
    { kind = "rate_limited", code = "RATE_LIMIT" } },
  { "RATE_LIMIT_EXCEEDED, whatever its status", { fault = "rate_limited",
    code = "RATE_LIMIT_EXCEEDED", status = 403 },
    { kind = "rate_limited", code = "RATE_LIMIT_EXCEEDED",
      http_status = 403 } },
  { "a 429 without a code", { fault = "nothing", status = 429 },
    { kind = "rate_limited", http_status = 429, code = false } },
}

describe("a question is asked again after", function()
  before_each(begin)

  for _, case in ipairs(WORTH_IT) do
    local name, fault, want = case[1], case[2], case[3]

    it(name, function()
      local once = { times = 1 }
      for field, value in pairs(fault) do once[field] = value end
      s:fault(once)
      local client <close> = client_of {
        timeout = want.kind == "timeout" and SHORT or nil }
      assert.equal("success", assert(client:account()).status)
      assert.equal(2, #s:requests())
    end)

    it(name .. ", but not when retries are 0", function()
      s:fault(fault)
      local client <close> = client_of { retries = 0,
        timeout = want.kind == "timeout" and SHORT or nil }
      local err = wire.failed(want, client:account())
      assert.is_true(err.retryable)
      assert.is_false(err.sent)
      assert.equal("account", err.operation)
      assert.equal(1, #s:requests())
    end)
  end

  it("a connection that was refused", function()
    local trace, records = wire.tracer()
    local client <close> = client_of { base_url = s.refused .. "/v2",
      retries = 2, trace = trace }
    wire.failed({ kind = "network", curl_code = 7, retryable = true,
      sent = false, operation = "account" }, client:account())
    assert.equal(3, #wire.events(records, "request"))
    assert.equal(3, #wire.events(records, "failure"))
    assert.equal(2, #wire.events(records, "retry"))
  end)
end)

-- What another try would not change.
local FINAL = {
  { 400, "INVALID_ID", "bad_request" },
  { 400, "ID_INVALID", "bad_request", code = "INVALID_ID" },
  { 400, "SOMETHING_NEW", "bad_request" },
  { 400, nil, "bad_request" },
  { 401, "ACCESS_DENIED", "authentication" },
  { 401, nil, "authentication" },
  { 402, "UPGRADE_REQUIRED", "permission" },
  { 403, "MISSING_SCOPE", "permission" },
  { 403, nil, "permission" },
  { 404, "APP_NOT_FOUND", "not_found" },
  { 404, nil, "not_found" },
  { 405, nil, "bad_request" },
  { 408, nil, "bad_request" },
  { 409, "RESTORE_IN_PROGRESS", "pending" },
  { 413, "PAYLOAD_TOO_LARGE", "bad_request" },
  { 422, nil, "bad_request" },
  { 451, nil, "bad_request" },
  { 429, "DAILY_SNAPSHOTS_LIMIT_REACHED", "quota" },
  { 400, "DAILY_SNAPSHOTS_LIMIT_REACHED", "quota" },
  { 500, "ACCESS_DENIED", "authentication" },
  { 202, "SNAPSHOT_PROCESSING", "pending" },
  { 302, nil, "protocol" },
}

describe("a question is asked only once when the answer is", function()
  before_each(begin)

  for _, case in ipairs(FINAL) do
    local status, code, kind = case[1], case[2], case[3]
    it(("%d %s"):format(status, code or "without a code"), function()
      s:fault { fault = "respond", status = status, code = code,
        headers = { ["Retry-After"] = "0" } }
      local client <close> = client_of { retries = 3 }
      wire.failed({ kind = kind, http_status = status,
        code = case.code or code or false, sent = false }, client:account())
      assert.equal(1, #s:requests())
    end)
  end

  for name, fault in pairs {
    ["not JSON"] = { fault = "respond", body = "hello" },
    ["JSON that breaks off"] = { fault = "body", bytes = 20 },
    ["JSON of another kind"] = { fault = "respond", json = { 1, 2 } },
    ["chunked, and the chunks are broken"] = { fault = "chunked_malformed" },
    ["not HTTP"] = { fault = "http09" },
  } do
    it(name, function()
      s:fault(fault)
      local client <close> = client_of { retries = 3 }
      wire.failed({ kind = "protocol" }, client:account())
      assert.equal(1, #s:requests())
    end)
  end
end)

describe("a question that keeps failing", function()
  before_each(begin)

  it("is asked retries + 1 times, and the last failure is told", function()
    s:fault { fault = "reset", times = 1 }
    s:fault { fault = "respond", status = 500, code = "A_FAILED", skip = 1,
      times = 1 }
    s:fault { fault = "rate_limited", message = "the last one" }
    local client <close> = client_of { retries = 2 }
    wire.failed({ kind = "rate_limited", code = "KEEP_CALM",
      http_status = 429, message = "the last one", curl_code = false },
      client:account())
    local status = {}
    for i, one in ipairs(s:requests()) do status[i] = one.status end
    assert.same({ 0, 500, 429 }, status)
  end)

  it("ends at the first failure that is final", function()
    s:fault { fault = "empty_reply", times = 1 }
    s:fault { fault = "respond", status = 404, code = "APP_NOT_FOUND" }
    local client <close> = client_of { retries = 5 }
    wire.failed({ kind = "not_found", curl_code = false },
      client:all_app_snapshots "a")
    assert.equal(2, #s:requests())
  end)

  it("may be any question, with its account looked up first", function()
    s:fault { fault = "html", times = 1, match = { path = "/v2/users/me" } }
    s:fault { fault = "html", times = 1, match = { path = "/v2/apps/" } }
    local other <close> = server.start { key = "nodashinthiskey" }
    other:fault { fault = "html", times = 1 }
    other:fault { fault = "html", times = 1, match = { path = "/v2/apps/" } }
    local client <close> = helpers.client(other,
      { base_url = other.http_base_url, account_id = false, retries = 1 })
    assert.same({}, assert(client:all_app_snapshots(other.apps[1])))
    local uris = {}
    for i, one in ipairs(other:requests()) do uris[i] = one.uri end
    local list = "/v2/apps/" .. other.apps[1] .. "/snapshots"
    assert.same({ "/v2/users/me", "/v2/users/me", list, list }, uris)
  end)

  it("waits longer and longer, by chance", function()
    local trace, records = wire.tracer()
    s:fault { fault = "html" }
    local client <close> = client_of { retries = 3, trace = trace }
    wire.failed({ kind = "server" }, client:account())
    local seen, waits = pauses(), wire.events(records, "retry")
    assert.equal(3, #waits)
    for i, wait in ipairs(waits) do
      assert.equal(i, wait.attempt)
      assert.is_true(wait.seconds >= 0)
      assert.is_true(wait.seconds < 0.5 * 2 ^ (i - 1), wait.seconds)
      assert.is_true(seen[i] >= wait.seconds - 0.01)
    end
    assert.is_true(waits[1].seconds ~= waits[2].seconds)
  end)

  it("waits nothing before its first try, nor after success", function()
    local trace, records = wire.tracer()
    local client <close> = client_of { retries = 3, trace = trace }
    assert(client:account())
    assert.equal(0, #wire.events(records, "retry"))
    assert.equal(1, #s:requests())
  end)
end)

-- A rate limit is a rate limit for actions too: nothing was done.
local CALLS = {
  ["a question"] = function(client) return client:account() end,
  ["an action"] = function(client) return client:snapshot(s.apps[1]) end,
}

for what, ask in pairs(CALLS) do
  describe("Retry-After, for " .. what .. ",", function()
    before_each(begin)

    it("is waited for when it is in seconds", function()
      local trace, records = wire.tracer()
      s:fault { fault = "rate_limited", retry_after = 1, times = 1 }
      local client <close> = client_of { trace = trace, max_retry_wait = 1 }
      assert(ask(client))
      assert.equal(2, #s:requests())
      assert.is_true(pauses()[1] >= 0.99, pauses()[1])
      local wait = wire.events(records, "retry")[1].seconds
      assert.is_true(wait >= 1 and wait <= 1.5, wait)
    end)

    it("is waited for when it is a date", function()
      local trace, records = wire.tracer()
      s:fault { fault = "rate_limited", date = 1, times = 1 }
      local client <close> = client_of { trace = trace }
      assert(ask(client))
      assert.equal(2, #s:requests())
      local wait = wire.events(records, "retry")[1].seconds
      assert.is_true(wait >= 1 and wait <= 3, wait)
      assert.is_true(pauses()[1] >= 0.99, pauses()[1])
    end)

    for name, fault in pairs {
      ["more than max_retry_wait"] = { retry_after = 301, 301 },
      ["much more"] = { retry_after = "99999999", 99999999 },
      ["absurd"] = { retry_after = ("9"):rep(30), 1e15 },
      ["a date far away"] = { date = 86400 },
    } do
      it("ends the call at once when it is " .. name, function()
        fault.fault = "rate_limited"
        s:fault(fault)
        local client <close> = client_of { retries = 3 }
        local err = wire.failed({ kind = "rate_limited", sent = false,
          retryable = true, http_status = 429 }, ask(client))
        if fault[1] then
          assert.equal(fault[1], err.retry_after)
        else
          assert.is_true(err.retry_after >= fault.date)
          assert.is_true(err.retry_after <= fault.date + 2)
        end
        assert.equal(1, #s:requests())
      end)
    end

    it("above a max_retry_wait of 0 ends the call at once", function()
      s:fault { fault = "rate_limited", retry_after = 1 }
      local client <close> = client_of { retries = 3, max_retry_wait = 0 }
      wire.failed({ kind = "rate_limited", retry_after = 1 }, ask(client))
      assert.equal(1, #s:requests())
    end)

    it("is told when the tries are used up", function()
      s:fault { fault = "rate_limited", retry_after = 0, times = 1 }
      s:fault { fault = "rate_limited", retry_after = 1 }
      local client <close> = client_of()
      wire.failed({ kind = "rate_limited", retry_after = 1 }, ask(client))
      assert.equal(2, #s:requests())
    end)

    it("changes nothing for the daily quota", function()
      s:fault { fault = "rate_limited", retry_after = 1,
        code = "DAILY_SNAPSHOTS_LIMIT_REACHED" }
      local client <close> = client_of { retries = 3 }
      wire.failed({ kind = "quota", retry_after = 1, retryable = false,
        sent = false, http_status = 429,
        code = "DAILY_SNAPSHOTS_LIMIT_REACHED" }, ask(client))
      assert.equal(1, #s:requests())
    end)
  end)
end

describe("Retry-After that is none", function()
  before_each(begin)

  for _, value in ipairs { "soon", "-1", "1.5", "1 s", "0x10",
    "Wed, 99 Foo 2024 00:00:00 GMT" } do
    it(("is as if absent: %q"):format(value), function()
      local trace, records = wire.tracer()
      s:fault { fault = "rate_limited", retry_after = value, times = 1 }
      local client <close> = client_of { trace = trace }
      assert(client:account())
      assert.equal(2, #s:requests())
      local wait = wire.events(records, "retry")[1].seconds
      assert.is_true(wait <= 0.5, wait)
    end)
  end
end)

describe("Retry-After of a server that is down", function()
  before_each(begin)

  it("is waited for as well", function()
    s:fault { fault = "respond", status = 503, times = 1,
      headers = { ["Retry-After"] = "1" } }
    local client <close> = client_of()
    assert(client:account())
    assert.is_true(pauses()[1] >= 0.99)
  end)

  it("ends the call at once above max_retry_wait", function()
    s:fault { fault = "respond", status = 503,
      headers = { ["Retry-After"] = "3600" } }
    local client <close> = client_of { retries = 3 }
    wire.failed({ kind = "server", http_status = 503, retry_after = 3600 },
      client:account())
    assert.equal(1, #s:requests())
  end)
end)
