--- Creating and restoring are POSTs: nobody can tell whether one that was sent
-- was carried out, so it is sent once. What is tried again is what cannot have
-- reached the platform. Counted in the server's own record, or at the port
-- that was called; `err.sent` says which case it was.

local codes = require "spec.support.codes"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local wire = require "spec.support.wire"

local s

local function begin()
  s = server.shared()
end

-- Each action: what is called, and where it goes.
local ACTIONS = {
  create = {
    ask = function(client) return client:snapshot(s.apps[1]) end,
    uri = function() return "/v2/apps/" .. s.apps[1] .. "/snapshots" end,
    body = "" },
  restore = {
    ask = function(client)
      return client:restore_snapshot { app_id = s.databases[1],
        application_type = "database", snapshot_id = "x", version_id = "y" }
    end,
    uri = function()
      return "/v2/databases/" .. s.databases[1] .. "/snapshots/restore"
    end,
    body = '"versionId":"y"' },
}

local function posts() return s:requests { method = "POST" } end

-- Checks that the action was sent exactly once, whole.
local function assert_sent_once(action)
  local all = posts()
  assert.equal(1, #all)
  assert.equal(action.uri(), all[1].uri)
  assert.matches(action.body, all[1].body, 1, true)
end

-- The request is there, and the answer says nothing certain.
local SENT = {
  { "a reset behind the request", { fault = "reset" },
    { kind = "network", http_status = false } },
  { "a reset before its body is read", { fault = "reset", unread = true },
    { kind = "network" }, no_body = true },
  { "a reset behind the answer's head", { fault = "reset", bytes = 0 },
    { kind = "network" } },
  { "a connection closed without an answer", { fault = "empty_reply" },
    { kind = "network", curl_code = { 52, 56 } } },
  { "an answer cut short", { fault = "cut", bytes = 5 },
    { kind = "network" } },
  { "an answer that ends in its head", { fault = "raw",
    bytes = "HTTP/1.1 200 OK\r\nDate: x\r\n" },
    { kind = "network", http_status = false } },
  { "silence", { fault = "stall" },
    { kind = "timeout", curl_code = 28, http_status = false } },
  { "silence in the answer", { fault = "stall", bytes = 5 },
    { kind = "timeout", curl_code = 28 } },
  { "an internal error", { fault = "respond", status = 500,
    code = "INTERNAL_SERVER_ERROR" }, { kind = "server", http_status = 500 } },
  { "SNAPSHOT_FAILED", { fault = "respond", status = 500,
    code = "SNAPSHOT_FAILED" }, { kind = "server", code = "SNAPSHOT_FAILED" } },
  { "a 500 that looks like a refusal", { fault = "respond", status = 500,
    code = "APP_NOT_FOUND" }, { kind = "server", code = "APP_NOT_FOUND" } },
  { "a 503 that looks like a limit", { fault = "respond", status = 503,
    code = "KEEP_CALM" }, { kind = "server", code = "KEEP_CALM" } },
  { "a gateway's page", { fault = "html" },
    { kind = "server", http_status = 502 } },
  { "a 503 that names a time", { fault = "respond", status = 503,
    headers = { ["Retry-After"] = "0" } },
    { kind = "server", http_status = 503, retry_after = 0 } },
  { "a gateway's empty answer", { fault = "nothing", status = 504 },
    { kind = "server", http_status = 504 } },
  { "a page where JSON should be", { fault = "html", status = 200 },
    { kind = "server", http_status = 200 } },
  { "nothing where JSON should be", { fault = "nothing" },
    { kind = "server", http_status = 200 } },
  { "half an answer", { fault = "respond", body = '{"status":"succ' },
    { kind = "protocol", http_status = 200 } },
  { "a redirect", { fault = "redirect", to = "self", status = 307 },
    { kind = "protocol", http_status = 307 } },
  { "an answer that is too large", { fault = "json_huge", bytes = 5000 },
    { kind = "protocol" }, options = { max_response_bytes = 4000 } },
}

for name, action in pairs(ACTIONS) do
  for _, protocol in ipairs { "http", "https1" } do
    describe(("%s (%s) is sent once, whatever comes back:"):format(name,
      protocol), function()
      before_each(begin)

      for _, case in ipairs(SENT) do
        it(case[1], function()
          local fault = { match = { method = "POST" } }
          for field, value in pairs(case[2]) do fault[field] = value end
          s:fault(fault)
          local options = { base_url = s[protocol] .. "/v2", retries = 3,
            action_timeout = case[3].kind == "timeout" and 1.5 or nil }
          for field, value in pairs(case.options or {}) do
            options[field] = value
          end
          local client <close> = helpers.client(s, options)
          local err = wire.failed(case[3], action.ask(client))
          assert.is_true(err.sent)
          assert.matches("^" .. name .. "%g* [0-9a-f]+$", (
            err.operation:gsub("^snapshot ", "create ")))
          if case.no_body then
            assert.equal(1, #posts())
          else
            assert_sent_once(action)
          end
        end)
      end
    end)
  end
end

describe("an answer that lacks what it promises", function()
  before_each(begin)

  for name, response in pairs {
    ["no url"] = { key = "a=b" },
    ["no key"] = { url = "https://example.com/a.zip?a=b" },
    ["neither"] = { hello = "world" },
  } do
    it("says that the snapshot may be there: " .. name, function()
      s:fault { fault = "respond", work = true,
        json = { status = "success", response = response } }
      local client <close> = helpers.client(s, { retries = 3 })
      wire.failed({ kind = "protocol", sent = true, http_status = 200 },
        client:snapshot(s.apps[1]))
      assert_sent_once(ACTIONS.create)
      s:clear_faults()
      assert.equal(1, #assert(client:all_app_snapshots(s.apps[1])))
    end)
  end
end)

describe("a create whose answer is lost", function()
  before_each(begin)

  for _, fault in ipairs { "reset", "empty_reply", "html" } do
    it("is there, and is there once: " .. fault, function()
      s:fault { fault = fault, work = true, match = { method = "POST" } }
      local client <close> = helpers.client(s, { retries = 3 })
      local _, err = client:snapshot(s.apps[1])
      assert.is_true(err.sent)
      assert.equal(1, #assert(client:all_app_snapshots(s.apps[1])))
    end)
  end
end)

-- libcurl asks again by itself when a kept connection dies before the answer.
describe("an action after other requests", function()
  before_each(begin)

  for name, action in pairs(ACTIONS) do
    for _, protocol in ipairs { "http", "https1", "https" } do
      for _, with in ipairs { false, true } do
        it(("is sent once though its connection dies (%s, %s%s)"):format(name,
          protocol, with and ", reset" or ""), function()
          local client <close> = helpers.client(s, { retries = 3,
            base_url = s[protocol] .. "/v2" })
          assert(client:account())
          client:restore_snapshot { app_id = s.apps[2], snapshot_id = "x",
            version_id = "y" }
          assert(client:snapshot(s.apps[2]))
          assert(client:account())
          s:reset()
          s:fault { fault = with and "reset" or "empty_reply",
            match = { method = "POST" } }
          wire.failed({ kind = "network", sent = true }, action.ask(client))
          assert_sent_once(action)
        end)

        it(("does not meet a dead connection (%s, %s%s)"):format(name,
          protocol, with and ", reset" or ""), function()
          local client <close> = helpers.client(s, { retries = 0,
            base_url = s[protocol] .. "/v2" })
          assert(client:account())
          assert(client:snapshot(s.apps[2]))
          s:reset()
          s:fault { fault = "drop_kept", reset = with,
            match = { method = "POST" } }
          action.ask(client)
          local all = posts()
          assert.equal(1, #all)
          assert.is_true(all[1].status ~= 0)
        end)
      end
    end
  end
end)

-- Where the request never goes out: address, options, the error.
local NEVER = {
  { "the connection is refused", function() return s.refused end, {},
    { kind = "network", curl_code = 7 } },
  { "nobody takes the connection", function() return s.black_hole end,
    { connect_timeout = 0.2 }, { kind = "timeout", curl_code = 28 } },
  { "the host says nothing to a TLS handshake",
    function() return (s.silent:gsub("http", "https")) end,
    { connect_timeout = 0.2 }, { kind = "timeout", curl_code = 28 } },
  { "the name is not to be found",
    function() return "https://" .. ("a"):rep(64) .. ".invalid" end, {},
    { kind = "network", curl_code = 6 } },
}

describe("an action is tried again when", function()
  before_each(begin)

  for name, action in pairs(ACTIONS) do
    for _, case in ipairs(NEVER) do
      it(case[1] .. " (" .. name .. ")", function()
        local trace, records = wire.tracer()
        local options = { base_url = case[2]() .. "/v2", retries = 1,
          trace = trace }
        for field, value in pairs(case[3]) do options[field] = value end
        local client <close> = helpers.client(s, options)
        local want = { sent = false, retryable = true, http_status = false }
        for field, value in pairs(case[4]) do want[field] = value end
        wire.failed(want, action.ask(client))
        assert.equal(2, #wire.events(records, "request"))
        assert.equal(1, #wire.events(records, "retry"))
        for _, bytes in ipairs(wire.heard(s)) do
          assert.is_nil(bytes:find("POST", 1, true))
        end
      end)
    end

    it("it was turned away by a rate limit (" .. name .. ")", function()
      s:fault { fault = "rate_limited", retry_after = 0,
        match = { method = "POST" } }
      local client <close> = helpers.client(s, { retries = 1 })
      wire.failed({ kind = "rate_limited", sent = false, retry_after = 0 },
        action.ask(client))
      assert.equal(2, #posts())
    end)
  end

  it("the platform's own limit was met, and goes through then", function()
    s:configure { limits = { create_resource_ms = 3000, retry_after = true } }
    local client <close> = helpers.client(s, { retries = 1 })
    assert(client:snapshot(s.apps[1]))
    assert(client:snapshot(s.apps[1]))
    local status = {}
    for i, one in ipairs(posts()) do status[i] = one.status end
    assert.same({ 200, 429, 200 }, status)
    assert.equal(2, #assert(client:all_app_snapshots(s.apps[1])))
  end)

  it("but not when retries are 0", function()
    local trace, records = wire.tracer()
    local client <close> = helpers.client(s, { retries = 0, trace = trace,
      base_url = s.refused .. "/v2" })
    wire.failed({ kind = "network", sent = false }, client:snapshot "a")
    assert.equal(1, #wire.events(records, "request"))
    s:fault { fault = "rate_limited", retry_after = 0 }
    local other <close> = helpers.client(s, { retries = 0 })
    wire.failed({ kind = "rate_limited", sent = false },
      other:snapshot(s.apps[1]))
    assert.equal(1, #posts())
  end)
end)

-- A refusal is certain: the platform has done nothing.
local REFUSED = {
  { 400, "INVALID_ID", "bad_request" },
  { 400, "SNAPSHOT_DATABASE_MISMATCH", "bad_request" },
  { 401, "ACCESS_DENIED", "authentication" },
  { 402, "UPGRADE_REQUIRED", "permission" },
  { 403, "MISSING_SCOPE", "permission" },
  { 404, "SNAPSHOT_NOT_FOUND", "not_found" },
  { 413, "PAYLOAD_TOO_LARGE", "bad_request" },
  { 418, nil, "bad_request" },
  { 429, "DAILY_SNAPSHOTS_LIMIT_REACHED", "quota" },
  { 200, "KEEP_CALM", "rate_limited", retryable = true },
  { 403, "RATE_LIMIT", "rate_limited", retryable = true },
  { 429, "APP_NOT_FOUND", "not_found" },
}

describe("an action that is refused", function()
  before_each(begin)

  for name, action in pairs(ACTIONS) do
    for _, case in ipairs(REFUSED) do
      it(("was not carried out, and is sent once (%s, %d %s)"):format(name,
        case[1], case[2] or "without a code"), function()
        s:fault { fault = "respond", status = case[1], code = case[2],
          headers = { ["Retry-After"] = "0" } }
        local client <close> = helpers.client(s, { retries = 3 })
        wire.failed({ kind = case[3], code = case[2] or false, sent = false,
          http_status = case[1], retryable = case.retryable or false },
          action.ask(client))
        assert_sent_once(action)
      end)
    end
  end

  it("by the day's quota is not sent again", function()
    s:configure { limits = { daily = 1 } }
    local client <close> = helpers.client(s, { retries = 3 })
    assert(client:snapshot(s.apps[1]))
    wire.failed({ kind = "quota", http_status = 429, retryable = false,
      sent = false, code = "DAILY_SNAPSHOTS_LIMIT_REACHED" },
      client:snapshot(s.apps[2]))
    assert.equal(2, #posts())
  end)
end)

describe("an action that is not done yet", function()
  before_each(begin)

  it("is pending while the snapshot is made, and sent once", function()
    s:configure { processing_ms = 20 }
    local client <close> = helpers.client(s, { retries = 3 })
    wire.failed({ kind = "pending", http_status = 202, sent = true,
      code = "SNAPSHOT_PROCESSING" }, client:snapshot(s.apps[1]))
    assert_sent_once(ACTIONS.create)
  end)

  it("is pending whatever the status and the word that say so", function()
    for _, status in ipairs { 200, 202, 409 } do
      s:reset()
      s:fault { fault = "respond", status = status,
        json = { status = "success", code = "SNAPSHOT_PROCESSING" } }
      local client <close> = helpers.client(s, { retries = 3 })
      wire.failed({ kind = "pending", http_status = status, sent = true,
        code = "SNAPSHOT_PROCESSING" }, client:snapshot(s.apps[1]))
      assert_sent_once(ACTIONS.create)
    end
  end)

  it("is pending while another restore is under way", function()
    s:begin_restore({ database = s.databases[1] }, 60000)
    local client <close> = helpers.client(s, { retries = 3 })
    wire.failed({ kind = "pending", http_status = 409, sent = false,
      code = "RESTORE_IN_PROGRESS" }, ACTIONS.restore.ask(client))
    assert_sent_once(ACTIONS.restore)
  end)

  for name, action in pairs(ACTIONS) do
    it(("was taken when the answer is a 202, whatever its code (%s)")
      :format(name), function()
        for _, one in ipairs(codes.all) do
          s:reset()
          s:fault { fault = "respond", status = 202, code = one.code,
            match = { method = "POST" } }
          local client <close> = helpers.client(s, { retries = 3 })
          wire.failed({ kind = one.kind, http_status = 202, sent = true,
            code = one.code }, action.ask(client))
          assert_sent_once(action)
        end
      end)
  end
end)

describe("an action's time", function()
  before_each(begin)

  it("is action_timeout, a question's is timeout", function()
    s:configure { latency_ms = 3000 }
    local patient <close> = helpers.client(s, { timeout = 0.3, retries = 0,
      action_timeout = 60 })
    assert(patient:snapshot(s.apps[1]))
    wire.failed({ kind = "timeout", sent = false }, patient:account())
    local hasty <close> = helpers.client(s, { timeout = 60, retries = 0,
      action_timeout = 1.5 })
    assert(hasty:account())
    wire.failed({ kind = "timeout", sent = true },
      hasty:snapshot(s.apps[1]))
  end)

  it("is for each try: a wait between two does not count", function()
    s:fault { fault = "rate_limited", retry_after = 2, times = 1 }
    local client <close> = helpers.client(s, { action_timeout = 1.8,
      retries = 1 })
    assert(client:snapshot(s.apps[1]))
    assert.equal(2, #posts())
  end)
end)
