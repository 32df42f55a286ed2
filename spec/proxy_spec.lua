--- Proxies: through which one a client's requests go, what the environment has
-- to say about it and when, what a proxy gets to see, and what happens when it
-- is dead. The proxy is tinyproxy; its log says who has been through.

local child = require "spec.support.child"
local helpers = require "spec.support.helpers"
local Proxy = require "spec.support.proxy"
local server = require "spec.support.server"
local wire = require "spec.support.wire"

local s

local function begin()
  s = server.shared()
end

-- How tinyproxy names the server's https listener.
local function target()
  return "localhost:" .. s.ports.https
end

-- A client in a process of its own. It asks once before the environment
-- changes and, as the same client, once after; then a new one asks.
local SCRIPT = [[
  local square = require "squarecloud"
  local key, base_url, ca_file, proxy, changes = ...
  local function new()
    return square.Client { api_key = key, base_url = base_url, retries = 0,
      ca_file = ca_file, proxy = proxy ~= "from the environment" and proxy
        or nil }
  end
  local function ask(client)
    local result, err = client:account()
    print(result and "answered" or err.kind)
  end
  local client <close> = new()
  if changes then
    for name, value in changes:gmatch "(%S+)=(%S*)" do
      require "env_probe".set(name, value)
    end
  end
  ask(client)
  if changes then
    local later <close> = new()
    ask(later)
  end
]]

local NAMES = { "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY",
  "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY" }

-- What the process prints, a word for each question.
local function ask(environment, opts)
  opts = opts or {}
  local all = {}
  for _, name in ipairs(NAMES) do all[name] = environment[name] or "" end
  local out, err = child.run(SCRIPT, { s.key, opts.base_url or s.base_url,
    s.ca_file, opts.proxy or "from the environment", opts.changes }, all)
  assert.equal("", err)
  return (out:gsub("%s+$", ""):gsub("\n", ", "))
end

