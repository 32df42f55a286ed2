-- limits.c: what an API key has to wait for. The clock is the spec's.

local probe = require "base_probe"

local A, B = "a", "b"

-- A key's limits, with a clock that stands still until it is moved.
local function new()
  local call = probe.limits()
  local limits = { now = 1000 }
  local function ask(what, who)
    who.now = who.now or limits.now
    return call(what, who)
  end
  -- Seconds until it may go, and what it waits for.
  function limits.wait(who) return ask("may_go", who) end
  function limits.go(who) return ask("gone", who) end
  -- What an answer makes the request wait; it went just now, or at `gone`.
  function limits.refused(code, who)
    who = who or {}
    who.kind, who.code, who.http_status = "rate_limited", code, 429
    who.gone = who.gone or limits.now
    return ask("note", who)
  end
  function limits.passed(who)
    who = who or {}
    who.http_status, who.gone = who.http_status or 200, who.gone or limits.now
    return ask("note", who)
  end
  return limits
end

local function create(app) return { action = "creates", app = app } end
local function restore(app) return { action = "restores", app = app } end

describe("without a refusal", function()
  it("nothing waits", function()
    local limits = new()
    for _, who in ipairs { {}, create(A), restore(A) } do
      assert.same({ 0 }, { limits.wait(who) })
      assert.equal(0, limits.passed(who))
      assert.same({ 0 }, { limits.wait(who) })
    end
  end)
end)

for _, code in ipairs { "RATE_LIMIT", "RATE_LIMIT_EXCEEDED", "", "NEW_LIMIT" }
do
  describe(("a 429 with the code %q"):format(code), function()
    local shown = code:find "^RATE" and code or ""

    it("pauses every call of the key for a minute", function()
      local limits = new()
      assert.equal(60, limits.refused(code))
      limits.now = 1010
      for _, who in ipairs { {}, create(A), restore(B) } do
        assert.same({ 50, shown }, { limits.wait(who) })
        who.key = "another"
        assert.same({ 0 }, { limits.wait(who) })
      end
      limits.now = 1060
      assert.same({ 0 }, { limits.wait {} })
    end)

    it("pauses twice as long when the first behind the pause is refused, up "
      .. "to max_retry_wait", function()
        local limits = new()
        for _, seconds in ipairs { 60, 120, 240, 300, 300 } do
          assert.equal(seconds, limits.refused(code))
          assert.equal(seconds, (limits.wait {}))
          limits.now = limits.now + seconds
        end
      end)

    it("starts anew after any answer that is no such refusal", function()
      for _, status in ipairs { 200, 202, 302, 401, 404, 409 } do
        local limits = new()
        limits.refused(code)
        limits.now = 1060
        limits.passed { http_status = status }
        limits.now = 1061
        assert.equal(60, limits.refused(code))
      end
    end)

    it("does not start anew after what tells nothing of it", function()
      for _, status in ipairs { 0, 500, 502, 503 } do
        local limits = new()
        limits.refused(code)
        limits.now = 1060
        limits.passed { http_status = status,
          kind = status == 0 and "network" or "server" }
        limits.now = 1061
        assert.equal(120, limits.refused(code))
      end
    end)

    it("counts once when several meet it together", function()
      local limits = new()
      local went = limits.now
      limits.now = 1001
      assert.equal(60, limits.refused(code, { gone = went }))
      limits.now = 1005
      assert.equal(56, limits.refused(code, { gone = went }))
      limits.passed { gone = went } -- one of them was let in
      assert.equal(56, (limits.wait {}))
      limits.now = 1061
      assert.equal(120, limits.refused(code))
      limits.now = 1062
      assert.equal(119, limits.refused(code, { gone = 1061 - 0.5 }))
    end)

    it("counts anew when an answer comes after the pause", function()
      local limits = new()
      limits.refused(code)
      limits.now = 1100
      assert.equal(60, limits.refused(code, { gone = 999 }))
    end)
  end)
end

