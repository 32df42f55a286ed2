--- The platform's rate limits, against a server that has them: what one call
-- meets, the others of its key wait out, in tasks and in blocking calls alike.
-- The rules themselves are in base/limits_spec.lua; times here are moments.

local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local times = require "spec.support.times"
local wire = require "spec.support.wire"

local s

local function client_of(overrides)
  local options = { base_url = s.http_base_url, retries = 3 }
  for name, value in pairs(overrides or {}) do options[name] = value end
  return helpers.client(s, options)
end

-- Waits until nothing is left of a limit: the next spec's clients have the
-- same key.
local function finish()
  s:reset()
  local client <close> = client_of()
  assert(client:account())
end

-- How many requests got a status.
local function count(status, method)
  return #s:requests { status = status, method = method }
end

local function sorted_times(filter)
  local list = {}
  for i, one in ipairs(s:requests(filter)) do list[i] = one.time end
  table.sort(list)
  return list
end

describe("a plan's requests a minute", function()
  local WINDOW = 0.6 -- a minute

  local given
  before_each(function()
    s = server.shared()
    s:reset()
    given = times.within { calls = WINDOW, creates = 0.05, application = 0.1,
      pace = 0 }
    s:configure { limits = { requests = 60, requests_window_ms = WINDOW * 1000,
      requests_code = "RATE_LIMIT" } }
  end)
  after_each(function()
    given.undo()
    finish()
  end)

  it("are enough for 300 listings: all end well, in tasks", function()
    local client <close> = client_of()
    local well = 0
    client:run(function()
      for _ = 1, 300 do
        client:spawn(function()
          assert(client:all_app_snapshots "listing-1")
          well = well + 1
        end)
      end
    end)
    assert.equal(300, well)
    assert.equal(300, count(200))
    -- those under way when the limit is met, and nobody else
    assert.is_true(count(429) <= 8 * 8, count(429))
  end)

  it("are enough for blocking calls", function()
    local client <close> = client_of()
    for _ = 1, 150 do assert(client:all_app_snapshots "listing-1") end
    assert.equal(150, count(200))
    assert.is_true(count(429) <= 4, count(429))
  end)

  it("are the key's, whichever client asks", function()
    local one <close> = client_of()
    local two <close> = client_of { retries = 0 }
    for _ = 1, 60 do assert(one:account()) end
    assert(one:account())
    assert.equal(1, count(429))
    -- a first attempt waits for it, too, and spends no retry by that
    s:reset()
    s:fault { fault = "rate_limited", code = "RATE_LIMIT", times = 1 }
    wire.failed({ kind = "rate_limited", code = "RATE_LIMIT" }, two:account())
    assert(two:account())
    local all = sorted_times()
    assert.equal(2, #all)
    assert.is_true(all[2] - all[1] >= WINDOW - 0.02, all[2] - all[1])
  end)
end)

describe("a limit's pause", function()
  local given
  before_each(function()
    s = server.shared()
    s:reset()
    given = times.within { calls = 0.4, creates = 0.3, application = 0.8,
      pace = 0 }
  end)
  after_each(function()
    given.undo()
    finish()
  end)

  local function limit(code, more)
    local fault = { fault = "rate_limited", code = code, times = 1 }
    for name, value in pairs(more or {}) do fault[name] = value end
    s:fault(fault)
  end

  -- What the retries waited: the pause, or what chance adds without one.
  local function assert_waits(wanted, records)
    local retries = wire.events(records, "retry")
    assert.equal(#wanted, #retries)
    for i, one in ipairs(retries) do
      assert.is_true(one.seconds >= wanted[i] - 0.001
        and one.seconds < math.max(wanted[i] + 0.001, 0.5 * 2 ^ (i - 1)),
        one.seconds)
    end
  end

  it("doubles when the first request behind it is refused", function()
    local trace, records = wire.tracer()
    limit("RATE_LIMIT", { times = 3 })
    local client <close> = client_of { trace = trace }
    assert(client:account())
    assert_waits({ 0.4, 0.8, 1.6 }, records)
    local all = sorted_times()
    for i, wait in ipairs { 0.4, 0.8, 1.6 } do
      assert.is_true(all[i + 1] - all[i] >= wait - 0.02)
    end
  end)

  it("is at most max_retry_wait", function()
    local trace, records = wire.tracer()
    limit("RATE_LIMIT", { times = 3 })
    local client <close> = client_of { trace = trace, max_retry_wait = 0.5 }
    assert(client:account())
    assert_waits({ 0.4, 0.5, 0.5 }, records)
  end)

  it("is for nobody with max_retry_wait = 0", function()
    limit("RATE_LIMIT", { times = 2 })
    local client <close> = client_of { max_retry_wait = 0 }
    wire.failed({ kind = "rate_limited", retryable = true }, client:account())
    wire.failed({ kind = "rate_limited" }, client:account())
    assert(client:account())
    local all = sorted_times()
    assert.equal(3, #all)
    assert.is_true(all[3] - all[1] < 0.4)
  end)

  it("comes back at once with retries = 0", function()
    limit "RATE_LIMIT"
    local client <close> = client_of { retries = 0 }
    wire.failed({ kind = "rate_limited" }, client:account())
    assert.equal(1, #s:requests())
  end)

  it("is told to trace by each that waits", function()
    local trace, records = wire.tracer()
    limit "RATE_LIMIT_EXCEEDED"
    local client <close> = client_of { retries = 0, trace = trace }
    assert.is_nil(client:account())
    assert(client:all_app_snapshots "listing-1")
    local waits = wire.events(records, "wait")
    assert.equal(1, #waits)
    local one = waits[1]
    assert.same({ "rate_limited: RATE_LIMIT_EXCEEDED", 1, "GET",
      "all_app_snapshots listing-1" },
      { one.detail, one.attempt, one.method, one.operation })
    assert.is_true(one.seconds > 0 and one.seconds <= 0.4)
  end)

  it("after KEEP_CALM is for creates, and they end well", function()
    s:configure { limits = { create_account_ms = 300 } }
    local client <close> = client_of()
    client:run(function()
      for _, app in ipairs { s.apps[1], s.apps[2], s.apps[3] or "many-01" } do
        s:add_app { id = app }
        client:spawn(function() assert(client:snapshot(app)) end)
      end
      assert(client:account())
    end)
    assert.equal(3, count(200, "POST"))
    assert.is_true(count(429, "POST") <= 4, count(429, "POST"))
  end)

  it("after a second KEEP_CALM in a row is the application's", function()
    local _ <close> = times.within { creates = 0.1, application = 3, pace = 0 }
    s:configure { limits = { create_resource_ms = 3000 } }
    local refused = 0
    local client <close> = client_of { trace = function(event)
      if event.event == "failure" then refused = refused + 1 end
    end }
    assert(client:snapshot(s.apps[1]))
    client:run(function()
      local slow = client:spawn(client.snapshot, client, s.apps[1])
      while refused < 2 do client:sleep(0.005) end
      local restore = client:spawn(client.restore_snapshot, client, {
        app_id = s.apps[1], snapshot_id = "x", version_id = "y" })
      assert(client:snapshot(s.apps[2]))
      assert.equal("running", slow.status)
      assert.equal("running", restore.status)
      assert(slow:wait())
      assert.equal("not_found", select(2, restore:wait()).kind)
    end)
    assert.equal(2, count(429))
    assert.equal(3, count(200))
  end)

  it("ends at once for what is cancelled or closed, which was not sent",
    function()
      local _ <close> = times.within { calls = 2 }
      local client <close> = client_of { retries = 0 }
      local other = client_of()
      limit "RATE_LIMIT"
      wire.failed({ kind = "rate_limited" }, client:account())
      local first = client:spawn(client.snapshot, client, s.apps[1])
      local second = client:spawn(other.snapshot, other, s.apps[1])
      client:step(0.05)
      first:cancel()
      wire.failed({ kind = "cancelled", sent = false }, first:wait())
      other:close()
      wire.failed({ kind = "closed", sent = false }, second:wait())
      assert.equal(1, #s:requests())
    end)
end)

describe("creates", function()
  before_each(function()
    s = server.shared()
    s:reset()
  end)
  after_each(function() s:reset() end)

  it("of one key are kept `pace` seconds apart, so that none is refused",
    function()
      local trace, records = wire.tracer()
      s:configure { limits = { create_account_ms = 300 } }
      local client <close> = helpers.client(s, { pace = 0.35, trace = trace })
      client:run(function()
        for i = 1, 4 do
          s:add_app { id = "many-" .. i }
          client:spawn(client.snapshot, client, "many-" .. i)
        end
        assert(client:account()) -- waits for none of them
        assert.is_true(#s:requests { method = "POST" } < 4)
      end)
      local all = sorted_times { method = "POST" }
      assert.equal(4, count(200, "POST"))
      for i = 2, 4 do
        assert.is_true(all[i] - all[i - 1] >= 0.3, all[i] - all[i - 1])
      end
      local waits = wire.events(records, "wait")
      assert.equal(3, #waits)
      for _, one in ipairs(waits) do assert.equal("pace", one.detail) end
    end)

  it("are not kept apart with pace = 0", function()
    local _ <close> = times.within { pace = 60 }
    local client <close> = client_of { pace = 0 }
    assert(client:snapshot(s.apps[1]))
    assert(client:snapshot(s.apps[2]))
  end)

  it("are kept 5 s apart when nobody says otherwise", function()
    local _ <close> = times.within {}
    local trace, records = wire.tracer()
    local client <close> = client_of { trace = trace }
    assert(client:snapshot(s.apps[1]))
    local task = client:spawn(client.snapshot, client, s.apps[2])
    local other <close> = client_of { pace = 0 }
    assert(other:account())
    while #wire.events(records, "wait") == 0 do client:step(0.1) end
    local wait = wire.events(records, "wait")[1].seconds
    assert.is_true(wait > 2 and wait <= 5, wait)
    task:cancel()
  end)
end)
