-- The rules that are restic's own, each in small; the vectors have them in
-- full.

local support = ...
local apply, list, days = support.apply, support.list, support.days
local retention = require "squarecloud.retention"

describe("a bucket rule", function()
  it("keeps the newest of each bucket", function()
    local keep, remove, reasons = apply(list("2024-05-01T01:00:00Z",
      "2024-05-01T23:00:00Z", "2024-05-02T05:00:00Z", "2024-05-02T04:00:00Z"),
      { keep_daily = 5 }, { keep_oldest = false })
    assert.same({ 3, 2 }, keep)
    assert.same({ 4, 1 }, remove)
    assert.same({ "daily snapshot", "daily snapshot" }, reasons)
  end)

  it("does not count empty buckets", function()
    local keep = apply(list("2020-05-01", "2022-05-01", "2024-05-01"),
      { keep_daily = 3 })
    assert.same({ 3, 2, 1 }, keep)
  end)

  it("counts for itself", function()
    local keep, _, reasons = apply(days(10), { keep_daily = 2,
      keep_weekly = 2 })
    assert.same({ 10, 9, 5 }, keep)
    assert.same({ "daily snapshot; weekly snapshot", "daily snapshot",
      "weekly snapshot" }, reasons)
  end)

  it("goes by ISO weeks and their years", function()
    local keep = apply(list("2020-12-27", "2020-12-28", "2021-01-01",
      "2021-01-03", "2021-01-04"), { keep_weekly = 3 })
    assert.same({ 5, 4, 1 }, keep)
  end)

  it("does not take week 1 for January", function()
    local keep = apply(list("2024-01-01", "2024-01-31", "2024-02-01"),
      { keep_weekly = 1, keep_monthly = 2 }, { keep_oldest = false })
    assert.same({ 3, 2 }, keep)
  end)

  it("takes -1 and \"unlimited\" for every bucket, 0 for off", function()
    for _, all in ipairs { -1, -1.0, "unlimited" } do
      local keep = apply(days(9), { keep_daily = all, keep_last = 0 })
      assert.equal(9, #keep)
    end
  end)

  it("takes whole floats", function()
    assert.same({ 3, 2 }, (apply(days(3), { keep_daily = 2.0 })))
  end)
end)

describe("keep_within", function()
  it("keeps what is strictly later than the cutoff", function()
    local snapshots = list("2024-05-24T12:00:00Z", "2024-05-24T12:00:01Z",
      "2024-05-31T12:00:00Z")
    local keep, _, reasons = apply(snapshots, { keep_within = "7d" })
    assert.same({ 3, 2 }, keep)
    assert.same({ "within 7d", "within 7d" }, reasons)
  end)

  it("tells nanoseconds apart", function()
    local snapshots = list("2024-05-24T12:00:00.123456789Z",
      "2024-05-24T12:00:00.123456788Z", "2024-05-24T12:00:00.12345679Z",
      "2024-05-31T12:00:00.123456788Z")
    assert.same({ 4, 3, 1 }, (apply(snapshots, { keep_within = "7d" })))
  end)

  it("counts back from the newest, however long ago that was", function()
    assert.same({ 2, 1 }, (apply(list("2014-01-01", "2014-01-02"),
      { keep_within = "2d" })))
  end)

  it("normalises its reason", function()
    local _, _, reasons = apply(days(1), { keep_within = "3h1w5m2y" })
    assert.same({ "within 2y5m7d3h" }, reasons)
  end)

  it("is off with a zero duration", function()
    assert.same({ 3 }, (apply(days(3), { keep_within = "0d0h",
      keep_last = 1 })))
  end)
end)

describe("keep_within_X", function()
  it("keeps one a bucket, without a counter", function()
    local snapshots = list("2024-05-20T10:00:00Z", "2024-05-30T10:00:00Z",
      "2024-05-30T11:00:00Z", "2024-05-31T10:00:00Z", "2024-05-31T11:00:00Z")
    local keep, _, reasons = apply(snapshots, { keep_within_daily = "7d" })
    assert.same({ 5, 3 }, keep)
    assert.same({ "daily within 7d", "daily within 7d" }, reasons)
  end)
end)

describe("the oldest rule", function()
  it("keeps the oldest while the counter lasts", function()
    local keep, _, reasons = apply(list("2024-05-30T10:00:00Z",
      "2024-05-30T11:00:00Z", "2024-05-31T10:00:00Z"), { keep_daily = 3 })
    assert.same({ 3, 2, 1 }, keep)
    assert.equal("oldest daily snapshot", reasons[3])
  end)

  it("not when the counter is spent", function()
    assert.same({ 3, 2 }, (apply(list("2024-05-30T10:00:00Z",
      "2024-05-30T11:00:00Z", "2024-05-31T10:00:00Z"), { keep_daily = 2 })))
  end)

  it("goes for within_X past its cutoff only", function()
    local snapshots = list("2024-05-30T10:00:00Z", "2024-05-30T11:00:00Z")
    local keep, _, reasons = apply(snapshots, { keep_within_daily = "7d" })
    assert.same({ 2, 1 }, keep)
    assert.equal("oldest daily within 7d", reasons[2])
    assert.same({ 2 }, (apply(snapshots, { keep_within_daily = "1h" })))
  end)

  it("says so only where the bucket was taken", function()
    local _, _, reasons = apply(days(2), { keep_daily = 5 })
    assert.same({ "daily snapshot", "daily snapshot" }, reasons)
  end)

  it("never goes for keep_last and keep_within", function()
    assert.same({ 3 }, (apply(days(3), { keep_last = 1, keep_within = "1d" })))
  end)
end)

describe("keep_tags", function()
  local function tagged()
    local snapshots = days(4)
    snapshots[1].tags = { "a", "b" }
    snapshots[2].tags = { "c" }
    snapshots[3].tags = {}
    return snapshots
  end

  it("is AND inside and OR between", function()
    local keep, _, reasons = apply(tagged(),
      { keep_tags = { { "a", "b" }, { "a", "c" }, { "c" } } })
    assert.same({ 2, 1 }, keep)
    assert.same({ "has tags [c]", "has tags [a, b]" }, reasons)
  end)

  it("takes an empty tag for untagged", function()
    local keep, _, reasons = apply(tagged(), { keep_tags = { { "" } } })
    assert.same({ 4, 3 }, keep)
    assert.same({ "has tags []", "has tags []" }, reasons)
  end)

  it("uses up no counter and comes first among the reasons", function()
    local keep, _, reasons = apply(tagged(), { keep_last = 3,
      keep_within = "1d", keep_tags = { { "a" }, { "" } } })
    assert.same({ 4, 3, 2, 1 }, keep)
    assert.same({ "has tags []; within 1d; last snapshot",
      "has tags []; last snapshot", "last snapshot", "has tags [a]" },
      reasons)
  end)
end)

describe("the order", function()
  it("is newest first, whatever the input's", function()
    local keep, remove = apply(list("2024-05-03", "2024-05-05", "2024-05-01",
      "2024-05-04", "2024-05-02"), { keep_last = 2 })
    assert.same({ 2, 4 }, keep)
    assert.same({ 1, 5, 3 }, remove)
  end)

  it("goes by the instant, not by the text", function()
    assert.same({ 1 }, (apply(list("2024-05-01T22:00:00-03:00",
      "2024-05-02T00:59:59Z"), { keep_last = 1 })))
  end)

  it("breaks ties by the fraction, then version_id by bytes", function()
    local snapshots = list("2024-05-01", "2024-05-01",
      "2024-05-01T12:00:00.000000001Z", "2024-05-01", "2024-05-01")
    for i, version in ipairs { "b", "B", "z", "ba", "a\255" } do
      snapshots[i].version_id = version
    end
    local keep = apply(snapshots, { keep_last = 5 })
    assert.same({ 3, 2, 5, 1, 4 }, keep)
    snapshots[1].version_id, snapshots[4].version_id = "ba", "b"
    assert.same({ 3, 2, 5, 4, 1 }, (apply(snapshots, { keep_last = 5 })))
  end)

  it("then by the input's order, those without a version first", function()
    local snapshots = list("2024-05-01", "2024-05-01", "2024-05-01")
    snapshots[1].version_id = "v"
    assert.same({ 2, 3, 1 }, (apply(snapshots, { keep_last = 3 })))
  end)

  it("is newest first over all groups", function()
    local snapshots = days(4)
    snapshots[1].id, snapshots[3].id = "b2", "b2"
    local keep, remove = apply(snapshots, { keep_last = 1 })
    assert.same({ 4, 3 }, keep)
    assert.same({ 2, 1 }, remove)
  end)
end)

describe("describe", function()
  for text, policy in pairs {
    ["keep 3 latest, 7 daily, all yearly snapshots"] =
      { keep_last = 3, keep_daily = 7, keep_yearly = -1, keep_hourly = 0 },
    ["keep hourly snapshots within 1d, weekly snapshots within 1m"] =
      { keep_within_hourly = "24h", keep_within_weekly = "1m" },
    ["keep 1 latest snapshots, daily snapshots within 7d and all snapshots "
      .. "with tags [[a, b] [c]] and all snapshots within 2y of the newest"] =
      { keep_last = 1, keep_within_daily = "1w",
        keep_tags = { { "a", "b" }, { "c" } }, keep_within = "2y" },
    ["keep all snapshots the keep function picks"] = { keep = print },
  } do
    it(text, function()
      assert.equal((text:gsub("within 1d, w", "within 24h, w")),
        retention.describe(policy))
    end)
  end

  it("names what a duration counts back from", function()
    assert.equal("keep all snapshots within 7d of now",
      retention.describe({ keep_within = "7d" }, { relative_to = "now" }))
  end)
end)
