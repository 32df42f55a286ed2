-- What is refused and what raises, word by word.

local support = ...
local apply, list, days = support.apply, support.list, support.days
local retention = require "squarecloud.retention"

local KNOWN_KEYS = "keep, keep_daily, keep_hourly, keep_last, keep_monthly, "
  .. "keep_tags, keep_weekly, keep_within, keep_within_daily, "
  .. "keep_within_hourly, keep_within_monthly, keep_within_weekly, "
  .. "keep_within_yearly, keep_yearly"

describe("a bad policy", function()
  local nothing = "no policy was specified, no snapshots will be removed"

  for message, policy in pairs {
    ["unknown policy key 'keep_dayly' (known: " .. KNOWN_KEYS .. ")"] =
      { keep_dayly = 30, keep_last = 1 },
    ["unknown policy key 'a' (known: " .. KNOWN_KEYS .. ")"] =
      { c = 1, b = 1, a = 1 },
    ["unknown policy key 1 (known: " .. KNOWN_KEYS .. ")"] = { 7 },
    ["unknown policy key 'x\\10y' (known: " .. KNOWN_KEYS .. ")"] =
      { ["x\ny"] = 7 },
    ['keep_daily must be a whole number or "unlimited", got 7.5'] =
      { keep_daily = 7.5 },
    ['keep_last must be a whole number or "unlimited", got "7"'] =
      { keep_last = "7" },
    ['keep_last must be a whole number or "unlimited", got inf'] =
      { keep_last = math.huge },
    ['keep_last must be a whole number or "unlimited", got false'] =
      { keep_last = false },
    ['keep_last must be a whole number or "unlimited", got a table'] =
      { keep_last = {} },
    ['keep_yearly must not be negative (-1 is "unlimited"), got -2'] =
      { keep_yearly = -2 },
    ['keep_within "10x": invalid unit "x" found after number 10'] =
      { keep_within = "10x" },
    ['keep_within_daily "": no number found'] = { keep_within_daily = "" },
    ['keep_within_daily "5": no unit found after number 5'] =
      { keep_within_daily = "5" },
    ['keep_within "1d1d": unit "d" is given twice'] =
      { keep_within = "1d1d" },
    ['keep_within must be a duration such as "7d", got 7'] =
      { keep_within = 7.0 },
    ["keep_tags must be a list of lists of tags such as "
      .. '{ { "a", "b" }, { "c" } }, got "a"'] = { keep_tags = "a" },
    ['keep_tags #1 must be a list of tags, got "a"'] = { keep_tags = { "a" } },
    ['keep_tags #2 names no tag ({ "" } is untagged)'] =
      { keep_tags = { { "a" }, {} } },
    ["keep_tags #1: a tag must be a string, got 7"] =
      { keep_tags = { { 7 } } },
    ["keep_tags #1 must be a list of tags, got a table"] =
      { keep_tags = { { a = true } } },
    ['keep must be a function, got "x"'] = { keep = "x" },
    [nothing] = {},
  } do
    it(message, function()
      for _, snapshots in ipairs { {}, days(2) } do
        local keep, why = apply(snapshots, policy)
        assert.is_nil(keep)
        assert.equal(message, why)
      end
      local ok, why = retention.check_policy(policy)
      assert.is_nil(ok)
      assert.equal(message, why)
      assert.same({ nil, message, n = 2 },
        table.pack(retention.describe(policy)))
    end)
  end

  it("is one whose rules are all off", function()
    local ok, why = retention.check_policy { keep_last = 0, keep_daily = 0.0,
      keep_within = "0d", keep_within_weekly = "0y0h", keep_tags = {} }
    assert.is_nil(ok)
    assert.equal(nothing, why)
  end)

  it("is not one with a single rule on", function()
    assert.is_true(retention.check_policy { keep_last = 0, keep_daily = 1 })
  end)
end)

local MILLISECONDS = 1751000000000

