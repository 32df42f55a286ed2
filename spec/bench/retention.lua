-- Measures retention.apply on shuffled ISO strings with eight rules. Part of
-- `make bench`, which sets the paths.

local retention = require "squarecloud.retention"

local NOW = 1751000000
local YEARS_5 = 5 * 365 * 86400

local POLICY = {
  keep_last = 10, keep_hourly = 48, keep_daily = 30, keep_weekly = 12,
  keep_monthly = 24, keep_yearly = "unlimited", keep_within = "3d",
  keep_within_daily = "2m",
}

-- Days since 1970 as a calendar day, so that the bench needs no os.date.
local function civil(days)
  local year = 1970
  while true do
    local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
    local length = leap and 366 or 365
    if days < length then
      local month = 1
      for _, n in ipairs { 31, leap and 29 or 28, 31, 30, 31, 30, 31, 31, 30,
        31, 30, 31 } do
        if days < n then
          return year, month, days + 1
        end
        days, month = days - n, month + 1
      end
    end
    days, year = days - length, year + 1
  end
end

local function make_list(count, with_versions)
  math.randomseed(20240627)
  local days = {}
  local list = {}
  for i = 1, count do
    local at = NOW - math.random(0, YEARS_5)
    local day = at // 86400
    local date = days[day]
    if not date then
      date = string.format("%04d-%02d-%02d", civil(day))
      days[day] = date
    end
    local created_at = string.format("%sT%02d:%02d:%02d.%03dZ", date,
      at % 86400 // 3600, at % 3600 // 60, at % 60, math.random(0, 999))
    list[i] = { id = "1d2cdc0d6ebd435c91315c6329d12eab",
      created_at = created_at }
    if with_versions then
      list[i].version_id = string.format("45ec0b49-9af6-445e-a55c-abd7%08x", i)
    end
  end
  return list
end

local function measure(count, with_versions, goal)
  collectgarbage()
  local list = make_list(count, with_versions)
  local start = os.clock()
  local keep, remove = assert(retention.apply(list, POLICY, { now = NOW }))
  local took = os.clock() - start
  assert(#keep + #remove == count)
  print(string.format("retention: %-42s %9.3f s  (goal < %g)%s",
    string.format("%d %s, 8 rules", count, with_versions
      and "with version ids" or "shuffled ISO strings"), took, goal,
    took < goal and "" or "  MISSED"))
end

measure(10000, false, 0.1)
measure(10000, true, 0.1)
measure(100000, false, 2)
measure(100000, true, 2)
