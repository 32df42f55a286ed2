-- Expiry, the daily quota, and what is still to be downloaded.

local support = ...
local list, days, positions = support.list, support.days, support.positions
local retention = require "squarecloud.retention"

local NOW = { now = support.NOW }

describe("expires_at", function()
  it("is 30 days of 86 400 s after the making", function()
    assert.equal(retention.parse_time "2024-05-31T12:00:00Z",
      retention.expires_at(support.snapshot "2024-05-01"))
    assert.equal(30 * 86400 + 0.5, retention.expires_at { created_at = 0.5 })
    assert.equal("integer",
      math.type(retention.expires_at { created_at = 0.0 }))
  end)

  it("returns a message for a bad snapshot", function()
    assert.same({ nil, 'snapshot (id a1): created_at "x" is not a valid '
      .. "ISO-8601 time", n = 2 }, table.pack(
      retention.expires_at { id = "a1", created_at = "x" }))
    assert.same({ nil, "snapshot: created_at is missing", n = 2 },
      table.pack(retention.expires_at {}))
  end)
end)

describe("expiry", function()
  -- Now is 2024-06-01T00:00Z: what was made by May 2 00:00Z has expired.
  local snapshots = list("2024-05-09T00:00:00Z", "2024-05-02T00:00:01Z",
    "2024-05-02T00:00:00Z", "2024-05-09T00:00:01Z", "2024-04-01",
    "2024-05-02T00:00:00.000000001Z")

  it("within some days: soonest first, without the expired", function()
    assert.same({ 6, 2, 1 }, positions(snapshots,
      retention.expiring_within(snapshots, 7, NOW)))
    assert.same({ 6 }, positions(snapshots,
      retention.expiring_within(snapshots, 0.5 / 86400, NOW)))
    assert.same({ 6, 2, 1, 4 }, positions(snapshots,
      retention.expiring_within(snapshots, 1e9, NOW)))
  end)

  it("is over at the last moment", function()
    assert.same({ 3, 5 },
      positions(snapshots, retention.expired(snapshots, NOW)))
  end)

  it("tells nanoseconds apart", function()
    local close = list("2024-05-05T12:00:00.000000002Z",
      "2024-05-05T12:00:00.000000001Z")
    assert.same({ 2, 1 }, positions(close,
      retention.expiring_within(close, 30, NOW)))
  end)

  it("leaves ties as they came, but for the version", function()
    local same = list("2024-05-05", "2024-05-05", "2024-05-05", "2024-05-04")
    same[1].version_id, same[2].version_id = "b", "a"
    same[3].version_id = "c"
    assert.same({ 4, 2, 1, 3 }, positions(same,
      retention.expiring_within(same, 30, NOW)))
  end)
end)

describe("daily_quota", function()
  it("goes by the plan's memory", function()
    for ram, quota in pairs { [2048] = 16, [512] = 4, [256.0] = 2, [100] = 0,
      [300] = 2, [0] = 0 } do
      assert.equal(quota, retention.daily_quota(ram))
      assert.equal("integer", math.type(retention.daily_quota(ram)))
    end
  end)
end)

describe("quota_left", function()
  it("counts a rolling day over all ids", function()
    local snapshots = list("2024-05-30T23:00:00Z", "2024-05-31T00:00:00Z",
      "2024-05-31T00:00:01Z", "2024-05-31T20:00:00Z")
    snapshots[4].id = "db"
    assert.equal(14, retention.quota_left(snapshots, 2048, NOW))
    assert.same({ 2, n = 1 },
      table.pack(retention.quota_left(snapshots, 512, NOW)))
  end)

  it("tells when the next one gets free", function()
    local snapshots = list("2024-05-31T20:00:00Z", "2024-05-31T10:00:00Z",
      "2024-05-31T08:00:00Z")
    snapshots[1].created_at = "2024-05-31T20:00:00.500Z"
    assert.same({ 0, retention.parse_time "2024-06-01T10:00:00Z" },
      { retention.quota_left(snapshots, 256, NOW) })
    assert.same({ 0, retention.parse_time "2024-06-01T20:00:00.5Z" },
      { retention.quota_left(snapshots, 128, NOW) })
    assert.same({ 0, n = 1 },
      table.pack(retention.quota_left(snapshots, 100, NOW)))
  end)

  it("counts one that our clock takes for the future", function()
    assert.equal(1, (retention.quota_left(list "2024-06-01T00:00:02Z", 256,
      NOW)))
  end)
end)

