--- Making a client: its options and what they change on the wire, which
-- addresses it takes, where it has the account's id from, how it ends.

local socket = require "socket"
local child = require "spec.support.child"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local square = require "squarecloud"

local ME = "/v2/users/me"

describe("a client", function()
  local s

  before_each(function() s = server.shared() end)

  it("is made from the key alone", function()
    local client <close> = square.Client(s.key)
    assert.equal("squarecloud.Client (https://api.squarecloud.app/v2)",
      tostring(client))
  end)

  it("sends the bare key, what it accepts and who it is", function()
    local client <close> = helpers.client(s)
    assert(client:account())
    local headers = s:requests()[1].headers
    assert.equal(s.key, headers.authorization)
    assert.equal("application/json", headers.accept)
    assert.equal("squarecloud-lua/" .. square.version, headers["user-agent"])
  end)

  it("takes another user_agent", function()
    local client <close> = helpers.client(s, { user_agent = "cron/1 (x)" })
    assert(client:account())
    assert.equal("cron/1 (x)", s:requests()[1].headers["user-agent"])
  end)

  it("leaves the caller's options table as it is", function()
    local options = setmetatable({ api_key = s.key }, { __newindex = error })
    local client <close> = square.Client(options)
    assert.equal("userdata", type(client))
    assert.equal("api_key", (next(options)))
    assert.is_nil(next(options, "api_key"))
  end)

  it("works beside another one with another key", function()
    local a <close> = helpers.client(s)
    local b <close> = helpers.client(s, { api_key = "wrong-key", retries = 0 })
    assert(a:account())
    local _, err = b:account()
    assert.equal("authentication", err.kind)
    assert(a:account())
  end)
end)

describe("a client's addresses", function()
  local s

  before_each(function() s = server.shared() end)

  it("may end in slashes", function()
    local client <close> = helpers.client(s, { base_url = s.base_url .. "//",
      snapshots_url = s.snapshots_url .. "/" })
    s:add_snapshot { app = s.apps[1], bytes = "PK" }
    local info = assert(client:all_app_snapshots(s.apps[1]))[1]
    assert.equal("/v2/apps/" .. s.apps[1] .. "/snapshots",
      s:requests()[1].uri)
    assert.equal(1, info.url:find(s.https .. "/applications/", 1, true))
  end)

  for _, host in ipairs { "127.0.0.1", "localhost", "[::1]", "LOCALHOST" } do
    it("may be http for " .. host, function()
      local probe = host == "[::1]" and socket.tcp6()
      if probe then
        local reached = probe:connect("::1", s.ports.http)
        probe:close()
        if not reached then return pending("no IPv6 on this machine") end
      end
      local client <close> = helpers.client(s, {
        base_url = ("http://%s:%d/v2"):format(host, s.ports.http) })
      assert(client:account())
      assert.equal("http", s:requests()[1].scheme)
    end)
  end

  for _, host in ipairs { "127.0.0.2", "127.255.255.254", "127.0.0.1:1" } do
    it("may be http for " .. host .. ", which is loopback", function()
      local client <close> = square.Client { api_key = "k",
        base_url = "http://" .. host, snapshots_url = "http://" .. host }
      assert.equal(("squarecloud.Client (http://%s)"):format(host),
        tostring(client))
    end)
  end

  local REFUSED = {
    ["http://api.squarecloud.app/v2"] = "https",
    ["HTTP://api.squarecloud.app/v2"] = "https",
    ["http://10.0.0.1/v2"] = "https",
    ["http://0.0.0.0"] = "https",
    ["http://128.0.0.1"] = "https",
    ["http://127.0.0.1.example.com/v2"] = "https",
    ["http://localhost.example.com/v2"] = "https",
    ["http://[::2]/v2"] = "https",
    ["http://[::ffff:8.8.8.8]/v2"] = "https",
    ["ftp://127.0.0.1/v2"] = "https",
    ["file:///etc/passwd"] = "",
    ["https://user@example.com/v2"] = "user name",
    ["https://user:pass@example.com/v2"] = "user name",
    ["http://127.0.0.1@example.com/v2"] = "user name",
    ["http://localhost:80@example.com/v2"] = "user name",
    ["https://example.com/v2?a=b"] = "query",
    ["https://example.com/v2#a"] = "fragment",
    ["https://exam ple.com"] = "space",
    ["https://example.com/\r\nX: y"] = "control character",
    ["https://example.com/\0"] = "control character",
    ["https://"] = "",
    ["example.com/v2"] = "",
    ["/v2"] = "",
    [""] = "empty",
  }
  for url, why in pairs(REFUSED) do
    it(("are not %q"):format(url), function()
      for _, option in ipairs { "base_url", "snapshots_url" } do
        local ok, message = pcall(square.Client,
          { api_key = "k", [option] = url })
        assert.is_false(ok)
        assert.matches("Client: option '" .. option .. "' .*" .. why, message)
        assert.is_nil(message:find("example.com", 1, true))
      end
    end)
  end

  for url in pairs(REFUSED) do
    if not url:find "[?#]" and url ~= "" then
      it(("of a download are not %q"):format(url), function()
        local client <close> = helpers.client(s)
        for _, argument in ipairs { url, { url = url } } do
          local ok, message = pcall(client.download, client, argument)
          assert.is_false(ok)
          assert.matches("download: option 'url' ", message, 1, true)
        end
        assert.same({}, s:requests())
      end)
    end
  end
end)

