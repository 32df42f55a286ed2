-- Where the rules differ from restic's on purpose.

local support = ...
local apply, list, days = support.apply, support.list, support.days
local retention = require "squarecloud.retention"

describe("grouping", function()
  local function two_ids()
    local snapshots = days(6)
    for i = 1, 6, 2 do
      snapshots[i].id = "b2"
      snapshots[i].application_type = "database"
    end
    return snapshots
  end

  it("is by id unless told otherwise", function()
    assert.same({ 6, 5 }, (apply(two_ids(), { keep_last = 1 })))
  end)

  it("is off with false", function()
    assert.same({ 6 }, (apply(two_ids(), { keep_last = 1 },
      { group_by = false })))
  end)

  it("goes by a field or a function", function()
    local snapshots = days(4)
    for i, snapshot in ipairs(snapshots) do
      snapshot.name = i <= 2 and "x" or "y"
    end
    assert.same({ 4, 2 }, (apply(snapshots, { keep_last = 1 },
      { group_by = "name" })))
    assert.same({ 4, 3 }, (apply(snapshots, { keep_last = 1 },
      { group_by = function(snapshot)
        return snapshot.created_at:find("[13579]T") and 1 or 2
      end })))
  end)

  it("gives each group its own newest, counters and oldest", function()
    local snapshots = list("2024-05-31T10:00:00Z", "2024-05-31T11:00:00Z",
      "2014-01-01T10:00:00Z", "2014-01-01T11:00:00Z", "2013-01-01")
    for i = 3, 5 do
      snapshots[i].id = "b2"
    end
    local keep, _, reasons = apply(snapshots, { keep_within = "30m",
      keep_daily = 5, keep_within_daily = "2d" })
    assert.same({ 2, 1, 4, 3, 5 }, keep)
    assert.equal("within 30m; oldest daily snapshot; oldest daily within 2d",
      reasons[2])
    assert.equal("within 30m; daily snapshot", reasons[5])
  end)

  it("needs no id where it does not group by it", function()
    assert.same({ 2 }, (apply({ { created_at = 1714560000 },
      { created_at = 1714560001 } }, { keep_last = 1 },
      { group_by = false })))
  end)
end)

describe("the zone", function()
  local snapshots = list("2024-05-30T20:00:00Z", "2024-05-30T23:30:00Z",
    "2024-05-31T01:00:00Z")

  it("is UTC unless told otherwise", function()
    assert.same({ 3, 2 }, (apply(snapshots, { keep_daily = 2 })))
  end)

  it("is one offset for all, in seconds", function()
    for _, offset in ipairs { -10800, -10800.0 } do
      assert.same({ 3 }, (apply(snapshots, { keep_daily = 2 },
        { utc_offset = offset, keep_oldest = false })))
    end
  end)

  it("is one even where the snapshots carry offsets", function()
    local mixed = list("2024-05-31T02:00:00+09:00",
      "2024-05-30T19:00:00-03:00", "2024-05-30T23:30:00Z")
    assert.same({ 3 }, (apply(mixed, { keep_daily = 3 },
      { keep_oldest = false })))
  end)

  it("may be a function of the epoch", function()
    local switch = retention.parse_time "2024-05-31T00:00:00Z"
    assert.same({ 3, 1 }, (apply(snapshots, { keep_daily = 2 },
      { keep_oldest = true, utc_offset = function(epoch)
        assert.equal("integer", math.type(epoch))
        return epoch < switch and -7200 or -10800.0
      end })))
  end)

  it("raises when the function gives no offset", function()
    for _, bad in ipairs { "x", 0.5, 86400 } do
      assert.has_error(function()
        apply(snapshots, { keep_daily = 2 }, { utc_offset = function()
          return bad
        end })
      end)
    end
  end)
end)

describe("a snapshot in the future", function()
  local snapshots = list("2024-05-28", "2024-05-29", "2024-05-30",
    "2031-01-01", "2099-01-01")

  it("is kept and spends no slot", function()
    local keep, remove, reasons = apply(snapshots, { keep_last = 1,
      keep_daily = 2 })
    assert.same({ 5, 4, 3, 2 }, keep)
    assert.same({ 1 }, remove)
    assert.same({ "in the future", "in the future",
      "last snapshot; daily snapshot", "daily snapshot" }, reasons)
  end)

  it("is never T", function()
    assert.same({ 5, 4, 3, 2 }, (apply(snapshots, { keep_within = "2d" })))
  end)

  it("is not the one made at this very moment", function()
    local now = list("2024-05-30", "2024-06-01T00:00:00Z",
      "2024-06-01T00:00:00.000000001Z")
    local keep, _, reasons = apply(now, { keep_last = 1 })
    assert.same({ 3, 2 }, keep)
    assert.same({ "in the future", "last snapshot" }, reasons)
  end)

  it("leaves the rules alone in its group", function()
    local keep, _, reasons = apply(list("2031-01-01", "2032-01-01"),
      { keep_last = 1 })
    assert.same({ 2, 1 }, keep)
    assert.same({ "in the future", "in the future" }, reasons)
  end)

  it("counts like any other with future = \"count\"", function()
    local keep, remove = apply(snapshots, { keep_last = 1, keep_within = "2d" },
      { future = "count" })
    assert.same({ 5, 4, 3, 2 }, keep)
    assert.same({ 1 }, remove)
    assert.same({ 5 }, (apply(snapshots, { keep_last = 1 },
      { future = "count" })))
  end)

  it("makes all of them within when all are, with \"count\"", function()
    assert.same({ 2, 1 }, (apply(list("2031-01-01", "2032-01-01"),
      { keep_within = "1h" }, { future = "count" })))
  end)
end)

