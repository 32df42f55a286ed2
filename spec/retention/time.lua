-- Reading times and durations.

local retention = require "squarecloud.retention"
local time = require "squarecloud.retention.time"

describe("parse_time", function()
  for text, seconds in pairs {
    ["1970-01-01T00:00:00Z"] = 0,
    ["2024-02-29T23:59:59Z"] = 1709251199,
    ["2024-02-29T23:59:59+00:00"] = 1709251199,
    ["2024-02-29T20:59:59-03:00"] = 1709251199,
    ["2024-03-01T05:29:59+0530"] = 1709251199,
    ["2024-03-01T01:59:59+02"] = 1709251199,
    ["2024-02-29T23:59Z"] = 1709251140,
    ["2024-02-29t23:59:59z"] = 1709251199,
    ["2024-02-29 23:59:59Z"] = 1709251199,
    ["2016-12-31T23:59:60Z"] = 1483228799,
    ["2017-01-01T05:29:60.5+05:30"] = 1483228799.5,
    ["2024-06-27T06:23:42.326Z"] = 1719469422.326,
    ["2024-06-27T06:23:42,5Z"] = 1719469422.5,
    ["2024-06-27T06:23:42.000000Z"] = 1719469422,
    ["1969-12-31T23:59:59.5Z"] = -0.5,
    ["0000-01-01T00:00:00Z"] = -62167219200,
    ["9999-12-31T23:59:59Z"] = 253402300799,
    ["2000-02-29T00:00:00Z"] = 951782400,
  } do
    it("reads " .. text, function()
      assert.equal(seconds, retention.parse_time(text))
    end)
  end

  for _, text in ipairs { "", "now", "2023-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z", "2024-00-01T00:00:00Z", "2024-13-01T00:00:00Z",
    "2024-04-31T00:00:00Z", "2024-01-00T00:00:00Z", "2024-01-01T24:00:00Z",
    "2024-01-01T00:60:00Z", "2024-01-01T00:00:60Z", "2024-01-01T00:00:00.Z",
    "2024-01-01T00:00:00ZZ", "2024-01-01T00:00:00+24:00",
    "2024-01-01T00:00:00+00:60", "2024-01-01T00:00:00+1", " 2024-01-01",
    "2024-01-01T00:00:00+01:00 ", "2024-1-1T00:00:00Z",
    "2024-01-01T00:00:00\0Z", "24-01-01T00:00:00Z" } do
    it(("refuses %q"):format(text), function()
      local seconds, message = retention.parse_time(text)
      assert.is_nil(seconds)
      assert.matches("is not a valid ISO%-8601 time$", message)
    end)
  end

  for _, text in ipairs { "2024-01-01", "2024-01-01T00:00",
    "2024-01-01T00:00:00", "2024-01-01T00:00:00.5" } do
    it("asks for an offset in " .. text, function()
      local seconds, message = retention.parse_time(text)
      assert.is_nil(seconds)
      assert.equal(('"%s" has no UTC offset (expected Z or +hh:mm)')
        :format(text), message)
    end)
  end

  it("takes epoch seconds, whole ones as integers", function()
    assert.equal("integer", math.type(retention.parse_time(1751000000.0)))
    assert.equal(1751000000, retention.parse_time(1751000000))
    assert.equal(1751000000.25, retention.parse_time(1751000000.25))
  end)

  it("refuses what cannot be epoch seconds", function()
    for value, wording in pairs {
      [1751000000000] = "1751000000000 looks like milliseconds, "
        .. "expected seconds",
      [1751000000000.0 + 0.5] = "looks like milliseconds",
      [-1e12] = "is not a valid time in epoch seconds",
      [math.huge] = "is not a valid time in epoch seconds",
    } do
      local seconds, message = retention.parse_time(value)
      assert.is_nil(seconds)
      assert.is_truthy(message:find(wording, 1, true), message)
    end
    assert.is_nil((retention.parse_time(0 / 0)))
  end)

  it("raises for anything else", function()
    assert.has_error(function()
      retention.parse_time({})
    end, "time must be a string or a number, got a table")
  end)
end)

describe("the calendar", function()
  it("goes from days to dates and back", function()
    for days = -800000, 3000000, 997 do
      local year, month, day = time.civil_from_days(days)
      assert.equal(days, time.days_from_civil(year, month, day))
      assert.is_true(month >= 1 and month <= 12 and day >= 1 and day <= 31)
    end
  end)

  it("knows some dates", function()
    assert.same({ 1970, 1, 1 }, { time.civil_from_days(0) })
    assert.same({ 2000, 2, 29 }, { time.civil_from_days(11016) })
    assert.same({ 2100, 3, 1 }, { time.civil_from_days(47541) })
    assert.same({ 1969, 12, 31 }, { time.civil_from_days(-1) })
  end)

  it("counts a day past its month's end on into the next", function()
    assert.equal(time.days_from_civil(2024, 3, 2),
      time.days_from_civil(2024, 2, 31))
  end)
end)