describe("a bad element", function()
  local file = io.stdout -- a userdata that can be indexed, without our fields

  for message, bad in pairs {
    ["snapshot #3 (id a1): created_at \"2023-02-29T00:00:00Z\" "
      .. "is not a valid ISO-8601 time"] =
      { id = "a1", created_at = "2023-02-29T00:00:00Z" },
    ["snapshot #3 (id a1): created_at \"2023-02-28T00:00:00\" "
      .. "has no UTC offset (expected Z or +hh:mm)"] =
      { id = "a1", created_at = "2023-02-28T00:00:00" },
    ["snapshot #3: created_at 1751000000000 looks like milliseconds, "
      .. "expected seconds"] = { created_at = MILLISECONDS },
    ["snapshot #3 (id x): created_at 1751000000000 looks like milliseconds, "
      .. "expected seconds"] = { id = "x", created_at = MILLISECONDS + 0.0 },
    ["snapshot #3 (id a\\27[1m): created_at \"\\0\\13\\\"\\127\" "
      .. "is not a valid ISO-8601 time"] =
      { id = "a\27[1m", created_at = "\0\r\"\127" },
    ["snapshot #3 (id a1): created_at is missing"] = { id = "a1" },
    ["snapshot #3 (id a1): created_at must be an ISO-8601 time or epoch "
      .. "seconds, got a table"] = { id = "a1", created_at = {} },
    ["snapshot #3: id is missing"] = { created_at = 1 },
    ["snapshot #3: id must be a string, got true"] =
      { id = true, created_at = 1 },
    ["snapshot #3 (id a1): version_id must be a string, got 7"] =
      { id = "a1", created_at = 1, version_id = 7.0 },
    ["snapshot #3 must be a snapshot or a table, got \"x\""] = "x",
    ["snapshot #3 must be a snapshot or a table, got 7"] = 7,
    ["snapshot #3 must be a snapshot or a table, got false"] = false,
    ["snapshot #3 must be a snapshot or a table, got a userdata"] =
      require "cjson".null,
    ["snapshot #3: created_at is missing"] = file,
  } do
    it(message, function()
      local snapshots = days(2)
      snapshots[3] = bad
      local keep, why = apply(snapshots, { keep_last = 1 })
      assert.is_nil(keep)
      assert.equal(message, why)
    end)
  end

  it("is one with bad tags, where tags matter", function()
    local snapshots = days(1)
    for message, tags in pairs {
      ["snapshot #1 (id a1): tags must be a list of strings, got \"x\""] =
        "x",
      ["snapshot #1 (id a1): tags must be a list of strings, got 7 in it"] =
        { 7 },
    } do
      snapshots[1].tags = tags
      assert.is_table((apply(snapshots, { keep_last = 1 })))
      local _, why = apply(snapshots, { keep_tags = { { "x" } } })
      assert.equal(message, why)
    end
  end)

  it("is one the keep function has no answer for", function()
    local _, why = apply(days(1), { keep = function()
      return 7
    end })
    assert.equal("snapshot #1 (id a1): keep must give true, false or a "
      .. "reason, got 7", why)
  end)

  it("is one without a group", function()
    local _, why = apply(days(1), { keep_last = 1 }, { group_by = "name" })
    assert.equal("snapshot #1 (id a1): name is missing", why)
    _, why = apply(days(1), { keep_last = 1 }, { group_by = function() end })
    assert.equal("snapshot #1 (id a1): group_by gave nil", why)
  end)

  it("is found by every function that reads times", function()
    local bad = list("2024-05-01", "2024-05-01")
    bad[2].created_at = MILLISECONDS
    local message = "snapshot #2 (id a1): created_at 1751000000000 looks "
      .. "like milliseconds, expected seconds"
    local now = { now = 0 }
    for name, arguments in pairs {
      latest = {}, latest_by_id = {}, group_by = { "id" },
      newer_than = { 0, now }, older_than = { 0, now },
      between = { 0, 1, now }, expiring_within = { 1, now },
      expired = { now }, quota_left = { 2048, now },
    } do
      local found, why = retention[name](bad, table.unpack(arguments))
      assert.is_nil(found, name)
      assert.equal(message, why, name)
    end
  end)
end)

describe("a list with holes", function()
  it("is refused", function()
    for _, holes in ipairs {
      { [1] = days(1)[1], [3] = days(1)[1] },
      { days(1)[1], nil, days(1)[1] },
      { nil, days(1)[1] },
      { [1000] = days(1)[1] },
    } do
      for _, name in ipairs { "latest", "total_size", "group_by" } do
        local found, why = retention[name](holes)
        assert.is_nil(found)
        assert.equal("list has holes", why)
      end
      local _, why = apply(holes, { keep_last = 1 })
      assert.equal("list has holes", why)
    end
  end)

  it("is none that has other fields", function()
    local snapshots = days(2)
    snapshots.n, snapshots[0], snapshots[1.5] = 2, "x", "y"
    assert.same({ 2 }, (apply(snapshots, { keep_last = 1 })))
  end)
end)

