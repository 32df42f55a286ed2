-- isotime.c: times as text.


local probe = require "base_probe"

describe("an ISO time", function()
  local good = {
    { "2024-06-27T06:23:42.326Z", 1719469422, 326000000 },
    { "2024-06-27T06:23:42Z", 1719469422, 0 },
    { "2024-06-27t06:23:42z", 1719469422, 0 },
    { "2024-06-27 06:23:42Z", 1719469422, 0 },
    { "2024-06-27T06:23:42,5Z", 1719469422, 500000000 },
    { "2024-06-27T06:23:42.000000001Z", 1719469422, 1 },
    { "2024-06-27T06:23:42.9999999999999Z", 1719469422, 999999999 },
    { "2024-06-27T06:23:42." .. ("0"):rep(500) .. "9Z", 1719469422, 0 },
    { "2024-06-27T09:23:42+03:00", 1719469422, 0 },
    { "2024-06-27T03:23:42-0300", 1719469422, 0 },
    { "2024-06-27T03:23:42-03", 1719469422, 0 },
    { "2024-06-27T11:53:42.25+05:30", 1719469422, 250000000 },
    { "2024-06-27T06:23:42-00:00", 1719469422, 0 },
    { "2024-06-28T06:22:42+23:59", 1719469422, 0 },
    { "1970-01-01T00:00:00Z", 0, 0 },
    { "1969-12-31T23:59:59.75Z", -1, 750000000 },
    { "2000-02-29T00:00:00Z", 951782400, 0 },
    { "2024-02-29T12:00:00Z", 1709208000, 0 },
    { "2100-02-28T23:59:59Z", 4107542399, 0 },
    { "2038-01-19T03:14:08Z", 2147483648, 0 },
    { "0001-01-01T00:00:00Z", -62135596800, 0 },
    { "0001-01-01T00:00:00+23:59", -62135683140, 0 },
    { "9999-12-31T23:59:59.999999999Z", 253402300799, 999999999 },
    { "2016-12-31T23:59:60Z", 1483228799, 0 },
    { "2016-12-31T23:59:60.5Z", 1483228799, 500000000 },
  }
  for _, case in ipairs(good) do
    it("is read: " .. case[1]:sub(1, 40), function()
      local seconds, nanos = probe.parse_iso(case[1])
      assert.equal(case[2], seconds)
      assert.equal(case[3], nanos)
    end)
  end

  local bad = {
    "", "Z", "2024", "2024-06-27", "2024-06-27T", "2024-06-27T06:23",
    "2024-06-27T06:23Z", "2024-06-27T06:23:42", "2024-06-27T06:23:42.326",
    "2024-06-27T06:23:42.Z", "2024-06-27T06:23:42.", "2024-06-27T06:23:42,Z",
    "2024-06-27T06:23:42.3.2Z", "2024-06-27T06:23:42Zx",
    "2024-06-27T06:23:42ZZ", "2024-06-27T06:23:42Z ", " 2024-06-27T06:23:42Z",
    "2024-06-27T06:23:42Z\0", "2024-06-27T06:23:42\0",
    "2024-06-27\00006:23:42Z",
    "2024-06-27X06:23:42Z", "2024-06-27  06:23:42Z", "20240627T062342Z",
    "2024-6-27T06:23:42Z", "24-06-27T06:23:42Z", "02024-06-27T06:23:42Z",
    "+2024-06-27T06:23:42Z", "-024-06-27T06:23:42Z",
    "0000-01-01T00:00:00Z", "2024-00-27T06:23:42Z", "2024-13-27T06:23:42Z",
    "2024-06-00T06:23:42Z", "2024-06-31T06:23:42Z", "2024-01-32T06:23:42Z",
    "2024-02-30T06:23:42Z", "2023-02-29T06:23:42Z", "1900-02-29T06:23:42Z",
    "2100-02-29T06:23:42Z", "2024-04-31T00:00:00Z", "2024-09-31T00:00:00Z",
    "2024-11-31T00:00:00Z", "2024-06-27T24:00:00Z", "2024-06-27T06:60:42Z",
    "2024-06-27T06:23:61Z", "2024-06-27T06:23:60Z",
    "2024-06-27T 6:23:42Z", "2024-06-27T06-23-42Z",
    "2024-06-27T06:23:42+", "2024-06-27T06:23:42+3", "2024-06-27T06:23:42+03:",
    "2024-06-27T06:23:42+03:0", "2024-06-27T06:23:42+030",
    "2024-06-27T06:23:42+24:00", "2024-06-27T06:23:42+03:60",
    "2024-06-27T06:23:42+03:000", "2024-06-27T06:23:42+03:00Z",
    "2024-06-27T06:23:42*03:00", "2024-06-27T06:23:42\xe2\x88\x9203:00",
    "2024-06-27T06:23:42 Z", "2024/06/27T06:23:42Z", "not a date at all",
    "Thu, 27 Jun 2024 06:23:42 GMT", "1719469422", "0x24-06-27T06:23:42Z",
    ("9"):rep(1000),
  }
  for _, text in ipairs(bad) do
    it(("is refused: %q"):format(text:sub(1, 40)), function()
      assert.is_nil((probe.parse_iso(text)))
    end)
  end

  it("is refused when it is cut anywhere", function()
    local whole = "2024-06-27T06:23:42.326Z"
    for n = 0, #whole - 1 do
      assert.is_nil((probe.parse_iso(whole:sub(1, n))))
    end
  end)

  it("knows every day of four hundred years", function()
    local lengths = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
    local seconds = -11676096000 -- 1600-01-01
    for year = 1600, 1999 do
      for month = 1, 12 do
        local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
        local days = lengths[month] + (month == 2 and leap and 1 or 0)
        for day = 1, days do
          local text = ("%04d-%02d-%02dT00:00:00Z"):format(year, month, day)
          if probe.parse_iso(text) ~= seconds or
             probe.format_iso(seconds) ~= text then
            error(text .. " is not " .. seconds)
          end
          seconds = seconds + 86400
        end
        local over = ("%04d-%02d-%02dT00:00:00Z"):format(year, month, days + 1)
        if probe.parse_iso(over) then error(over .. " is taken") end
      end
    end
    assert.equal(946684800, seconds)
  end)
end)