describe("parse_duration", function()
  local function parsed(years, months, days, hours)
    return { years = years, months = months, days = days, hours = hours }
  end

  for text, duration in pairs {
    ["2y5m7d3h"] = parsed(2, 5, 7, 3),
    ["3h7d5m2y"] = parsed(2, 5, 7, 3),
    ["7d"] = parsed(0, 0, 7, 0),
    [" 7d\n"] = parsed(0, 0, 7, 0),
    ["0d"] = parsed(0, 0, 0, 0),
    ["12m"] = parsed(0, 12, 0, 0),
    ["2w"] = parsed(0, 0, 14, 0),
    ["1w3d"] = parsed(0, 0, 10, 0),
    ["000007d"] = parsed(0, 0, 7, 0),
    ["999999h"] = parsed(0, 0, 0, 999999),
  } do
    it(("reads %q"):format(text), function()
      assert.same(duration, retention.parse_duration(text))
    end)
  end

  for text, wording in pairs {
    ["10x"] = 'invalid unit "x" found after number 10',
    ["7D"] = 'invalid unit "D" found after number 7',
    ["1.5d"] = 'invalid unit "." found after number 1',
    ["3é"] = 'invalid unit "é" found after number 3',
    ["3\n1d"] = 'invalid unit "\\10" found after number 3',
    ["10"] = "no unit found after number 10",
    ["7d3"] = "no unit found after number 3",
    [""] = "no number found",
    ["d"] = "no number found",
    ["7d 3h"] = "no number found",
    ["-7d"] = "must not be negative",
    ["1d2d"] = 'unit "d" is given twice',
    ["0h0h"] = 'unit "h" is given twice',
    ["1234567d"] = "number 1234567 has more than 6 digits",
  } do
    it(("refuses %q"):format(text), function()
      local duration, message = retention.parse_duration(text)
      assert.is_nil(duration)
      assert.is_truthy(message:find(": " .. wording, 1, true), message)
    end)
  end

  it("raises for what is no string", function()
    assert.has_error(function()
      retention.parse_duration(7)
    end, "duration must be a string, got 7")
  end)
end)

describe("the time a duration before another", function()
  local function before(at, text, offset_at)
    local us = time.parse_iso(at)
    return time.to_seconds(time.before(us, time.parse_duration(text),
      offset_at or function()
        return 0
      end))
  end
  local function epoch(at)
    return retention.parse_time(at)
  end

  for _, case in ipairs {
    { "2025-05-31T12:00:00Z", "3m", "2025-03-03T12:00:00Z" },
    { "2024-02-29T12:00:00Z", "1y", "2023-03-01T12:00:00Z" },
    { "2024-03-31T00:00:00Z", "1m", "2024-03-02T00:00:00Z" },
    { "2024-01-31T00:00:00.5Z", "2m", "2023-12-01T00:00:00.5Z" },
    { "2024-01-15T00:00:00Z", "13m", "2022-12-15T00:00:00Z" },
    { "2024-03-01T00:00:00Z", "1d", "2024-02-29T00:00:00Z" },
    { "2024-03-01T00:30:00Z", "1h", "2024-02-29T23:30:00Z" },
    { "2024-03-31T02:00:00Z", "1m1d3h", "2024-02-29T23:00:00Z" },
  } do
    it(case[1] .. " - " .. case[2], function()
      assert.equal(epoch(case[3]), before(case[1], case[2]))
    end)
  end

  -- Berlin: summer time ended on 2025-10-26 at 01:00Z, began on 2025-03-30.
  local function berlin(at)
    return at >= epoch "2025-03-30T01:00:00Z"
      and at < epoch "2025-10-26T01:00:00Z" and 7200 or 3600
  end

  it("takes days off the wall clock", function()
    assert.equal(epoch "2025-10-25T12:00:00+02:00",
      before("2025-10-26T12:00:00+01:00", "1d", berlin))
    assert.equal(epoch "2025-10-25T13:00:00+02:00",
      before("2025-10-26T12:00:00+01:00", "24h", berlin))
  end)

  it("moves a wall time that does not exist as Go does", function()
    assert.equal(epoch "2025-03-30T03:30:00+02:00",
      before("2025-03-31T02:30:00+02:00", "1d", berlin))
  end)

  it("leaves the wall clock alone for hours", function()
    assert.equal(epoch "2025-10-26T01:30:00+02:00",
      before("2025-10-26T02:30:00+02:00", "1h", berlin))
  end)

  it("does not overflow", function()
    assert.equal(math.mininteger, time.before(0,
      time.parse_duration "999999y999999m999999d999999h", function()
        return 0
      end))
  end)
end)
