-- Times and durations for the retention rules: reading ISO 8601 and epoch
-- seconds, calendar arithmetic on days, durations such as "2y5m7d3h".
-- Pure arithmetic: no clock, no os.date, no local time zone.
--
-- Inside the retention modules a time is two integers: `us`, microseconds
-- since 1970-01-01T00:00:00Z, and `ns`, the 0 to 999 nanoseconds below them
-- (nearly always 0). Microseconds hold every year from 0000 to 9999.

local byte = string.byte
local find = string.find
local format = string.format
local tointeger = math.tointeger

local SECOND = 1000000
local FIRST_SECOND = -62167219200 -- 0000-01-01T00:00:00Z
local LAST_SECOND = 253402300799 -- 9999-12-31T23:59:59Z
local MAX_DIGITS = 6

local MONTH_DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local NOT_ISO = "is not a valid ISO-8601 time"
local NO_OFFSET = "has no UTC offset (expected Z or +hh:mm)"

-- Days from 1970-01-01 to a civil date, in the proleptic Gregorian calendar.
-- The day may lie outside its month: it counts on from the month's first.
local function days_from_civil(year, month, day)
  if month <= 2 then
    year = year - 1
    month = month + 12
  end
  return year * 365 + year // 4 - year // 100 + year // 400
    + (153 * (month - 3) + 2) // 5 + day - 719469
end

