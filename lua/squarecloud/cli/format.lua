-- How the command shows sizes, times and tables, and how it reads a date.

local text = require "squarecloud.progress.text"

local format = {}

local DAY = 86400

--- 12900705 -> "12.3 MiB".
format.size = text.format_bytes

--- Epoch seconds -> "2024-06-27 06:23", in the local zone or in UTC.
function format.time(seconds, utc)
  return os.date((utc and "!" or "") .. "%Y-%m-%d %H:%M", seconds // 1 | 0)
end

--- A span -> "29 d", "5 h", "3 min"; "past" when there is none left.
function format.span(seconds)
  if seconds <= 0 then return "past" end
  if seconds >= DAY then return ("%d d"):format(seconds // DAY) end
  if seconds >= 3600 then return ("%d h"):format(seconds // 3600) end
  return ("%d min"):format(math.max(1, seconds // 60))
end

-- Days from 1970-01-01 to a date.
local function days_from_civil(year, month, day)
  if month <= 2 then year = year - 1 end
  local era = year // 400
  local of_era = year - era * 400
  local of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
  return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year
    - 719468
end

--- A date as the command shows it, with or without a time of day: epoch
-- seconds, or nil when it is none.
function format.read_date(shown, utc)
  local date, rest = shown:match "^(%d%d%d%d%-%d%d%-%d%d)(.*)$"
  if not date then return nil end
  local hour, minute = 0, 0
  if rest ~= "" then
    hour, minute = rest:match "^[ T](%d%d):(%d%d)$"
    hour, minute = tonumber(hour), tonumber(minute)
  end
  if not hour or hour > 23 or minute > 59 then return nil end
  local year, month, day = date:match "(%d+)-(%d+)-(%d+)"
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  local days = days_from_civil(year, month, day)
  if os.date("!%Y-%m-%d", days * DAY) ~= date then return nil end
  if utc then return days * DAY + hour * 3600 + minute * 60 end
  return os.time { year = year, month = month, day = day, hour = hour,
    min = minute, sec = 0 }
end

--- Lines of aligned columns. `right` says which columns are numbers.
-- @param rows arrays of text, the first one the heading
function format.columns(rows, right)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      widths[i] = math.max(widths[i] or 0, text.width(cell))
    end
  end
  for n, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      local gap = (" "):rep(widths[i] - text.width(cell))
      cells[i] = right and right[i] and gap .. cell or cell .. gap
    end
    lines[n] = table.concat(cells, "  "):gsub("%s+$", "")
  end
  return lines
end

return format