describe("a proxy given as an option", function()
  before_each(begin)

  it("is gone through by everything that is https", function()
    local proxy <close> = Proxy.start()
    local dir <close> = helpers.tmpdir()
    local client <close> = helpers.client(s,
      { proxy = proxy.url, retries = 0 })
    assert(client:account())
    local snapshot = assert(client:snapshot(s.apps[1]))
    assert(client:all_app_snapshots(s.apps[1])[1]:restore())
    local zip <close> = assert(snapshot:download(dir.path))
    assert.is_true(#zip > 0)
    local tunnels = proxy:tunnels()
    for _, one in ipairs(tunnels) do assert.equal(target(), one) end
    assert.equal(wire.connections(s:requests()), #tunnels)
    proxy:stop()
    wire.failed({ kind = "network" }, client:account())
  end)

  it("keeps its tunnel for the next question", function()
    local proxy <close> = Proxy.start()
    local client <close> = helpers.client(s,
      { proxy = proxy.url, retries = 0 })
    for _ = 1, 20 do assert(client:account()) end
    assert.same({ target() }, proxy:tunnels())
  end)

  it("is one client's, not another's", function()
    local proxy <close> = Proxy.start()
    local through <close> = helpers.client(s,
      { proxy = proxy.url, retries = 0 })
    local direct <close> = helpers.client(s, { retries = 0 })
    local dead <close> = helpers.client(s,
      { proxy = s.refused, retries = 0 })
    for _ = 1, 3 do
      assert(through:account())
      assert(direct:account())
      wire.failed({ kind = "network" }, dead:account())
    end
    assert.same({ target() }, proxy:tunnels())
    proxy:stop()
    assert(direct:account())
    wire.failed({ kind = "network" }, through:account())
  end)

  it("sees neither key nor path", function()
    local client <close> = helpers.client(s, { proxy = s.silent, retries = 0,
      connect_timeout = 2 })
    wire.failed({ kind = "timeout", sent = false }, client:account())
    wire.failed({ kind = "timeout", sent = false },
      client:snapshot(s.apps[1]))
    local heard = wire.heard(s)
    assert.equal(2, #heard)
    for _, bytes in ipairs(heard) do
      assert.matches("^CONNECT " .. target():gsub("%p", "%%%0")
        .. " HTTP/1%.1\r\n", bytes)
      assert.is_nil(bytes:find(s.key, 1, true))
      assert.is_nil(bytes:find("snapshots", 1, true))
      assert.is_nil(bytes:lower():find("\nauthorization", 1, true))
    end
  end)

  it("is not for http, which stays on this machine", function()
    local client <close> = helpers.client(s, { proxy = s.refused,
      base_url = s.http_base_url, snapshots_url = s.http_snapshots_url,
      retries = 0 })
    assert(client:account())
    assert(client:snapshot(s.apps[1]))
  end)

  it("gets the password it asks for", function()
    local proxy <close> = Proxy.start { user = "cron", password = "s3cr3t" }
    local client <close> = helpers.client(s, { retries = 0,
      proxy = "http://cron:s3cr3t@127.0.0.1:" .. proxy.port })
    assert(client:account())
    assert(client:snapshot(s.apps[1]))
    assert.same({ target(), target() }, proxy:tunnels())
    for _, one in ipairs(s:requests()) do
      assert.is_nil(one.headers["proxy-authorization"])
    end
  end)

  it("that refuses is no answer of the platform", function()
    local proxy <close> = Proxy.start { user = "cron", password = "right" }
    for name, userinfo in pairs { wrong = "cron:wrong@", missing = "" } do
      local client <close> = helpers.client(s, { retries = 0,
        proxy = "http://" .. userinfo .. "127.0.0.1:" .. proxy.port })
      wire.failed({ kind = "network", http_status = false, sent = false },
        client:snapshot(s.apps[1]))
      assert.same({}, s:requests(), name)
    end
  end)
end)

describe("a dead proxy", function()
  before_each(begin)

  it("is a network failure, and nothing was sent", function()
    local trace, records = wire.tracer()
    local client <close> = helpers.client(s, { proxy = s.refused,
      retries = 1, trace = trace })
    wire.failed({ kind = "network", curl_code = 7, sent = false,
      retryable = true, http_status = false }, client:snapshot(s.apps[1]))
    wire.failed({ kind = "network", curl_code = 7 }, client:account())
    assert.equal(4, #wire.events(records, "request"))
    assert.same({}, s:requests())
  end)

  it("that comes up between two tries lets an action through once", function()
    local port, proxy = Proxy.free_port(), nil
    local client <close> = helpers.client(s, { retries = 20,
      proxy = "http://127.0.0.1:" .. port,
      trace = function(record)
        if record.event == "retry" and not proxy then
          proxy = Proxy.start { port = port }
        end
      end })
    local snapshot, err = client:snapshot(s.apps[1])
    if proxy then proxy:stop() end
    assert(snapshot, err)
    assert.equal(1, #s:requests { method = "POST" })
  end)
end)

describe("a proxy's password", function()
  before_each(begin)

  -- Proxies that fail, each in its way, most before anything is connected.
  for _, address in ipairs {
    "http://cron:s3cr3t@127.0.0.1:%d",
    "cron:s3cr3t@127.0.0.1:%d",
    "http://cron:s3cr3t@127.0.0.1:99999",
    "http://cron:s3cr3t@[::1",
    "http://cron s3cr3t@127.0.0.1",
    "ftp://cron:s3cr3t@127.0.0.1:%d",
    "socks5h://cron:s3cr3t@127.0.0.1:%d",
    "https://cron:s3cr3t@127.0.0.1:%d",
    "http://cron:s3cr3t@" .. ("a"):rep(64) .. ".invalid",
    "://s3cr3t",
  } do
    it("is not in what is said of " .. address:gsub(":s3cr3t", ""), function()
      local trace, records = wire.tracer()
      local ok, client = pcall(helpers.client, s, { retries = 0,
        trace = trace, proxy = address:format(s.ports.refused) })
      if not ok then -- refused at once, which is as good
        assert.is_nil(tostring(client):find("s3cr3t", 1, true))
        return
      end
      local said = { tostring(client) }
      for _, call in ipairs { "account", "snapshot" } do
        local result, err = client[call](client,
          call == "snapshot" and "a" or nil)
        assert.is_nil(result)
        assert.is_false(err.sent)
        said[#said + 1] = tostring(err)
        for _, value in pairs(err) do said[#said + 1] = tostring(value) end
      end
      for _, record in ipairs(records) do
        for _, value in pairs(record) do said[#said + 1] = tostring(value) end
      end
      client:close()
      said = table.concat(said, "\n")
      assert.is_nil(said:find("s3cr3t", 1, true), said)
    end)
  end
end)

describe("the proxy of the environment", function()
  before_each(begin)

  for _, name in ipairs { "https_proxy", "HTTPS_PROXY", "all_proxy",
    "ALL_PROXY" } do
    it("is " .. name, function()
      local proxy <close> = Proxy.start()
      assert.equal("answered", ask { [name] = proxy.url })
      assert.same({ target() }, proxy:tunnels())
      assert.equal(1, #s:requests())
    end)
  end

  for _, case in ipairs {
    { "small letters before large ones", "https_proxy", "HTTPS_PROXY" },
    { "the one for https before the one for all", "HTTPS_PROXY", "all_proxy" },
    { "small letters before large ones, for all", "all_proxy", "ALL_PROXY" },
  } do
    it("is " .. case[1], function()
      local proxy <close> = Proxy.start()
      assert.equal("answered",
        ask { [case[2]] = proxy.url, [case[3]] = s.refused })
      assert.equal("network",
        ask { [case[2]] = s.refused, [case[3]] = proxy.url })
      assert.same({ target() }, proxy:tunnels())
    end)
  end

  it("is not http_proxy, and not asked for http", function()
    assert.equal("answered",
      ask { http_proxy = s.refused, HTTP_PROXY = s.refused })
    assert.equal("answered", ask({ http_proxy = s.refused,
      https_proxy = s.refused, all_proxy = s.refused },
      { base_url = s.http_base_url }))
  end)

  it("is left aside where no_proxy says so", function()
    for _, name in ipairs { "no_proxy", "NO_PROXY" } do
      for value, word in pairs { localhost = "answered", ["*"] = "answered",
        ["example.com,localhost"] = "answered", ["example.com"] = "network",
        ["ocalhost"] = "network" } do
        assert.equal(word, ask { https_proxy = s.refused, [name] = value },
          name .. "=" .. value)
      end
    end
  end)

  it("gives way to the option, and to an empty one", function()
    local proxy <close> = Proxy.start()
    assert.equal("answered",
      ask({ https_proxy = s.refused }, { proxy = proxy.url }))
    assert.same({ target() }, proxy:tunnels())
    assert.equal("answered", ask({ https_proxy = s.refused,
      ALL_PROXY = s.refused }, { proxy = "" }))
    assert.equal("network", ask({}, { proxy = s.refused }))
    assert.equal(1, #proxy:tunnels())
  end)

  it("is read when the client is made, and never again", function()
    assert.equal("answered, network", ask({},
      { changes = "https_proxy=" .. s.refused }))
    assert.equal("network, answered", ask({ https_proxy = s.refused },
      { changes = "https_proxy=" }))
    assert.equal("answered, network", ask({ https_proxy = s.refused,
      no_proxy = "localhost" }, { changes = "no_proxy=" }))
    assert.equal("network, answered", ask({ https_proxy = s.refused },
      { changes = "no_proxy=localhost NO_PROXY=localhost" }))
    assert.equal("answered, answered", ask({}, { proxy = "",
      changes = "https_proxy=" .. s.refused .. " all_proxy=" .. s.refused }))
  end)
end)
