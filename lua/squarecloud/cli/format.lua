-- How the command shows sizes, times and tables, and how it reads a date.

local text = require "squarecloud.progress.text"
local time = require "squarecloud.retention.time"

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

--- A wait -> "90 s".
function format.seconds(seconds)
  return ("%d s"):format(math.ceil(seconds))
end

--- A plan's memory -> "2048 MB".
function format.memory(megabytes) return ("%d MB"):format(megabytes) end

--- Epoch seconds -> "2024-06-27T06:23:42Z", and as files' names have it.
format.iso, format.stamp = time.iso, time.stamp

--- A date as the command shows it, with or without a time of day: epoch
-- seconds, or nil when it is none.
function format.read_date(shown, utc)
  local date, rest = shown:match "^(%d%d%d%d%-%d%d%-%d%d)(.*)$"
  local clock = rest == "" and "00:00"
    or rest and rest:match "^[ T](%d%d:%d%d)$"
  local us = clock and time.parse_iso(date .. "T" .. clock .. "Z")
  if not us then return nil end
  local seconds = us // time.SECOND
  if utc then return seconds end
  local wall = os.date("!*t", seconds)
  wall.isdst = nil -- whichever is in force then
  return os.time(wall)
end

--- A word of a command line that is shown: as a shell reads it.
function format.word(word)
  if not word:find "[^%w%%+,./:=@_-]" then return word end
  return text.escape("'" .. word:gsub("'", "'\\''") .. "'")
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