-- The inverse: year, month and day of a day number.
local function civil_from_days(days)
  days = days + 719468
  local era = days // 146097
  local rest = days - era * 146097
  local year = (rest - rest // 1460 + rest // 36524 - rest // 146096) // 365
  local of_year = rest - (365 * year + year // 4 - year // 100)
  local shifted = (5 * of_year + 2) // 153
  local day = of_year - (153 * shifted + 2) // 5 + 1
  local month = shifted < 10 and shifted + 3 or shifted - 9
  return year + era * 400 + (month <= 2 and 1 or 0), month, day
end

-- Seconds of the zone that starts at `at` and ends the string, or nil.
local function read_zone(s, at)
  local sign = byte(s, at)
  if sign == 90 or sign == 122 then
    return at == #s and 0 or nil
  elseif sign ~= 43 and sign ~= 45 then
    return nil
  end
  local minutes_at
  if find(s, "^%d%d:%d%d$", at + 1) then
    minutes_at = at + 4
  elseif find(s, "^%d%d%d%d$", at + 1) then
    minutes_at = at + 3
  elseif not find(s, "^%d%d$", at + 1) then
    return nil
  end
  local h1, h2 = byte(s, at + 1, at + 2)
  local hours, minutes = h1 * 10 + h2 - 528, 0
  if minutes_at then
    local m1, m2 = byte(s, minutes_at, minutes_at + 1)
    minutes = m1 * 10 + m2 - 528
  end
  if hours > 23 or minutes > 59 then
    return nil
  end
  local seconds = hours * 3600 + minutes * 60
  return sign == 45 and -seconds or seconds
end

-- Microseconds and nanoseconds of the fraction whose digits start at `at`,
-- and where it ends. Digits past the ninth are dropped, as Go does.
local function read_fraction(s, at)
  local _, last = find(s, "^%d+", at)
  if not last then
    return nil
  end
  local value = 0
  for i = at, at + 8 do
    value = value * 10 + (i <= last and byte(s, i) - 48 or 0)
  end
  return value // 1000, value % 1000, last + 1
end

-- An ISO 8601 string as us, ns; or nil and what is wrong with it. Reads bytes
-- rather than captures, so that a million strings leave no garbage.
local function parse_iso(s)
  local zone_at
  if find(s, "^%d%d%d%d%-%d%d%-%d%d[Tt ]%d%d:%d%d:%d%d") then
    zone_at = 20
  elseif find(s, "^%d%d%d%d%-%d%d%-%d%d[Tt ]%d%d:%d%d") then
    zone_at = 17
  elseif find(s, "^%d%d%d%d%-%d%d%-%d%d$") then
    zone_at = 11
  else
    return nil, NOT_ISO
  end
  local y1, y2, y3, y4, _, mo1, mo2, _, d1, d2, _, h1, h2, _, mi1, mi2, _, s1,
    s2 = byte(s, 1, 19)
  local year = y1 * 1000 + y2 * 100 + y3 * 10 + y4 - 53328
  local month = mo1 * 10 + mo2 - 528
  local day = d1 * 10 + d2 - 528
  if month < 1 or month > 12 or day < 1 or day > MONTH_DAYS[month]
    and not (month == 2 and day == 29 and year % 4 == 0
      and (year % 100 ~= 0 or year % 400 == 0)) then
    return nil, NOT_ISO
  end
  if zone_at == 11 then
    return nil, NO_OFFSET
  end
  local hour, minute, second = h1 * 10 + h2 - 528, mi1 * 10 + mi2 - 528, 0
  local us, ns = 0, 0
  if zone_at == 20 then
    second = s1 * 10 + s2 - 528
    local mark = byte(s, 20)
    if mark == 46 or mark == 44 then
      us, ns, zone_at = read_fraction(s, 21)
    end
  end
  if second == 60 and minute % 15 == 14 then
    second = 59 -- a leap second, which ends an hour in most zones
  end
  if hour > 23 or minute > 59 or second > 59 or not us then
    return nil, NOT_ISO
  end
  if zone_at > #s then
    return nil, NO_OFFSET
  end
  local zone = read_zone(s, zone_at)
  if not zone then
    return nil, NOT_ISO
  end
  local seconds = days_from_civil(year, month, day) * 86400 + hour * 3600
    + minute * 60 + second - zone
  return seconds * SECOND + us, ns
end

-- Epoch seconds, whole or not, as us, ns; or nil and what is wrong.
local function parse_epoch(seconds)
  local whole = tointeger(seconds)
  if seconds ~= seconds or not whole and seconds - seconds ~= 0 then
    return nil, "is not a valid time in epoch seconds"
  elseif seconds > LAST_SECOND then
    return nil, "looks like milliseconds, expected seconds"
  elseif seconds < FIRST_SECOND then
    return nil, "is not a valid time in epoch seconds"
  end
  if whole then
    return whole * SECOND, 0
  end
  return math.floor(seconds * 1e6 + 0.5), 0
end

-- Epoch seconds as the date and time in a file's name, YYYYMMDDTHHMMSSZ;
-- fractions are dropped.
local function stamp(seconds)
  seconds = math.floor(seconds)
  local year, month, day = civil_from_days(seconds // 86400)
  local rest = seconds % 86400
  return format("%04d%02d%02dT%02d%02d%02dZ", year, month, day, rest // 3600,
    rest // 60 % 60, rest % 60)
end

-- Epoch seconds as ISO 8601.
local function iso(seconds)
  return (stamp(seconds):gsub("^(%d%d%d%d)(%d%d)(%d%d)T(%d%d)(%d%d)",
    "%1-%2-%3T%4:%5:"))
end

-- Microseconds as epoch seconds: an integer when whole, else a float.
local function to_seconds(us)
  if us % SECOND == 0 then
    return us // SECOND
  end
  return us / 1e6
end

-- Writes a whole number without ".0" and without an exponent.
local function show_number(value)
  return tostring(tointeger(value) or value)
end

-- Makes text from outside fit for one line of a message.
local function escape(text)
  if #text > 200 then
    text = text:sub(1, 200) .. "..."
  end
  local function code(c)
    return format("\\%d", byte(c, -1))
  end
  -- The second kind is a C1 control in UTF-8, which terminals obey too.
  return (text:gsub("[\0-\31\127]", code):gsub("\194[\128-\159]", code))
end

-- A value as a message shows it: strings quoted, numbers whole.
local function show(value)
  local kind = type(value)
  if kind == "string" then
    return '"' .. escape(value):gsub('"', '\\"') .. '"'
  elseif kind == "number" then
    return show_number(value)
  elseif kind == "boolean" or kind == "nil" then
    return tostring(value)
  end
  return kind == "table" and "a table" or "a " .. kind
end

local UNITS = { y = "years", m = "months", w = "weeks", d = "days",
  h = "hours" }

-- A duration string as { years, months, days, hours }; or nil and what is
-- wrong with it. Weeks end up in days. Wordings are restic's where it has one.
local function parse_duration(text)
  local found = { years = 0, months = 0, weeks = 0, days = 0, hours = 0 }
  local given = {}
  local rest = text:match("^%s*(.-)%s*$")
  repeat
    local digits, tail = rest:match("^(%d+)(.*)$")
    if not digits then
      return nil, rest:find("^%-") and "must not be negative"
        or "no number found"
    elseif #digits > MAX_DIGITS then
      return nil, format("number %s has more than %d digits",
        escape(digits), MAX_DIGITS)
    end
    local number = tointeger(tonumber(digits))
    local unit = tail:match("^[\1-\127\194-\244][\128-\191]*")
      or tail:sub(1, 1)
    if unit == "" then
      return nil, format("no unit found after number %d", number)
    elseif not UNITS[unit] then
      return nil, format("invalid unit %s found after number %d", show(unit),
        number)
    elseif given[unit] then
      return nil, format("unit %s is given twice", show(unit))
    end
    given[unit] = true
    found[UNITS[unit]] = number
    rest = tail:sub(#unit + 1)
  until rest == ""
  found.days = found.days + 7 * found.weeks
  found.weeks = nil
  return found
end

local function is_zero(duration)
  return duration.years == 0 and duration.months == 0 and duration.days == 0
    and duration.hours == 0
end

-- A duration as restic prints it: largest unit first, zeros left out.
local function show_duration(duration)
  local parts = {}
  for _, unit in ipairs { "years", "months", "days", "hours" } do
    if duration[unit] ~= 0 then
      parts[#parts + 1] = format("%d%s", duration[unit], unit:sub(1, 1))
    end
  end
  return table.concat(parts)
end

-- The time that lies `duration` before us. Years, months and days are taken
-- off the wall clock together and normalised forward without clamping, as
-- Go's AddDate does (May 31 - 3m is Feb 31, which is Mar 3); hours are real
-- time. offset_at(seconds) gives the zone's offset at an epoch second. A
-- duration of hours alone never touches the wall clock, so that an ambiguous
-- hour cannot move it. The nanoseconds below us stay what they were.
local function before(us, duration, offset_at)
  local seconds, below = us // SECOND, us % SECOND
  if duration.years ~= 0 or duration.months ~= 0 or duration.days ~= 0 then
    local wall = seconds + offset_at(seconds)
    local year, month, day = civil_from_days(wall // 86400)
    local months = (year - duration.years) * 12 + month - 1 - duration.months
    local days = days_from_civil(months // 12, months % 12 + 1, 1)
      + day - 1 - duration.days
    wall = days * 86400 + wall % 86400
    -- As Go's time.Date: the offset found at the wall time read as UTC, and
    -- where that is not the one in force then, the one that is.
    local offset = offset_at(wall)
    local in_force = offset_at(wall - offset)
    seconds = wall - in_force
  end
  seconds = seconds - duration.hours * 3600
  if seconds < -9000000000000 then
    return math.mininteger
  end
  return seconds * SECOND + below
end

return {
  SECOND = SECOND,
  civil_from_days = civil_from_days,
  days_from_civil = days_from_civil,
  parse_iso = parse_iso,
  parse_epoch = parse_epoch,
  to_seconds = to_seconds,
  stamp = stamp,
  iso = iso,
  parse_duration = parse_duration,
  show_duration = show_duration,
  is_zero = is_zero,
  before = before,
  escape = escape,
  show = show,
}