describe("KEEP_CALM", function()
  it("pauses the key's creates for 5 s, and nothing else", function()
    local limits = new()
    assert.equal(5, limits.refused("KEEP_CALM", create(A)))
    limits.now = 1002
    assert.same({ 3, "KEEP_CALM" }, { limits.wait(create(A)) })
    assert.same({ 3, "KEEP_CALM" }, { limits.wait(create(B)) })
    for _, who in ipairs { {}, restore(A), restore(B) } do
      assert.same({ 0 }, { limits.wait(who) })
    end
    limits.now = 1005
    assert.same({ 0 }, { limits.wait(create(A)) })
  end)

  it("of a restore or a read makes these wait, too", function()
    for _, who in ipairs { restore(A), {} } do
      local limits = new()
      assert.equal(5, limits.refused("KEEP_CALM", who))
      assert.same({ 5, "KEEP_CALM" }, { limits.wait(create(B)) })
    end
  end)

  it("a second time in a row for an application pauses its creates and "
    .. "restores for a minute", function()
      for _, who in ipairs { create, restore } do
        local limits = new()
        limits.refused("KEEP_CALM", who(A))
        limits.now = 1005
        assert.equal(60, limits.refused("KEEP_CALM", who(A)))
        limits.now = 1006
        assert.same({ 59, "KEEP_CALM" }, { limits.wait(create(A)) })
        assert.same({ 59, "KEEP_CALM" }, { limits.wait(restore(A)) })
        assert.same({ 4, "KEEP_CALM" }, { limits.wait(create(B)) })
        assert.same({ 0 }, { limits.wait(restore(B)) })
        assert.same({ 0 }, { limits.wait {} })
      end
    end)

  it("is not the second in a row when it is another application's, when "
    .. "something was made meanwhile, or when they met it together", function()
      local limits = new()
      limits.refused("KEEP_CALM", create(A))
      limits.now = 1005
      assert.equal(5, limits.refused("KEEP_CALM", create(B)))
      limits.now = 1010
      limits.passed(create(A))
      limits.now = 1011
      assert.equal(5, limits.refused("KEEP_CALM", create(A)))
      limits.now = 1012
      assert.equal(4, limits.refused("KEEP_CALM",
        { action = "restores", app = A, gone = 1010 }))
    end)

  it("is not the second in a row an hour later", function()
    local limits = new()
    limits.refused("KEEP_CALM", create(A))
    limits.now = 1000 + 3700
    assert.equal(5, limits.refused("KEEP_CALM", create(A)))
  end)

  it("doubles the application's pause only", function()
    local limits = new()
    for _, seconds in ipairs { 5, 60, 120, 240, 300 } do
      assert.equal(seconds, limits.refused("KEEP_CALM", create(A)))
      assert.equal(5, (limits.wait(create(B))))
      limits.now = limits.now + seconds
    end
    limits.passed(create(A))
    assert.equal(5, limits.refused("KEEP_CALM", create(A)))
  end)
end)

describe("Retry-After", function()
  it("wins over the platform's usual times", function()
    local limits = new()
    assert.equal(7, limits.refused("RATE_LIMIT", { retry_after = 7 }))
    assert.equal(7, (limits.wait {}))
    limits.now = 1007
    assert.equal(100, limits.refused("RATE_LIMIT", { retry_after = 100 }))
    limits.now = 1107
    assert.equal(60, limits.refused("RATE_LIMIT"))
    limits = new()
    limits.refused("KEEP_CALM", { action = "creates", app = A,
      retry_after = 2 })
    limits.now = 1002
    assert.equal(90, limits.refused("KEEP_CALM", { action = "creates",
      app = A, retry_after = 90 }))
    assert.equal(90, (limits.wait(restore(A))))
  end)

  it("of nothing is nothing to wait for", function()
    local limits = new()
    assert.equal(0, limits.refused("RATE_LIMIT", { retry_after = 0 }))
    assert.same({ 0 }, { limits.wait {} })
  end)

  it("above max_retry_wait is for the caller, and pauses nothing", function()
    local limits = new()
    assert.is_true(limits.refused("RATE_LIMIT", { retry_after = 301 }) < 0)
    assert.same({ 0 }, { limits.wait {} })
  end)
end)