describe("an HTTP date", function()
  local good = {
    { "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 },
    { "Sunday, 06-Nov-94 08:49:37 GMT", 784111777 },
    { "Sun Nov  6 08:49:37 1994", 784111777 },
    { "Sun Nov 16 08:49:37 1994", 784975777 },
    { "  Sun, 06 Nov 1994 08:49:37 GMT\t ", 784111777 },
    { "sun, 06 nov 1994 08:49:37 gmt", 784111777 },
    { "Mon, 06 Nov 1994 08:49:37 GMT", 784111777 },
    { "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
    { "Thursday, 01-Jan-70 00:00:00 GMT", 0 },
    { "Friday, 31-Dec-99 23:59:59 GMT", 946684799 },
    { "Saturday, 01-Jan-00 00:00:00 GMT", 946684800 },
    { "Sunday, 01-Jan-68 00:00:00 GMT", 3092601600 },
    { "Sat, 31 Dec 2016 23:59:60 GMT", 1483228799 },
    { "Fri, 31 Dec 9999 23:59:59 GMT", 253402300799 },
    { "Thu, 29 Feb 2024 00:00:00 GMT", 1709164800 },
  }
  for _, case in ipairs(good) do
    it("is read: " .. case[1], function()
      assert.equal(case[2], probe.parse_http(case[1]))
    end)
  end

  it("has twelve months and seven days of the week", function()
    local days = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Tuesday",
                   "Wednesday", "Saturday", "Monday", "Friday" }
    for month, name in ipairs { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
                                "Aug", "Sep", "Oct", "Nov", "Dec" } do
      local want = probe.parse_iso(("2023-%02d-05T01:02:03Z"):format(month))
      local text = ("%s, 05 %s 2023 01:02:03 GMT"):format(days[month], name)
      assert.equal(want, probe.parse_http(text))
    end
  end)

  local bad = {
    "", " ", "Sun", "Sun,", "Sun, ", "06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 06 Nov 1994 08:49:37 +0000", "Sun, 06 Nov 1994 08:49:37 GMTx",
    "Sun, 06 Nov 1994 08:49:37 GMT\0", "Sun,06 Nov 1994 08:49:37 GMT",
    "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT",
    "Sun, 06 Foo 1994 08:49:37 GMT", "Xxx, 06 Nov 1994 08:49:37 GMT",
    "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
    "Wed, 29 Feb 2023 00:00:00 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
    "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
    "Sunday, 06-Nov-1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37",
    "Sun Nov 6 08:49:37 1994", "Sun Nov  6 08:49:37 94",
    "Sun Nov  6 08:49:37 1994 GMT", "Sun Nov   08:49:37 1994",
    "Wed, 31 Dec 1969 23:59:59 GMT", "Fri, 01 Jan 1960 00:00:00 GMT",
    "Sat, 01 Jan 0000 00:00:00 GMT", "120", "-1",
    "2024-06-27T06:23:42Z",
  }
  for _, text in ipairs(bad) do
    it(("is refused: %q"):format(text), function()
      assert.equal(-1, probe.parse_http(text))
    end)
  end

  it("is refused when it is cut anywhere", function()
    for _, case in ipairs { good[1][1], good[2][1], good[3][1] } do
      for n = 0, #case - 1 do
        assert.equal(-1, probe.parse_http(case:sub(1, n)))
      end
    end
  end)
end)

describe("a written time", function()
  local cases = {
    { 1719469422, 326, "2024-06-27T06:23:42.326Z", "20240627T062342Z" },
    { 1719469422, 0, "2024-06-27T06:23:42.000Z", "20240627T062342Z" },
    { 1719469422, 7, "2024-06-27T06:23:42.007Z", "20240627T062342Z" },
    { 1719469422, -1, "2024-06-27T06:23:42Z", "20240627T062342Z" },
    { 1719469422, 5000, "2024-06-27T06:23:42.999Z", "20240627T062342Z" },
    { 0, -1, "1970-01-01T00:00:00Z", "19700101T000000Z" },
    { -1, 999, "1969-12-31T23:59:59.999Z", "19691231T235959Z" },
    { 951782400, -1, "2000-02-29T00:00:00Z", "20000229T000000Z" },
    { -62135596800, -1, "0001-01-01T00:00:00Z", "00010101T000000Z" },
    { -62135596801, -1, "0001-01-01T00:00:00Z", "00010101T000000Z" },
    { 253402300799, -1, "9999-12-31T23:59:59Z", "99991231T235959Z" },
    { 253402300800, -1, "9999-12-31T23:59:59Z", "99991231T235959Z" },
    { math.maxinteger, 999, "9999-12-31T23:59:59.999Z", "99991231T235959Z" },
    { math.mininteger, 0, "0001-01-01T00:00:00.000Z", "00010101T000000Z" },
  }
  for _, case in ipairs(cases) do
    it(("of %d is %s"):format(case[1], case[3]), function()
      assert.equal(case[3], probe.format_iso(case[1], case[2]))
      assert.equal(case[4], probe.format_compact(case[1]))
    end)
  end

  it("is read back as it was", function()
    math.randomseed(1719469422)
    for _ = 1, 20000 do
      local seconds = math.random(-62135596800, 253402300799)
      local millis = math.random(0, 999)
      local back, nanos = probe.parse_iso(probe.format_iso(seconds, millis))
      if back ~= seconds or nanos ~= millis * 1000000 then
        error(seconds .. " comes back as " .. tostring(back))
      end
    end
  end)
end)