describe("to_download", function()
  local function versions(snapshots, prefix)
    for i, snapshot in ipairs(snapshots) do
      snapshot.version_id = prefix .. i
    end
    return snapshots
  end

  it("gives what is kept and not here yet, soonest to expire first",
    function()
      local remote = versions(days(5), "v")
      local here = { support.snapshot("2024-05-30", { version_id = "v4" }) }
      local found = retention.to_download(remote, here, { keep_last = 3 }, NOW)
      assert.same({ 3, 5 }, positions(remote, found))
    end)

  it("judges what is only here along with the rest", function()
    local remote = versions(days(2, 10), "v")
    local here = versions(days(3, 20), "w")
    assert.same({ 2 }, positions(remote, (retention.to_download(remote, here,
      { keep_last = 4 }, NOW))))
    assert.same({}, (retention.to_download(remote, here, { keep_last = 3 },
      NOW)))
  end)

  it("never takes one without a version for one that is here", function()
    local remote = days(2)
    assert.same({ 1, 2 }, positions(remote, (retention.to_download(remote,
      days(2), { keep_last = 4 }, NOW))))
    local found = retention.to_download(remote, remote, { keep_last = 4 }, NOW)
    assert.same({ 1, 2 }, positions(remote, found))
  end)

  it("tells versions apart by id", function()
    local remote = versions(days(2), "v")
    local here = versions(days(2), "v")
    here[1].id = "b2"
    assert.same({ 1 }, positions(remote, (retention.to_download(remote, here,
      { keep_last = 9 }, NOW))))
  end)

  it("works without ids where nothing groups by them", function()
    local remote = versions(days(2), "v")
    local here = versions(days(2), "v")
    for i = 1, 2 do
      remote[i].id, here[i].id = nil, nil
    end
    assert.same({}, (retention.to_download(remote, here, { keep_last = 9 },
      { now = support.NOW, group_by = false })))
  end)

  it("says which list a bad element is in", function()
    local good, bad = versions(days(2), "v"), versions(days(2), "v")
    bad[2].created_at = "x"
    local policy = { keep_last = 1 }
    local _, why = retention.to_download(bad, good, policy, NOW)
    assert.equal('remote snapshot #2 (id a1): created_at "x" is not a valid '
      .. "ISO-8601 time", why)
    _, why = retention.to_download(good, bad, policy, NOW)
    assert.equal('local snapshot #2 (id a1): created_at "x" is not a valid '
      .. "ISO-8601 time", why)
    local twice = versions(days(2), "w")
    twice[2].version_id = "w1"
    _, why = retention.to_download(good, twice, policy, NOW)
    assert.equal("local snapshots #1 and #2 are the same (id a1, version w1)",
      why)
    twice[2].version_id, twice[2].id = "w2", 0 / 0
    _, why = retention.to_download(good, twice, policy, NOW)
    assert.matches("^local snapshot #2.*: id must be a string", why)
  end)

  it("returns refusals as apply does", function()
    local remote = versions(days(2), "v")
    for _, policy in ipairs { {}, { keep_dayly = 1 },
      { keep_tags = { { "x" } } } } do
      local keep, why = retention.apply(remote, policy, NOW)
      assert.is_nil(keep)
      assert.same({ nil, why, n = 2 },
        table.pack(retention.to_download(remote, {}, policy, NOW)))
    end
  end)
end)