describe("max_retry_wait", function()
  it("of 0 waits for nothing and makes nobody wait", function()
    local limits = new()
    assert.is_true(limits.refused("RATE_LIMIT", { most = 0 }) < 0)
    assert.is_true(limits.refused("KEEP_CALM", { most = 0 }) < 0)
    assert.same({ 0 }, { limits.wait(create(A)) })
    limits.refused "RATE_LIMIT"
    assert.same({ 0 }, { limits.wait { most = 0 } })
    assert.equal(0, limits.refused("RATE_LIMIT",
      { most = 0, retry_after = 0 }))
  end)

  it("is the longest pause that a client waits out", function()
    local limits = new()
    assert.equal(10, limits.refused("RATE_LIMIT", { most = 10 }))
    limits = new()
    limits.refused "RATE_LIMIT"
    limits.now = 1005
    assert.equal(5, (limits.wait { most = 10 }))
    assert.equal(55, (limits.wait {}))
    limits.now = 1010
    assert.same({ 0 }, { limits.wait { most = 10 } })
    -- which goes before, and is no first one behind the pause
    assert.equal(10, limits.refused("RATE_LIMIT", { most = 10 }))
  end)
end)

describe("the daily quota", function()
  it("pauses nothing", function()
    local limits = new()
    limits.passed { kind = "quota", http_status = 429,
      code = "DAILY_SNAPSHOTS_LIMIT_REACHED", action = "creates", app = A }
    assert.same({ 0 }, { limits.wait(create(A)) })
  end)
end)

describe("the pace", function()
  local function paced(app, pace)
    return { action = "creates", app = app, pace = pace or 5 }
  end

  it("keeps creates of one key apart, and nothing else", function()
    local limits = new()
    limits.go(paced(A))
    limits.now = 1001
    for _, app in ipairs { A, B } do
      assert.same({ 4, "pace" }, { limits.wait(paced(app)) })
      assert.same({ 0 }, { limits.wait(paced(app, 0)) })
      assert.same({ 0 }, { limits.wait { action = "restores", app = app,
        pace = 5 } })
    end
    assert.same({ 0 }, { limits.wait { pace = 5 } })
    local other = paced(B)
    other.key = "another"
    assert.same({ 0 }, { limits.wait(other) })
    limits.now = 1005
    assert.same({ 0 }, { limits.wait(paced(B)) })
  end)

  it("counts from when the request was on its way", function()
    local limits = new()
    limits.go(paced(A))
    limits.now = 1003
    limits.go(paced(A))
    assert.same({ 5, "pace" }, { limits.wait(paced(B)) })
  end)

  it("and a pause together are the longer of the two", function()
    local limits = new()
    limits.go(paced(A))
    limits.now = 1002
    limits.refused("KEEP_CALM", paced(A))
    assert.same({ 5, "KEEP_CALM" }, { limits.wait(paced(B)) })
    assert.same({ 18, "pace" }, { limits.wait(paced(B, 20)) })
  end)
end)

describe("keys", function()
  it("are forgotten an hour after there was anything to wait for", function()
    for later, seconds in pairs { [3500] = 120, [3700] = 60 } do
      local limits = new()
      for _, key in ipairs { "a", "b", "c" } do
        limits.refused("RATE_LIMIT", { key = key })
        limits.refused("KEEP_CALM", { key = key, action = "creates",
          app = A })
      end
      limits.now = 1060 + later
      limits.wait { key = "another" } -- a new one: the others are looked at
      for _, key in ipairs { "a", "b", "c" } do
        assert.equal(seconds, limits.refused("RATE_LIMIT", { key = key }))
      end
    end
  end)

  it("may be many, and their applications, too", function()
    local limits = new()
    for i = 1, 300 do
      for _ = 1, 2 do
        limits.refused("KEEP_CALM", { key = "k" .. i % 3, action = "creates",
          app = "app " .. i })
      end
    end
    assert.equal(60, (limits.wait { key = "k2", action = "restores",
      app = "app 299" }))
    assert.equal(0, (limits.wait { key = "k1", action = "restores",
      app = "app 299" }))
  end)
end)
