--- Connections: that they are kept and shared, that nobody notices when a kept
-- one has died, how long a client waits for one, and how much it takes from
-- one.

local socket = require "socket"
local child = require "spec.support.child"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local wire = require "spec.support.wire"

local s

local function begin()
  s = server.shared()
end

local connections = wire.connections

describe("a connection", function()
  before_each(begin)

  for listener, protocol in pairs { http = "HTTP/1.1", https = "HTTP/2.0",
    https1 = "HTTP/1.1" } do
    it("serves 200 questions, over " .. listener, function()
      local client <close> = helpers.client(s,
        { base_url = s[listener] .. "/v2", retries = 0 })
      for _ = 1, 200 do assert(client:account()) end
      local all = s:requests()
      assert.equal(200, #all)
      assert.equal(1, connections(all))
      for _, one in ipairs(all) do assert.equal(protocol, one.protocol) end
    end)

    it("serves one client after another, over " .. listener, function()
      -- connections end with the last client
      local other <close> = helpers.client(s, { retries = 0,
        base_url = s[listener] .. "/v2" })
      assert(other:account())
      for _ = 1, 20 do
        local client <close> = helpers.client(s,
          { base_url = s[listener] .. "/v2", retries = 0 })
        assert(client:account())
      end
      assert.equal(21, #s:requests())
      assert.equal(1, connections(s:requests()))
    end)
  end

  it("serves clients with different keys, to each its own", function()
    local keys, clients = {}, {}
    for i = 1, 8 do
      keys[i] = ("account%d-key%d"):format(i, i)
      clients[i] = helpers.client(s, { retries = 0, user_agent = "agent " .. i,
        api_key = i == 1 and s.key or keys[i] })
    end
    keys[1] = s.key
    for _ = 1, 3 do
      for i, client in ipairs(clients) do
        local result, err = client:account()
        assert.equal(i == 1, result ~= nil)
        assert.equal(i ~= 1 and "authentication" or nil, err and err.kind)
      end
    end
    for i, one in ipairs(s:requests()) do
      local n = (i - 1) % 8 + 1
      assert.equal(keys[n], one.headers.authorization)
      assert.equal("agent " .. n, one.headers["user-agent"])
    end
    assert.equal(1, connections(s:requests()))
    clients[1]:close()
    for i = 2, 8 do
      wire.failed({ kind = "authentication" }, clients[i]:account())
      clients[i]:close()
    end
  end)

  it("outlives an error of the platform", function()
    local client <close> = helpers.client(s, { retries = 0 })
    for _ = 1, 5 do
      wire.failed({ kind = "not_found" }, client:all_app_snapshots "nobody")
      assert(client:account())
    end
    assert.equal(1, connections(s:requests()))
  end)

  for name, fault in pairs {
    ["before the next question"] = { fault = "close_after" },
    ["at the next question"] = { fault = "drop_kept" },
    ["at the next question, with a reset"] = { fault = "drop_kept",
      reset = true },
  } do
    it("that the server closes is not missed: " .. name, function()
      local client <close> = helpers.client(s,
        { base_url = s.http_base_url, retries = 0 })
      s:fault(fault)
      for _ = 1, 5 do assert(client:account()) end
    end)
  end

  it("is not inherited by a program that the host starts", function()
    local out, err = child.run([[
      local square = require "squarecloud"
      local key, ca_file = ...
      -- inodes of the connections that a program of ours would have
      local function inherited()
        local pipe <close> = io.popen("ls -l /proc/self/fd/ | "
          .. "cat - /proc/self/net/tcp /proc/self/net/tcp6")
        local held, list = {}, {}
        for line in pipe:lines() do
          local inode = line:match "%-> socket:%[(%d+)%]"
          if inode then held[inode] = true end
          inode = line:match("^%s*%d+: " .. ("%S+%s+"):rep(8) .. "(%d+)")
          if held[inode] then list[#list + 1] = inode end
        end
        return table.concat(list, " ")
      end
      print("before", inherited())
      local clients = {}
      for i = 3, select("#", ...) do
        local client = square.Client { api_key = key, ca_file = ca_file,
          base_url = (select(i, ...)), proxy = "", retries = 0 }
        assert(client:account())
        assert(client:snapshot(assert(client:account()).response
          .applications[1].id))
        clients[i] = client
      end
      print("after", inherited())
    ]], { s.key, s.ca_file, s.base_url, s.http_base_url })
    assert.equal("", err)
    local before, after = out:match "before\t([^\n]*)\nafter\t([^\n]*)\n"
    assert.is_string(before)
    assert.equal(before, after)
  end)
end)

describe("a client's connect_timeout", function()
  before_each(begin)

  -- What never becomes a connection that may be used.
  for name, address in pairs {
    ["a host that takes no connection"] = function() return s.black_hole end,
    ["a host that takes none, with TLS"] = function()
      return (s.black_hole:gsub("http", "https"))
    end,
    ["a host that says nothing to a handshake"] = function()
      return (s.silent:gsub("http", "https"))
    end,
  } do
    it("ends the waiting for " .. name, function()
      local client <close> = helpers.client(s, { connect_timeout = 0.3,
        timeout = 600, action_timeout = 600, retries = 0,
        base_url = address() .. "/v2" })
      local began = socket.gettime()
      wire.failed({ kind = "timeout", curl_code = 28, retryable = true,
        sent = false, http_status = false }, client:account())
      wire.failed({ kind = "timeout", curl_code = 28, sent = false },
        client:snapshot "a")
      assert.is_true(socket.gettime() - began >= 0.55)
      assert.is_true(socket.gettime() - began < 20)
    end)
  end

  it("is for each try", function()
    local trace, records = wire.tracer()
    local client <close> = helpers.client(s, { connect_timeout = 0.2,
      retries = 2, base_url = s.black_hole .. "/v2", trace = trace })
    wire.failed({ kind = "timeout" }, client:account())
    local failures = wire.events(records, "failure")
    assert.equal(3, #failures)
    for _, one in ipairs(failures) do
      assert.is_true(one.seconds >= 0.15, one.seconds)
    end
  end)

  it("does not count once the connection is there", function()
    s:configure { latency_ms = 1500 }
    local client <close> = helpers.client(s, { connect_timeout = 1,
      retries = 0, base_url = s.http_base_url })
    assert(client:account())
    assert(client:snapshot(s.apps[1]))
  end)
end)

describe("a client's timeout", function()
  before_each(begin)

  it("covers connecting as well", function()
    local client <close> = helpers.client(s, { connect_timeout = 600,
      timeout = 0.3, action_timeout = 0.3, retries = 0,
      base_url = s.black_hole .. "/v2" })
    local began = socket.gettime()
    wire.failed({ kind = "timeout", sent = false }, client:account())
    wire.failed({ kind = "timeout", sent = false }, client:snapshot "a")
    assert.is_true(socket.gettime() - began < 20)
  end)

  it("covers a long answer that keeps coming", function()
    s:fault { fault = "drip", every_ms = 50 }
    local client <close> = helpers.client(s, { timeout = 0.4, retries = 0 })
    wire.failed({ kind = "timeout", curl_code = 28 }, client:account())
  end)

  it("leaves the client fit for the next question", function()
    s:fault { fault = "stall", times = 1 }
    local client <close> = helpers.client(s, { retries = 0,
      base_url = s.http_base_url })
    local hasty <close> = helpers.client(s, { retries = 0, timeout = 1,
      base_url = s.http_base_url })
    wire.failed({ kind = "timeout" }, hasty:account())
    assert(client:account())
    s:release()
    assert(client:account())
    assert.equal(3, #s:requests())
  end)
end)

describe("an answer's size", function()
  before_each(begin)

  -- An answer of exactly so many bytes.
  local function sized(bytes)
    local head, tail = '{"status":"success","response":"', '"}'
    return head .. ("x"):rep(bytes - #head - #tail) .. tail
  end

  for name, more in pairs {
    ["with its length announced"] = {},
    ["in chunks"] = { fault = "chunked" },
    ["ended by the connection's end"] = { fault = "no_length" },
  } do
    for _, limit in ipairs { 100, 16384, 1000000 } do
      it(("may be max_response_bytes, not more (%d, %s)"):format(limit, name),
        function()
          local client <close> = helpers.client(s, { retries = 3,
            max_response_bytes = limit, base_url = s.http_base_url })
          if more.fault then s:fault(more) end
          s:fault { fault = "respond", body = sized(limit), times = 1 }
          local response = assert(client:account()).response
          assert.equal(limit, #sized(#response + 34))
          assert.equal(1, #s:requests())
          s:fault { fault = "respond", body = sized(limit + 1) }
          local err = wire.failed({ kind = "protocol", retryable = false,
            http_status = 200 }, client:account())
          assert.matches(tostring(limit), err.message, 1, true)
          assert.equal(2, #s:requests())
        end)
    end
  end

  it("is limited to 64 MiB unless said otherwise", function()
    s:fault { fault = "json_huge", bytes = 64 << 20 }
    local client <close> = helpers.client(s, { retries = 3 })
    local err = wire.failed({ kind = "protocol", retryable = false },
      client:account())
    assert.matches("larger than 67108864 bytes (max_response_bytes)",
      err.message, 1, true)
    assert.equal(1, #s:requests())
    local greedy <close> = helpers.client(s, { retries = 3,
      max_response_bytes = 65 << 20 })
    assert.equal(64 << 20, #assert(greedy:account()).response[1])
  end)

  it("counts for failures, too", function()
    s:fault { fault = "respond", status = 404, code = "APP_NOT_FOUND",
      message = ("x"):rep(5000) }
    local client <close> = helpers.client(s, { retries = 3,
      max_response_bytes = 1000 })
    wire.failed({ kind = "protocol", http_status = 404 }, client:account())
    assert.equal(1, #s:requests())
  end)

  it("is a question's own: the next one starts anew", function()
    local client <close> = helpers.client(s, { retries = 1,
      max_response_bytes = 1000 })
    s:fault { fault = "respond", status = 500, body = ("x"):rep(900),
      times = 1 }
    s:fault { fault = "respond", body = sized(900) }
    assert(client:account())
    assert(client:account())
  end)
end)

describe("an answer's head", function()
  before_each(begin)

  for name, fault in pairs {
    ["one line too long"] = { fault = "long_header", bytes = 300000 },
    ["too many lines"] = { fault = "many_headers" },
  } do
    it("may not be endless: " .. name, function()
      s:fault(fault)
      local client <close> = helpers.client(s,
        { retries = 3, base_url = s.http_base_url })
      wire.failed({ kind = "protocol", retryable = false }, client:account())
      assert.equal(1, #s:requests())
    end)
  end
end)
