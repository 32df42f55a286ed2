-- Filters over lists: by time, by size, by id.

local support = ...
local list, days, positions = support.list, support.days, support.positions
local retention = require "squarecloud.retention"

local NOW = { now = support.NOW }

describe("newer_than and older_than", function()
  local snapshots = list("2024-05-25T00:00:00Z", "2024-05-25T00:00:01Z",
    "2024-05-24T23:59:59Z", "2024-05-31T00:00:00Z")

  it("are strict, and keep the input's order and objects", function()
    for _, when in ipairs { "7d", "1w", "168h", "2024-05-25T00:00:00Z",
      retention.parse_time "2024-05-25T00:00:00Z", 1716595200.0 } do
      local newer = retention.newer_than(snapshots, when, NOW)
      local older = retention.older_than(snapshots, when, NOW)
      assert.same({ 2, 4 }, positions(snapshots, newer))
      assert.same({ 3 }, positions(snapshots, older))
    end
  end)

  it("count durations back in the zone asked for", function()
    -- 2024-06-01T00:00Z is May 31 there: a month back is May 1, not Apr 31.
    local found = retention.older_than(list("2024-05-01T00:30:00Z",
      "2024-04-30T23:30:00Z"), "1m", { now = support.NOW,
      utc_offset = -3600 })
    assert.equal(2, #found)
    found = retention.older_than(list("2024-05-01T00:30:00Z",
      "2024-04-30T23:30:00Z"), "1m", NOW)
    assert.equal(1, #found)
  end)

  it("return a message for a bad time or duration", function()
    for message, when in pairs {
      ['duration "7x": invalid unit "x" found after number 7'] = "7x",
      ['"2024-02-30T00:00:00Z" is not a valid ISO-8601 time'] =
        "2024-02-30T00:00:00Z",
      ['"2024-02-03" has no UTC offset (expected Z or +hh:mm)'] =
        "2024-02-03",
      ['"soon" is neither an ISO-8601 time nor a duration'] = "soon",
      ["1751000000000 looks like milliseconds, expected seconds"] =
        1751000000000,
    } do
      for _, name in ipairs { "newer_than", "older_than" } do
        assert.same({ nil, message, n = 2 },
          table.pack(retention[name](snapshots, when, NOW)))
      end
      assert.same({ nil, message, n = 2 },
        table.pack(retention.between(snapshots, "1d", when, NOW)))
    end
  end)
end)

describe("between", function()
  it("takes the start and leaves the end", function()
    local snapshots = days(5)
    local found = retention.between(snapshots, "2024-05-28T12:00:00Z",
      "2024-05-30T12:00:00Z", NOW)
    assert.same({ 2, 3 }, positions(snapshots, found))
    found = retention.between(snapshots, "3d", "1d", NOW)
    assert.same({ 3, 4 }, positions(snapshots, found))
  end)

  it("needs no clock for times", function()
    assert.same({}, retention.between({}, 0, 1))
  end)
end)

describe("latest", function()
  it("is the newest, by version_id in a tie", function()
    local snapshots = list("2024-05-01", "2024-05-03", "2024-05-03",
      "2024-05-02")
    snapshots[2].version_id, snapshots[3].version_id = "b", "a"
    assert.equal(snapshots[3], (retention.latest(snapshots)))
  end)

  it("is nil for an empty list", function()
    assert.same({ nil, nil }, { retention.latest {} })
  end)
end)

describe("latest_by_id and group_by", function()
  local snapshots = days(5)
  snapshots[2].id, snapshots[4].id = "b2", "b2"

  it("gives the newest of each id, and the ids as they appear", function()
    local newest, ids = retention.latest_by_id(snapshots)
    assert.same({ "a1", "b2" }, ids)
    assert.equal(snapshots[5], newest.a1)
    assert.equal(snapshots[4], newest.b2)
  end)

  it("gives lists in the input's order", function()
    local groups, keys = retention.group_by(snapshots)
    assert.same({ "a1", "b2" }, keys)
    assert.same({ 1, 3, 5 }, positions(snapshots, groups.a1))
    assert.same({ 2, 4 }, positions(snapshots, groups.b2))
  end)

  it("groups by a field or a function", function()
    local groups = retention.group_by(snapshots, "created_at")
    assert.same({ 3 }, positions(snapshots, groups["2024-05-29T12:00:00Z"]))
    local by, keys = retention.group_by(snapshots, function(snapshot)
      return snapshot.id == "b2"
    end)
    assert.same({ false, true }, keys)
    assert.equal(3, #by[false])
  end)

  it("are empty for an empty list", function()
    assert.same({ {}, {} }, { retention.latest_by_id {} })
    assert.same({ {}, {} }, { retention.group_by {} })
  end)
end)

describe("sizes", function()
  local snapshots = days(4)
  for i, bytes in ipairs { 10, 30.0, 20, 5 << 40 } do
    snapshots[i].bytes = bytes
  end

  it("filter strictly", function()
    assert.same({ 2, 4 },
      positions(snapshots, retention.larger_than(snapshots, 20)))
    assert.same({ 1 },
      positions(snapshots, retention.smaller_than(snapshots, 20.0)))
    assert.equal(4, #retention.smaller_than(snapshots, math.huge))
  end)

  it("add up to an integer", function()
    local total = retention.total_size(snapshots)
    assert.equal((5 << 40) + 60, total)
    assert.equal("integer", math.type(total))
    assert.equal(0, retention.total_size {})
  end)

  it("must be there and whole", function()
    for message, bytes in pairs {
      ['snapshot #5 (id a1): bytes must be a whole number, 0 or more, got '
        .. '"12"'] = "12",
      ["snapshot #5 (id a1): bytes must be a whole number, 0 or more, got "
        .. "-1"] = -1,
      ["snapshot #5 (id a1): bytes must be a whole number, 0 or more, got "
        .. "1.5"] = 1.5,
    } do
      snapshots[5] = support.snapshot("2024-05-01", { bytes = bytes })
      for name, limit in pairs { larger_than = 1, smaller_than = 1,
        total_size = false } do
        local found, why = retention[name](snapshots, limit or nil)
        assert.is_nil(found)
        assert.equal(message, why)
      end
    end
    snapshots[5] = support.snapshot("2024-05-01")
    local _, why = retention.total_size(snapshots)
    assert.equal("snapshot #5 (id a1): bytes is missing", why)
    snapshots[5] = nil
  end)
end)