describe("the same snapshot twice", function()
  local function with_versions(...)
    local snapshots = days(select("#", ...))
    for i = 1, #snapshots do
      snapshots[i].version_id = select(i, ...)
    end
    return snapshots
  end

  it("is refused", function()
    local keep, message = apply(with_versions("v", "w", "x", "v", "w"),
      { keep_last = 1 })
    assert.is_nil(keep)
    assert.equal("snapshots #1 and #4 are the same (id a1, version v)",
      message)
  end)

  it("is none of that without a version, or with another id", function()
    local snapshots = with_versions(nil, "v", nil, "v")
    snapshots[4].id = "b2"
    assert.is_table((apply(snapshots, { keep_last = 1 })))
    snapshots[3].id, snapshots[3].version_id = "b2", "v"
    local _, message = apply(snapshots, { keep_last = 1 })
    assert.equal("snapshots #3 and #4 are the same (id b2, version v)",
      message)
  end)

  it("is found in a long list too", function()
    local snapshots = {}
    for i = 1, 100003 do
      snapshots[i] = { id = "a1", created_at = i, version_id = "v" .. i }
    end
    snapshots[100003].version_id = "v70000"
    snapshots[99999].version_id = "v12345"
    local _, message = apply(snapshots, { keep_last = 1 })
    assert.equal("snapshots #12345 and #99999 are the same "
      .. "(id a1, version v12345)", message)
    snapshots[99998].version_id = "v70001"
    _, message = apply(snapshots, { keep_last = 1 })
    assert.equal("snapshots #70001 and #99998 are the same "
      .. "(id a1, version v70001)", message)
    snapshots[99998].version_id, snapshots[99997].version_id = nil, "v70003"
    snapshots[99999].version_id = nil
    _, message = apply(snapshots, { keep_last = 1 })
    assert.equal("snapshots #70003 and #99997 are the same "
      .. "(id a1, version v70003)", message)
  end)
end)

describe("relative_to", function()
  local snapshots = days(10, 20)

  it("is the newest, or now, or a time", function()
    assert.equal(3, #apply(snapshots, { keep_within = "3d" }))
    assert.equal(3, #apply(snapshots, { keep_within = "3d" },
      { relative_to = "latest" }))
    assert.same({ 10, 9, 8, 7, 6, 5, 4, 3, 2 }, (apply(snapshots,
      { keep_within = "20d" }, { relative_to = "now" })))
    assert.same({ 10, 9, 8, 7, 6 }, (apply(snapshots,
      { keep_within = "3d" }, { relative_to = "2024-05-18T13:00:00Z" })))
    assert.same({ 10, 9, 8, 7, 6 }, (apply(snapshots, { keep_within = "3d" },
      { relative_to = retention.parse_time "2024-05-18T13:00:00Z" })))
  end)
end)

describe("on_empty", function()
  local snapshots = days(4)
  snapshots[2].id = "b2"
  snapshots[2].tags = { "x" }
  local policy = { keep_tags = { { "x" } } }

  it("refuses to remove a whole group", function()
    local keep, message = apply(snapshots, policy)
    assert.is_nil(keep)
    assert.equal("refusing to remove every snapshot of a1 (3), "
      .. "set on_empty to allow it", message)
    local _, again = apply(snapshots, policy, { on_empty = "error" })
    assert.equal(message, again)
  end)

  it("names no group where there is none", function()
    local _, message = apply(days(3), policy, { group_by = false })
    assert.equal("refusing to remove every snapshot (3), "
      .. "set on_empty to allow it", message)
  end)

  it("keeps the newest of the group on demand", function()
    local keep, remove, reasons = apply(snapshots, policy,
      { on_empty = "keep_newest" })
    assert.same({ 4, 2 }, keep)
    assert.same({ 3, 1 }, remove)
    assert.same({ "newest snapshot", "has tags [x]" }, reasons)
  end)

  it("allows it on demand", function()
    local keep, remove = apply(snapshots, policy, { on_empty = "allow" })
    assert.same({ 2 }, keep)
    assert.same({ 4, 3, 1 }, remove)
  end)

  it("goes off when backups stopped and T is now", function()
    local _, message = apply(days(3, 10), { keep_within = "7d" },
      { relative_to = "now" })
    assert.matches("^refusing to remove every snapshot of a1", message)
  end)
end)

describe("the keep function", function()
  it("pins, with true or a reason, ahead of the other reasons", function()
    local keep, remove, reasons = apply(days(4), { keep_last = 1,
      keep = function(snapshot)
        if snapshot.created_at:find "05%-31" then
          return "before the release"
        end
        return snapshot.created_at:find "05%-29" ~= nil
      end })
    assert.same({ 4, 2 }, keep)
    assert.same({ 3, 1 }, remove)
    assert.same({ "before the release; last snapshot", "keep function" },
      reasons)
  end)

  it("is a policy by itself", function()
    assert.is_true(retention.check_policy { keep = function() end })
  end)

  it("passes its errors on", function()
    assert.has_error(function()
      apply(days(1), { keep = function()
        error("mine", 0)
      end })
    end, "mine")
  end)
end)

describe("keep_oldest = false", function()
  it("switches the oldest rule off", function()
    local snapshots = list("2024-05-30T10:00:00Z", "2024-05-30T11:00:00Z")
    local policy = { keep_daily = 5, keep_within_daily = "7d" }
    assert.same({ 2, 1 }, (apply(snapshots, policy)))
    assert.same({ 2 }, (apply(snapshots, policy, { keep_oldest = false })))
  end)
end)