describe("wrong use raises", function()
  local function raises(message, name, ...)
    local arguments = table.pack(...)
    local ok, why = pcall(function()
      retention[name](table.unpack(arguments, 1, arguments.n))
      return true
    end)
    assert.is_false(ok)
    assert.equal(message, (tostring(why):gsub("^.-:%d+: ", "")))
    assert.matches("messages.lua:%d+: ", why)
  end

  it("for a list that is no table", function()
    for name, arguments in pairs {
      apply = { { keep_last = 1 } }, latest = {}, latest_by_id = {},
      newer_than = { "7d" }, older_than = { "7d" }, between = { 0, 1 },
      larger_than = { 1 }, smaller_than = { 1 }, total_size = {},
      expiring_within = { 1 }, expired = {}, group_by = {},
      quota_left = { 2048 },
    } do
      raises("list must be a table, got nil", name, nil,
        table.unpack(arguments))
      raises('list must be a table, got "x"', name, "x",
        table.unpack(arguments))
    end
    raises("remote must be a table, got nil", "to_download", nil, {}, {})
    raises("local must be a table, got 1", "to_download", {}, 1, {})
    raises("policy must be a table, got nil", "to_download", {}, {})
  end)

  it("for a policy that is no table", function()
    raises("policy must be a table, got nil", "apply", {})
    raises('policy must be a table, got "x"', "check_policy", "x")
    raises("policy must be a table, got nil", "describe")
  end)

  it("for other arguments", function()
    raises('days must be a number, 0 or more, got "7"', "expiring_within", {},
      "7")
    raises("days must be a number, 0 or more, got -1", "expiring_within", {},
      -1)
    raises("days must be a number, 0 or more, got nil", "expiring_within", {})
    raises("bytes must be a number, 0 or more, got nil", "larger_than", {})
    raises("when must be a time or a duration, got nil", "newer_than", {})
    raises("when must be a time or a duration, got a table", "older_than", {},
      {})
    raises("to must be a time or a duration, got nil", "between", {}, 0)
    raises("ram_mb must be a finite number, 0 or more, got nil",
      "daily_quota")
    raises("ram_mb must be a finite number, 0 or more, got inf",
      "quota_left", {}, math.huge)
    raises("snapshot must be a snapshot or a table, got nil", "expires_at")
    raises("by must be a field's name or a function, got 7", "group_by", {},
      7)
  end)

  it("for options", function()
    local known = " (known: future, group_by, keep_oldest, now, on_empty, "
      .. "relative_to, utc_offset)"
    local one = { keep_last = 1 }
    raises("options must be a table, got 7", "apply", {}, one, 7)
    for name, arguments in pairs {
      apply = { {}, one }, describe = { one }, latest = { {} },
      latest_by_id = { {} }, newer_than = { {}, 0 }, older_than = { {}, 0 },
      between = { {}, 0, 1 }, larger_than = { {}, 1 },
      smaller_than = { {}, 1 }, total_size = { {} }, expires_at = { {} },
      expiring_within = { {}, 1 }, expired = { {} }, group_by = { {}, "id" },
      quota_left = { {}, 1 }, to_download = { {}, {}, one },
    } do
      arguments[#arguments + 1] = { nwo = 1, xyz = 2 }
      raises("unknown option 'nwo'" .. known, name, table.unpack(arguments))
    end
    for message, options in pairs {
      ['now: "x" is not a valid ISO-8601 time'] = { now = "x" },
      ["now: 1751000000000 looks like milliseconds, expected seconds"] =
        { now = MILLISECONDS },
      ["now must be a time, got a table"] = { now = {} },
      ["utc_offset must be whole seconds, less than a day, got 0.5 "
        .. "(or a function)"] = { utc_offset = 0.5 },
      ["utc_offset must be whole seconds, less than a day, got 86400 "
        .. "(or a function)"] = { utc_offset = 86400 },
      ["group_by must be a field's name, a function or false, got true"] =
        { group_by = true },
      ['relative_to: "newest" is not a valid ISO-8601 time'] =
        { relative_to = "newest" },
      ['future must be "keep" or "count", got "drop"'] = { future = "drop" },
      ['on_empty must be "error", "keep_newest" or "allow", got true'] =
        { on_empty = true },
      ["keep_oldest must be true or false, got 0"] = { keep_oldest = 0 },
    } do
      raises(message, "apply", {}, one, options)
    end
  end)
end)

describe("an empty list", function()
  it("is no error", function()
    assert.same({ {}, {}, {} }, { retention.apply({}, { keep_last = 1 }) })
  end)
end)

describe("what is wrong with an element, or an argument, is told by", function()
  local one = { id = "a", created_at = "2024-05-25T00:00:00Z" }
  local bare = { created_at = "2024-05-25T00:00:00Z" }

  for name, ask in pairs {
    ["latest_by_id: no id"] = function()
      return retention.latest_by_id { bare }
    end,
    ["group_by: a field that is not there"] = function()
      return retention.group_by({ one }, "nothing")
    end,
    ["between: a moment that is none, first"] = function()
      return retention.between({ one }, "soon", "1d")
    end,
    ["between: a moment that is none, second"] = function()
      return retention.between({ one }, "1d", "soon")
    end,
    ["check_policy: tags with a hole"] = function()
      return retention.check_policy { keep_tags = { { "a" }, nil, { "b" } } }
    end,
    ["check_policy: a key of many letters"] = function()
      return retention.check_policy { [("x"):rep(300)] = 1 }
    end,
  } do
    it(name, function()
      local result, message = ask()
      assert.is_nil(result)
      assert.equal("string", type(message))
      assert.is_true(#message > 0 and #message < 450)
    end)
  end

  it("to_download, of which list it is", function()
    for _, lists in ipairs { { { one }, {}, "remote snapshot #1" },
      { {}, { one }, "local snapshot #1" } } do
      local result, message = retention.to_download(lists[1], lists[2],
        { keep_last = 1 }, { group_by = function() end })
      assert.is_nil(result)
      assert.matches(lists[3], message, 1, true)
    end
  end)
end)
