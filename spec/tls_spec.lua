--- TLS: whom a client believes to be the platform, what it says when it does
-- not, and that nothing has been sent by then.

local child = require "spec.support.child"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local square = require "squarecloud"
local wire = require "spec.support.wire"

local s

local function begin()
  s = server.shared()
end

-- `ca_file = false`: the system's.
local function client_of(overrides)
  local ca_file = s.ca_file
  if overrides.ca_file ~= nil then ca_file = overrides.ca_file or nil end
  return square.Client { api_key = s.key, proxy = "", ca_file = ca_file,
    base_url = (overrides.base or s.https) .. "/v2",
    snapshots_url = overrides.base or s.https,
    retries = overrides.retries or 3, trace = overrides.trace,
    connect_timeout = overrides.connect_timeout }
end

-- Each call of the API, and a download.
local CALLS = {
  account = function(client) return client:account() end,
  create = function(client) return client:snapshot(s.apps[1]) end,
  list = function(client) return client:all_app_snapshots(s.apps[1]) end,
  restore = function(client)
    return client:restore_snapshot { app_id = s.apps[1], snapshot_id = "x",
      version_id = "y" }
  end,
}

-- What is wrong; how the client is made; a word of the reason.
local REFUSED = {
  ["the server has signed its certificate itself"] = {
    function() return { base = s.self_signed } end, "self.signed" },
  ["the server's certificate has expired"] = {
    function() return { base = s.expired } end, "expired" },
  ["the server's certificate is for another host"] = {
    function() return { base = s.wrong_host } end, "localhost" },
  ["the certificate's authority is not one of the system's"] = {
    function() return { ca_file = false } end, "certificate" },
  ["the certificate's authority is not in ca_file"] = {
    function() return { ca_file = s.dir .. "/self_signed.pem" } end,
    "certificate" },
  ["ca_file is not there"] = {
    function() return { ca_file = s.dir .. "/nowhere.pem" } end,
    "nowhere%.pem" },
  ["ca_file is a folder"] = {
    function() return { ca_file = s.dir } end, "squarecloud%-server" },
  ["ca_file holds no certificate"] = {
    function() return { ca_file = s.dir .. "/nginx.conf" } end,
    "nginx%.conf" },
  ["ca_file holds half a certificate"] = {
    function()
      local path = s.dir .. "/half.pem"
      helpers.write_file(path, helpers.read_file(s.ca_file):sub(1, 200))
      return { ca_file = path }
    end, "half%.pem" },
  ["the server speaks nothing newer than TLS 1.1"] = {
    function() return { base = s.old_tls } end, "%a" },
  ["the server does not speak TLS"] = {
    function() return { base = s.http:gsub("http", "https") } end, "%a" },
}

for why, case in pairs(REFUSED) do
  describe("when " .. why, function()
    before_each(begin)

    for name, call in pairs(CALLS) do
      it(name .. " is tried once and says so, and nothing is sent", function()
        local trace, records = wire.tracer()
        local options = case[1]()
        options.trace = trace
        local client <close> = client_of(options)
        local err = wire.failed({ kind = "tls", retryable = false,
          sent = false, http_status = false, code = false }, call(client))
        assert.equal("integer", math.type(err.curl_code))
        assert.matches(case[2], err.message)
        assert.matches(": tls: ", tostring(err), 1, true)
        assert.is_nil(tostring(err):find(s.key, 1, true))
        assert.equal(1, #wire.events(records, "request"))
        assert.equal(1, #wire.events(records, "failure"))
        for _, one in ipairs(s:requests()) do
          -- what came is the handshake's bytes, to a server without TLS
          assert.equal("http", one.scheme)
          assert.is_nil(one.headers.authorization)
        end
      end)
    end

    it("a download is tried once, sends nothing and leaves no file", function()
      local dir <close> = helpers.tmpdir()
      local trace, records = wire.tracer()
      local options = case[1]()
      options.trace = trace
      local client <close> = client_of(options)
      wire.failed({ kind = "tls", retryable = false },
        client:download { url = (options.base or s.https)
          .. "/files/a.zip?Signature=secret", path = dir.path })
      assert.equal(1, #wire.events(records, "request"))
      assert.same({}, helpers.names(dir.path))
      assert.same({}, s:requests { path = "/files/" })
    end)
  end)
end

describe("a server that speaks nothing newer than TLS 1.1", function()
  before_each(begin)

  it("is refused by the client, not only by the system's settings", function()
    local settings = s.dir .. "/lax.cnf"
    helpers.write_file(settings, [[
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = lax
[lax]
MinProtocol = TLSv1
CipherString = ALL:@SECLEVEL=0
]])
    local out, err = child.run([[
      local square = require "squarecloud"
      local key, ca_file = ...
      for i = 3, 4 do
        local client <close> = square.Client { api_key = key, retries = 0,
          ca_file = ca_file, proxy = "", base_url = (select(i, ...)) }
        local result, err = client:account()
        print(result and "answered" or err.kind)
      end
    ]], { s.key, s.ca_file, s.old_tls .. "/v2", s.base_url },
      { OPENSSL_CONF = settings })
    assert.equal("", err)
    assert.equal("tls\nanswered\n", out)
    assert.equal(1, #s:requests())
  end)
end)

describe("a server that is silent during the handshake", function()
  before_each(begin)

  it("has heard no key, however often it was tried", function()
    local client <close> = client_of { retries = 1, connect_timeout = 2,
      base = s.silent:gsub("http", "https") }
    wire.failed({ kind = "timeout", curl_code = 28 }, client:account())
    wire.failed({ kind = "timeout", curl_code = 28, sent = false },
      client:snapshot "a")
    local heard = wire.heard(s)
    assert.equal(4, #heard)
    for _, bytes in ipairs(heard) do
      assert.equal("\x16\x03", bytes:sub(1, 2)) -- a handshake
      assert.is_nil(bytes:find(s.key, 1, true))
    end
  end)
end)

describe("ca_file", function()
  before_each(begin)

  for _, listener in ipairs { "https", "https1" } do
    it("is believed, for each call and the store: " .. listener, function()
      local dir <close> = helpers.tmpdir()
      local client <close> = client_of { base = s[listener] }
      local snapshot = assert(client:snapshot(s.apps[1]))
      local list = assert(client:all_app_snapshots(s.apps[1]))
      assert.equal(1, #list)
      assert(client:restore_snapshot(list[1]))
      local zip <close> = assert(snapshot:download(dir.path))
      assert.is_true(zip.bytes > 0)
      for _, one in ipairs(s:requests()) do
        assert.equal("https", one.scheme)
      end
    end)
  end

  it("may be the server's own certificate", function()
    local client <close> = client_of { base = s.self_signed,
      ca_file = s.dir .. "/self_signed.pem" }
    assert(client:account())
  end)

  it("does not make a certificate fit another host", function()
    local client <close> = client_of { base = s.wrong_host,
      ca_file = s.dir .. "/wrong_host.pem" }
    wire.failed({ kind = "tls" }, client:account())
  end)

  it("is one client's, not another's, though connections are kept", function()
    local trusting <close> = client_of { retries = 0 }
    local strict <close> = client_of { retries = 0, ca_file = false }
    local other <close> = client_of { retries = 0,
      ca_file = s.dir .. "/self_signed.pem" }
    for _ = 1, 2 do
      assert(trusting:account())
      wire.failed({ kind = "tls" }, strict:account())
      wire.failed({ kind = "tls" }, other:snapshot(s.apps[1]))
    end
    assert.equal(2, #s:requests())
  end)
end)
