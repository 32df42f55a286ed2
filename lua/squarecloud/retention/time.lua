-- Times and durations for the retention rules: reading ISO 8601 and epoch
-- seconds, calendar arithmetic on days, durations such as "2y5m7d3h"; and how
-- values are shown in messages. Pure arithmetic: no clock, no local time zone.
--
-- Times are integer microseconds since 1970-01-01T00:00:00Z: `us`. A string may
-- have nine digits of a second, so what is compared is a table { us, ns } with
-- the 0 to 999 nanoseconds below them as well.

local format = string.format
local tointeger = math.tointeger

local SECOND = 1000000
local FIRST_SECOND = -62167219200 -- 0000-01-01T00:00:00Z
local LAST_SECOND = 253402300799 -- 9999-12-31T23:59:59Z
local MAX_DIGITS = 6

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

-- The day number of a date; nil when there is no such date.
local function read_date(year, month, day)
  local days = days_from_civil(year, month, day)
  local y, m, d = civil_from_days(days)
  return y == year and m == month and d == day and days or nil
end

-- The readers of a time's parts take the string and where they begin.

-- The seconds that Z, +hh:mm, +hhmm or +hh is ahead of UTC; nil when that is
-- not what the string ends with.
local function read_offset(s, at)
  if s:find("^[Zz]$", at) then
    return 0
  end
  local sign, hours, minutes = s:match("^([+-])(%d%d):?(%d%d)$", at)
  if not sign then
    sign, hours = s:match("^([+-])(%d%d)$", at)
    minutes = 0
  end
  hours, minutes = tonumber(hours), tonumber(minutes)
  if not sign or hours > 23 or minutes > 59 then
    return nil
  end
  local seconds = hours * 3600 + minutes * 60
  return sign == "-" and -seconds or seconds
end

-- A time of day as seconds and nanoseconds, and where it ends; nil when it is
-- none. The seconds may be left out, and digits of a fraction past the ninth
-- are dropped, as Go does.
local function read_clock(s, at)
  local hour, minute, second, digits, ends = s:match(
    "^[Tt ](%d%d):(%d%d):(%d%d)[.,](%d+)()", at)
  if not hour then
    hour, minute, second, ends = s:match("^[Tt ](%d%d):(%d%d):(%d%d)()", at)
  end
  if not hour then
    hour, minute, ends = s:match("^[Tt ](%d%d):(%d%d)()", at)
  end
  hour, minute, second = tonumber(hour), tonumber(minute), tonumber(second or 0)
  if second == 60 and minute % 15 == 14 then
    second = 59 -- a leap second, which ends an hour in most zones
  end
  if not hour or hour > 23 or minute > 59 or second > 59 then
    return nil
  end
  digits = digits and digits:sub(1, 9) or "0"
  local nanos = tointeger(tonumber(digits) * 10 ^ (9 - #digits))
  return hour * 3600 + minute * 60 + second, nanos, ends
end

-- An ISO 8601 string as us, ns; or nil and what is wrong with it.
local function parse_iso(s)
  local year, month, day, at = s:match "^(%d%d%d%d)%-(%d%d)%-(%d%d)()"
  local days = year
    and read_date(tonumber(year), tonumber(month), tonumber(day))
  if not days then
    return nil, NOT_ISO
  elseif at > #s then
    return nil, NO_OFFSET
  end
  local seconds, nanos, ends = read_clock(s, at)
  if not seconds then
    return nil, NOT_ISO
  elseif ends > #s then
    return nil, NO_OFFSET
  end
  local offset = read_offset(s, ends)
  if not offset then
    return nil, NOT_ISO
  end
  return (days * 86400 + seconds - offset) * SECOND + nanos // 1000,
    nanos % 1000
end

-- Epoch seconds, whole or not, as us, ns; or nil and what is wrong.
local function parse_epoch(seconds)
  local whole = tointeger(seconds)
  if seconds ~= seconds or seconds < FIRST_SECOND or seconds == math.huge then
    return nil, "is not a valid time in epoch seconds"
  elseif seconds > LAST_SECOND then
    return nil, "looks like milliseconds, expected seconds"
  end
  return whole and whole * SECOND or math.floor(seconds * 1e6 + 0.5), 0
end

-- A string or a number as us, ns; or nil and what is wrong with it.
local function parse(value)
  if type(value) == "string" then
    return parse_iso(value)
  end
  return parse_epoch(value)
end

local function is_later(a, b)
  return a.us > b.us or a.us == b.us and a.ns > b.ns
end

local function add(at, us)
  return { us = at.us + us, ns = at.ns }
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

-- Makes text from outside fit for one line of a message.
local function escape(text)
  if #text > 200 then
    text = text:sub(1, 200) .. "..."
  end
  local function code(c)
    return format("\\%d", c:byte(-1))
  end
  -- The second kind is a C1 control in UTF-8, which terminals obey too.
  return (text:gsub("[\0-\31\127]", code):gsub("\194[\128-\159]", code))
end

-- A value as a message shows it: strings quoted, numbers without ".0" or an
-- exponent where they are whole.
local function show(value)
  local kind = type(value)
  if kind == "string" then
    return '"' .. escape(value):gsub('"', '\\"') .. '"'
  elseif kind == "number" then
    return tostring(tointeger(value) or value)
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
  local found = {}
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
    local name = UNITS[unit]
    if unit == "" then
      return nil, format("no unit found after number %d", number)
    elseif not name then
      return nil, format("invalid unit %s found after number %d", show(unit),
        number)
    elseif found[name] then
      return nil, format("unit %s is given twice", show(unit))
    end
    found[name] = number
    rest = tail:sub(#unit + 1)
  until rest == ""
  return { years = found.years or 0, months = found.months or 0,
    days = (found.days or 0) + 7 * (found.weeks or 0),
    hours = found.hours or 0 }
end

-- A duration as restic prints it: largest unit first, zeros left out; "" when
-- it is zero.
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
-- hour cannot move it.
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
    seconds = wall - offset_at(wall - offset_at(wall))
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
  parse = parse,
  is_later = is_later,
  add = add,
  to_seconds = to_seconds,
  stamp = stamp,
  iso = iso,
  parse_duration = parse_duration,
  show_duration = show_duration,
  before = before,
  escape = escape,
  show = show,
}