describe("the account's id", function()
  local s

  before_each(function()
    s = server.shared()
    for _, app in ipairs(s.apps) do
      s:add_snapshot { app = app, bytes = "PK" }
    end
  end)

  local function account_in(info)
    return info.url:match("^https://[^/]+/applications/([^/]+)/")
  end

  it("is what the key begins with", function()
    local client <close> = helpers.client(s)
    assert.equal(s.account_id, account_in(client:all_snapshots()[1]))
    assert.same({}, s:requests { path = ME })
  end)

  it("is the option's, whatever the key says, in one segment", function()
    local client <close> = helpers.client(s, { account_id = "an/id?é" })
    assert.equal("an%2Fid%3F%C3%A9", account_in(client:all_snapshots()[1]))
    assert.same({}, s:requests { path = ME })
  end)

  it("may be long", function()
    local id = ("a/"):rep(1500)
    local client <close> = helpers.client(s, { account_id = id })
    local account = account_in(client:all_snapshots()[1])
    assert.is_true(account == ("a%2F"):rep(1500), #account .. " bytes")
  end)

  for name, key in pairs {
    ["no '-' in it"] = "abcdef0123456789",
    ["a '-' at its start"] = "-abcdef0123456789",
  } do
    it("is asked for once when the key has " .. name, function()
      local other <close> = server.start { key = key }
      other:add_snapshot { app = other.apps[1], bytes = "PK" }
      local client <close> = helpers.client(other, { account_id = false })
      assert(client:snapshot(other.apps[2])) -- needs none
      assert.same({}, other:requests { path = ME })
      for _ = 1, 2 do
        assert.equal(other.account_id, account_in(client:all_snapshots()[1]))
        assert.equal(other.account_id,
          account_in(client:all_app_snapshots(other.apps[1])[1]))
      end
      assert.equal(1, #other:requests { path = ME })
      assert.same({ "GET", ME }, { other:requests()[2].method,
        other:requests()[2].uri })
    end)
  end

  it("that cannot be had makes the list fail, and is asked for again",
    function()
      local client <close> = helpers.client(s, { api_key = "keywithoutdash",
        account_id = false, retries = 0 })
      s:fault { fault = "respond", match = { path = ME }, times = 1,
        status = 403, code = "MISSING_SCOPE", message = "needs user:read" }
      local list, err = client:all_app_snapshots(s.apps[1])
      assert.is_nil(list)
      assert.equal("permission", err.kind)
      assert.equal("MISSING_SCOPE", err.code)
      assert.equal("all_app_snapshots " .. s.apps[1], err.operation)
      assert.equal(1, #s:requests())
      list, err = client:all_app_snapshots(s.apps[1])
      assert.is_nil(list)
      assert.equal("authentication", err.kind)
      assert.equal(2, #s:requests())
    end)

  for name, response in pairs {
    ["no user"] = {}, ["no id"] = { user = {} },
    ["a number"] = { user = { id = 5 } },
    ["an empty id"] = { user = { id = "" } },
    ["a control character"] = { user = { id = "a\nb" } },
    ["dots"] = { user = { id = ".." } },
  } do
    it("that is answered with " .. name .. " is a protocol error", function()
      local client <close> = helpers.client(s, { api_key = "keywithoutdash",
        account_id = false })
      s:fault { fault = "respond", match = { path = ME },
        json = { status = "success", response = response } }
      local list, err = client:all_snapshots()
      assert.is_nil(list)
      assert.equal("protocol", err.kind)
      assert.same({}, s:requests { pattern = "snapshots" })
    end)
  end
end)

describe("a client's patience", function()
  local s

  before_each(function() s = server.shared() end)

  -- base_url, options, call; `sent` of the error
  local CASES = {
    ["timeout, for a question"] = { "silent", { timeout = 0.3,
      action_timeout = 60 }, "account", nil, false },
    ["action_timeout, for an action"] = { "silent", { action_timeout = 1,
      timeout = 60 }, "snapshot", "a", true },
  }
  for name, case in pairs(CASES) do
    it("ends after " .. name, function()
      local options = { base_url = s[case[1]] .. "/v2", retries = 0 }
      for option, value in pairs(case[2]) do options[option] = value end
      local client <close> = helpers.client(s, options)
      local began = socket.gettime()
      local result, err = client[case[3]](client, case[4])
      assert.is_true(socket.gettime() - began < 20)
      assert.is_nil(result)
      assert.equal("timeout", err.kind)
      assert.is_true(err.retryable)
      assert.equal(case[5], err.sent)
      assert.equal("integer", math.type(err.curl_code))
    end)
  end
end)

describe("the API's redirects", function()
  local s

  before_each(function() s = server.shared() end)

  for _, to in ipairs { "self", "other_host", "plain", "file", "",
    "https://example.com/steal", false } do
    for _, status in ipairs { 301, 302, 303, 307, 308 } do
      if status == 302 or to == "other_host" then
        it(("are not followed (%s, %d)"):format(to, status), function()
          local client <close> = helpers.client(s,
            { base_url = s.http_base_url })
          s:fault { fault = "redirect", to = to, status = status }
          for _, call in ipairs { { "account" }, { "all_snapshots" },
            { "snapshot", "a" } } do
            local before = #s:requests()
            local result, err = client[call[1]](client, call[2])
            assert.is_nil(result)
            assert.equal("protocol", err.kind)
            assert.is_false(err.retryable)
            assert.equal(status, err.http_status)
            assert.equal(before + 1, #s:requests())
          end
        end)
      end
    end
  end
end)

describe("a client's trace", function()
  local s

  before_each(function() s = server.shared() end)

  it("is told of each request and its answer", function()
    local seen = {}
    local client <close> = helpers.client(s, { retries = 0,
      trace = function(...)
        assert(select("#", ...) == 1)
        seen[#seen + 1] = ...
      end })
    assert(client:all_app_snapshots(s.apps[1]))
    assert.equal("request", seen[1].event)
    local answer = seen[2]
    assert.equal("response", answer.event)
    assert.equal("all_app_snapshots " .. s.apps[1], answer.operation)
    assert.equal("GET", answer.method)
    assert.equal(s.base_url .. "/apps/" .. s.apps[1] .. "/snapshots",
      answer.url)
    assert.equal(1, answer.attempt)
    assert.equal(200, answer.http_status)
    assert.equal("integer", math.type(answer.bytes))
    assert.equal("float", math.type(answer.seconds))
    assert.is_nil(client:snapshot "nowhere")
    assert.equal("failure", seen[#seen].event)
    assert.equal(404, seen[#seen].http_status)
    assert.matches("APP_NOT_FOUND", seen[#seen].detail, 1, true)
  end)

  it("may not call the client", function()
    local client, why
    client = helpers.client(s, { trace = function()
      if why then return end
      why = select(2, pcall(client.account, client))
    end })
    assert(client:account())
    assert.matches("trace function", why)
    client:close()
  end)

  it("is turned off, with a warning, by an error of its own", function()
    local out, err, code = child.run([[
      warn "@on"
      local square = require "squarecloud"
      local key, base_url, ca_file = ...
      local count = 0
      local client <close> = square.Client { api_key = key, proxy = "",
        base_url = base_url, ca_file = ca_file,
        trace = function() count = count + 1 error "the trace is broken" end }
      assert(client:account())
      assert(client:account())
      print(count)
    ]], { s.key, s.base_url, s.ca_file })
    assert.equal("1\n", out)
    assert.matches("Lua warning: squarecloud: .*the trace is broken", err)
    assert.equal(0, code)
  end)
end)

describe("a client's end", function()
  local s

  before_each(function() s = server.shared() end)

  it("may come twice", function()
    local client = helpers.client(s)
    assert(client:account())
    client:close()
    client:close()
    assert.equal("squarecloud.Client (closed)", tostring(client))
  end)

  it("comes with its <close> variable", function()
    local outside
    do
      local client <close> = helpers.client(s)
      outside = client
      assert.is_nil(tostring(client):find("closed", 1, true))
    end
    assert.matches("closed", tostring(outside), 1, true)
  end)

  it("comes when nobody has it any more", function()
    local weak = setmetatable({}, { __mode = "v" })
    weak[1] = helpers.client(s)
    assert(weak[1]:account())
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)

  it("does not touch another client of the same state", function()
    local a, b <close> = helpers.client(s), helpers.client(s)
    assert(a:account())
    assert(b:account())
    a:close()
    assert(b:account())
  end)
end)
