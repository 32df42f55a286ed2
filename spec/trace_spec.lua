--- Trace: what its function is told of each request, that no secret is in it,
-- what it may do, and what becomes of it when it fails or is too slow.

local child = require "spec.support.child"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local wire = require "spec.support.wire"

local s

local function begin()
  s = server.shared()
  wire.reset(s)
end

local function client_of(overrides)
  local options = { base_url = s.http_base_url, retries = 0,
    snapshots_url = s.http_snapshots_url }
  for name, value in pairs(overrides or {}) do options[name] = value end
  return helpers.client(s, options)
end

-- The names of a record's fields, sorted, in one text.
local function fields(record)
  return table.concat(helpers.keys(record), " ")
end

local function column(records, field)
  local list = {}
  for i, record in ipairs(records) do list[i] = record[field] or false end
  return list
end

describe("trace", function()
  before_each(begin)

  it("is told of a request and its answer", function()
    local trace, records = wire.tracer()
    local client <close> = client_of { trace = trace }
    assert(client:all_app_snapshots(s.apps[1]))
    assert.same({ "request", "response" }, column(records, "event"))
    local url = s.http_base_url .. "/apps/" .. s.apps[1] .. "/snapshots"
    assert.same({ event = "request", method = "GET", attempt = 1, url = url,
      operation = "all_app_snapshots " .. s.apps[1] }, records[1])
    local answer = records[2]
    assert.equal("attempt bytes event http_status method operation seconds url",
      fields(answer))
    assert.equal(200, answer.http_status)
    assert.equal(#'{"status":"success","response":[]}', answer.bytes)
    assert.is_true(answer.seconds > 0 and answer.seconds < 30)
    for _, name in ipairs { "attempt", "http_status", "bytes" } do
      assert.equal("integer", math.type(answer[name]))
    end
    for _, name in ipairs { "method", "operation", "url", "attempt" } do
      assert.equal(records[1][name], answer[name])
    end
  end)

  it("is told of a failure and of a refusal", function()
    local trace, records = wire.tracer()
    local client <close> = client_of { trace = trace }
    s:fault { fault = "reset", times = 1 }
    assert.is_nil(client:snapshot(s.apps[1]))
    assert.is_nil(client:snapshot "nobody")
    assert.same({ "request", "failure", "request", "failure" },
      column(records, "event"))
    assert.equal("attempt detail event method operation seconds url",
      fields(records[2]))
    assert.matches("network", records[2].detail, 1, true)
    assert.equal("snapshot " .. s.apps[1], records[2].operation)
    assert.equal("POST", records[2].method)
    local refusal = records[4]
    assert.equal("attempt detail event http_status method operation seconds "
      .. "url", fields(refusal))
    assert.equal(404, refusal.http_status)
    assert.matches("not_found", refusal.detail, 1, true)
    assert.matches("APP_NOT_FOUND", refusal.detail, 1, true)
  end)

  it("is told of each try, and of the waits between them", function()
    local trace, records = wire.tracer()
    local client <close> = client_of { trace = trace, retries = 2 }
    s:fault { fault = "reset", times = 1 }
    s:fault { fault = "rate_limited", retry_after = 0, skip = 1, times = 1 }
    assert(client:account())
    assert.same({ "request", "failure", "retry", "request", "failure",
      "retry", "request", "response" }, column(records, "event"))
    assert.same({ 1, 1, 1, 2, 2, 2, 3, 3 }, column(records, "attempt"))
    assert.same({ false, false, false, false, 429, false, false, 200 },
      column(records, "http_status"))
    local retries = wire.events(records, "retry")
    for _, one in ipairs(retries) do
      assert.equal("attempt detail event method operation seconds url",
        fields(one))
      assert.equal("float", math.type(one.seconds))
    end
    assert.same({ "network", "rate_limited: KEEP_CALM" },
      column(retries, "detail"))
    assert.equal(3, #s:requests())
  end)

  it("has heard everything of a call when the call returns", function()
    local trace, records = wire.tracer()
    local client <close> = client_of { trace = trace }
    for i = 1, 50 do
      assert(client:account())
      assert.equal(2 * i, #records)
    end
  end)

  it("is told of a download", function()
    local dir <close> = helpers.tmpdir()
    local trace, records = wire.tracer()
    local client <close> = client_of { trace = trace }
    local snapshot = assert(client:snapshot(s.apps[1]))
    local zip <close> = assert(snapshot:download(dir.path))
    local answers = wire.events(records, "response")
    assert.same({ "POST", "GET" }, column(answers, "method"))
    assert.matches(".zip$", answers[2].url)
    assert.equal(2, answers[2].http_status // 100)
    assert.is_true(zip.bytes > 0)
    assert.matches("^download ", answers[2].operation)
  end)

  it("is one client's own", function()
    local trace_a, a_records = wire.tracer()
    local trace_b, b_records = wire.tracer()
    local a <close> = client_of { trace = trace_a }
    local b <close> = client_of { trace = trace_b }
    local silent <close> = client_of()
    assert(a:account())
    assert(silent:account())
    assert(b:all_snapshots())
    assert(a:account())
    assert.equal(4, #a_records)
    assert.equal(2, #b_records)
    assert.same({ "all_snapshots applications", "all_snapshots applications" },
      column(b_records, "operation"))
  end)

  it("holds no client alive, nor a client it", function()
    local kept = setmetatable({}, { __mode = "k" })
    do
      local client
      local function trace() return client end -- each has the other
      client = client_of { trace = trace }
      assert(client:account())
      kept[client], kept[trace] = true, true
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(kept))
  end)
end)

describe("what trace is told", function()
  before_each(begin)

  it("holds no secret, whatever is asked and however it ends", function()
    local dir <close> = helpers.tmpdir()
    local trace, records = wire.tracer()
    local secrets = { s.key, s.key:sub(-12), s.key:sub(22, 50), "Signature",
      "AWSAccessKeyId", "versionId", "Expires", "?", "scope=" }
    local base_urls = { s.base_url, s.http_base_url, s.self_signed .. "/v2",
      s.refused .. "/v2" }
    s:add_snapshot { app = s.apps[2], bytes = "not a ZIP" }
    for i, base_url in ipairs(base_urls) do
      local client <close> = client_of { trace = trace, base_url = base_url }
      local snapshot = client:snapshot(s.apps[1])
      if snapshot then
        local info = client:all_app_snapshots(s.apps[1])[1]
        secrets[#secrets + 1] = info.version_id
        client:restore_snapshot(info)
        snapshot:download { path = dir.path, filename = i .. ".zip" }
        client:all_app_snapshots(s.apps[2])[1]:download(dir.path)
      end
      client:account()
      client:all_snapshots "databases"
      client:download { url = s.http .. "/x.zip?Signature=Sig%2Bnature",
        path = dir.path }
      s:fault { fault = "respond", status = 400, code = "X_" .. s.key,
        message = "your key is " .. s.key }
      client:account()
      s:clear_faults()
    end
    assert.is_true(#records > 20)
    for _, record in ipairs(records) do
      for name, value in pairs(record) do
        assert.is_true(type(value) == "string" or type(value) == "number")
        for _, secret in ipairs(secrets) do
          assert.is_nil(tostring(value):find(secret, 1, true),
            name .. " = " .. tostring(value))
        end
      end
    end
  end)

  it("has what comes from outside made fit to be shown", function()
    local trace, records = wire.tracer()
    local client <close> = client_of { trace = trace }
    s:fault { fault = "respond", status = 400, code = "A\27[31m\nB\0C" }
    assert.is_nil(client:all_app_snapshots "maçã")
    for _, record in ipairs(records) do
      for _, value in pairs(record) do
        assert.is_nil(tostring(value):find "%c")
      end
    end
    assert.matches("A\\x1b", records[2].detail, 1, true)
    assert.equal("all_app_snapshots maçã", records[1].operation)
  end)

  it("is cut when it is long", function()
    local trace, records = wire.tracer()
    local client <close> = client_of { trace = trace }
    assert.is_nil(client:all_app_snapshots(("a"):rep(5000)))
    assert.equal(2, #records)
    for _, record in ipairs(records) do
      assert.is_true(#record.url < 1000 and #record.operation < 1000)
    end
  end)
end)

describe("a trace function", function()
  before_each(begin)

  -- Each method, and what it would be called with.
  local METHODS = { account = {}, snapshot = { "a" },
    all_app_snapshots = { "a" }, all_snapshots = {},
    restore_snapshot = { { app_id = "a", snapshot_id = "a",
      version_id = "a" } },
    download = { "https://localhost/a.zip" }, app = { "a" },
    database = { "a" }, spawn = { function() end }, run = { function() end },
    step = { 0 }, sleep = { 0 }, close = {} }

  it("may call no method of a client, its own or another's", function()
    local why, calls, client = {}, 0
    local other <close> = client_of()
    client = client_of { trace = function()
      calls = calls + 1
      for name, arguments in pairs(METHODS) do
        for _, one in ipairs { client, other } do
          local ok, message = pcall(one[name], one, table.unpack(arguments))
          why[#why + 1] = name .. ": " .. (ok and "done" or tostring(message))
        end
      end
    end }
    local ok, result = pcall(client.account, client)
    assert.is_true(ok, result)
    assert.equal("success", result.status)
    assert.equal(2, calls)
    for _, one in ipairs(why) do
      assert.matches("trace function", one, 1, true)
    end
    assert.equal(1, #s:requests())
    assert(client:account()) -- is open, and trace is still on
    assert.equal(4, calls)
    assert(other:account())
    client:close()
  end)

  it("may not ask through a record or handle either", function()
    local why, on, client, handle, snapshot = {}, false
    client = client_of { trace = function()
      if not on then return end
      for _, call in ipairs { function() return handle:snapshot() end,
        function() return handle:all_snapshots() end,
        function() return snapshot:download() end } do
        why[#why + 1] = select(2, pcall(call))
      end
      assert(snapshot.url and handle.id) -- fields may be read
    end }
    handle = client:app(s.apps[1])
    snapshot = assert(handle:snapshot())
    on = true
    assert(client:account())
    on = false
    assert.equal(6, #why)
    for _, one in ipairs(why) do
      assert.matches("trace function", one, 1, true)
    end
    client:close()
  end)

  it("that may not call is off when it does not catch the error", function()
    local client, calls = nil, 0
    client = client_of { trace = function()
      calls = calls + 1
      client:close()
    end }
    assert(client:account())
    assert(client:account())
    assert.equal(1, calls)
    client:close()
  end)

  -- A child's words: what trace does, and what the warning says of it.
  local FAILURES = {
    ["raises a text"] = { "error 'my own words'", "my own words" },
    ["raises a table"] = { "error(setmetatable({}, { __tostring = function() "
      .. "return 'a table of mine' end }))", "a table of mine" },
    ["raises nothing"] = { "error()", "nil" },
    ["raises what cannot be shown"] = { "error(setmetatable({}, { __tostring "
      .. "= function() error 'worse' end }))", "" },
    ["yields"] = { "coroutine.yield()", "yield" },
    ["calls the client"] = { "client:account()", "trace function" },
    ["closes the client"] = { "client:close()", "trace function" },
  }

  for name, case in pairs(FAILURES) do
    it("is off, with a warning, when it " .. name, function()
      local out, err, code = child.run([[
        warn "@on"
        local square = require "squarecloud"
        local key, base_url = ...
        local calls, other_calls, client = 0, 0, nil
        client = square.Client { api_key = key, base_url = base_url,
          retries = 0, trace = function()
            calls = calls + 1
            ]] .. case[1] .. [[

          end }
        local other = square.Client { api_key = key, base_url = base_url,
          retries = 0, trace = function() other_calls = other_calls + 1 end }
        for _ = 1, 3 do
          assert(client:account())
          assert(other:account())
        end
        print(calls, other_calls)
      ]], { s.key, s.http_base_url })
      assert.equal("1\t6\n", out)
      assert.equal(0, code)
      assert.matches("^Lua warning: ", err)
      assert.matches("trace", err, 1, true)
      assert.matches(case[2], err, 1, true)
      assert.equal(1, select(2, err:gsub("Lua warning", "")))
      assert.is_nil(err:find(s.key, 1, true))
    end)
  end

  it("is told how many records it was too slow for", function()
    local total, told, dropped, waited = 0, 0, 0, false
    local client <close> = client_of { concurrency = 4, trace = function(one)
      told, dropped = told + 1, dropped + (one.dropped or 0)
      if not waited then
        waited = true
        s:wait_requests(nil, 200, 60)
      end
    end }
    client:run(function()
      for _ = 1, 200 do
        client:spawn(function()
          assert(client:account())
          total = total + 2
        end)
      end
    end)
    assert.equal(400, total)
    assert.is_true(dropped > 0)
    assert.equal(total, told + dropped)
    dropped = 0
    assert(client:account())
    assert.equal(0, dropped)
  end)
end)
