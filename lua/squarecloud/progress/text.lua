-- What a line of progress says, as pure functions: sizes, durations, text made
-- fit for a terminal and for a width, a line with its bar. Width counts
-- columns: combining characters take none, East Asian wide ones and emoji two.

local text = {}

local UNITS = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" }

local BAR_LEAST, BAR_MOST = 12, 42
local LABEL_LEAST = 16

--------------------------------------------------------------------- figures

local function is_amount(value)
  return type(value) == "number" and value >= 0 and value < math.huge
end

-- A size as a number's text and a unit; `unit` (an index) forces one.
local function scale(bytes, unit)
  local index = unit or 1
  if not unit then
    -- what would be rounded up to 1024.0 belongs to the next unit
    while index < #UNITS and bytes >= (index == 1 and 1024 or 1023.95)
      * 1024 ^ (index - 1) do
      index = index + 1
    end
  end
  if index == 1 then
    return ("%d"):format(math.floor(bytes)), index
  end
  return ("%.1f"):format(bytes / 1024 ^ (index - 1)), index
end

---A size for people: "0 B", "1.0 KiB", "45.6 MiB".
---@param bytes? number
---@return string text "?" if it is not a size
function text.format_bytes(bytes)
  if not is_amount(bytes) then
    return "?"
  end
  local number, unit = scale(bytes)
  return number .. " " .. UNITS[unit]
end

-- How much of how much: "12.3/45.6 MiB".
local function format_part(done, total)
  local number, unit = scale(total)
  return (scale(done, unit)) .. "/" .. number .. " " .. UNITS[unit]
end

local function format_rate(bytes_per_second)
  return text.format_bytes(bytes_per_second) .. "/s"
end

---A duration for people: "0:07", "12:34", "1:02:03", "3d 04h".
---@param seconds? number
---@return string text "-:--" if it is not one, or longer than 999 days
function text.format_duration(seconds)
  if not is_amount(seconds) or seconds >= 86400 * 1000 then
    return "-:--"
  end
  seconds = math.floor(seconds + 0.5)
  local minutes, hours = seconds // 60, seconds // 3600
  if hours >= 24 then
    return ("%dd %02dh"):format(hours // 24, hours % 24)
  elseif hours >= 1 then
    return ("%d:%02d:%02d"):format(hours, minutes % 60, seconds % 60)
  end
  return ("%d:%02d"):format(minutes, seconds % 60)
end

------------------------------------------------------------------------ text

-- First and last code points that take two columns.
local WIDE = { { 0x1100, 0x115f }, { 0x2e80, 0x303e }, { 0x3041, 0xa4cf },
  { 0xa960, 0xa97c }, { 0xac00, 0xd7a3 }, { 0xf900, 0xfaff },
  { 0xfe30, 0xfe6f }, { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 },
  { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff },
  { 0x1fa70, 0x1faff }, { 0x20000, 0x3fffd } }

-- Those that take none.
local NARROW = { { 0x300, 0x36f }, { 0x483, 0x489 }, { 0x591, 0x5bd },
  { 0x610, 0x61a }, { 0x64b, 0x65f }, { 0x200b, 0x200d }, { 0x20d0, 0x20ff },
  { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f }, { 0xe0100, 0xe01ef } }

-- Those that move a cursor, break a line or turn the direction of writing.
local CONTROL = { { 0, 0x1f }, { 0x7f, 0x9f }, { 0x61c, 0x61c },
  { 0x200e, 0x200f }, { 0x2028, 0x202e }, { 0x2066, 0x2069 },
  { 0xfeff, 0xfeff } }

local function is_in(code, ranges)
  for _, range in ipairs(ranges) do
    if code <= range[2] then
      return code >= range[1]
    end
  end
  return false
end

local function columns_of(code)
  if code < 0x300 then
    return 1
  elseif is_in(code, NARROW) then
    return 0
  end
  return is_in(code, WIDE) and 2 or 1
end

local function to_hex(bytes)
  return (bytes:gsub(".", function(c)
    return ("\\x%02x"):format(c:byte())
  end))
end

---Text that is safe to print on a terminal: control characters and bytes that
---are not UTF-8 become \xHH.
---@param value any
---@return string
function text.escape(value)
  local from, parts, at = tostring(value), {}, 1
  while at <= #from do
    local _, bad = utf8.len(from, at)
    local good = from:sub(at, (bad or #from + 1) - 1)
    parts[#parts + 1] = good:gsub(utf8.charpattern, function(c)
      return is_in(utf8.codepoint(c), CONTROL) and to_hex(c) or nil
    end)
    if not bad then
      break
    end
    parts[#parts + 1] = to_hex(from:sub(bad, bad))
    at = bad + 1
  end
  return table.concat(parts)
end

---How many columns a text needs (valid UTF-8, without control characters).
---@param line string
---@return integer
function text.width(line)
  local width = 0
  for _, code in utf8.codes(line) do
    width = width + columns_of(code)
  end
  return width
end

---A text shortened to so many columns, with a `~` where it was cut.
---@param line string
---@param columns integer
---@return string
function text.cut(line, columns)
  if columns <= 0 then
    return ""
  end
  local width, fits = 0, 0
  for at, code in utf8.codes(line) do
    width = width + columns_of(code)
    if width > columns then
      return line:sub(1, fits) .. "~"
    elseif width < columns then
      fits = utf8.offset(line, 2, at) - 1
    end
  end
  return line
end

local function pad(line, columns)
  return line .. (" "):rep(columns - text.width(line))
end

----------------------------------------------------------------------- lines

-- What is done of what there is to do, 0 to 1; nil when that is not known.
local function ratio_of(state)
  local done, total = state.done or 0, state.total
  if not is_amount(total) then
    return nil
  end
  return total == 0 and 1 or math.min(done / total, 1)
end

-- Seconds left at the present rate, or nil.
local function left_of(state)
  local done, total, rate = state.done or 0, state.total, state.rate
  if not is_amount(total) or not is_amount(rate) or rate == 0 then
    return nil
  end
  return math.max(total - done, 0) / rate
end

local function draw_bar(ratio, columns, color)
  local room = columns - 2
  local filled = math.floor(ratio * room)
  local line = ("="):rep(filled)
  if filled < room then
    line = line .. ">"
  end
  line = color and "\27[32m" .. line .. "\27[0m" or line
  return "[" .. line .. (" "):rep(room - filled - 1) .. "]"
end

-- The figures, in columns that stand below each other from line to line.
local function figures_of(state, ratio)
  local done = state.done or 0
  local rate = is_amount(state.rate) and format_rate(state.rate) or ""
  return {
    percent = ratio and ("%3d%%"):format(math.floor(ratio * 100)) or "    ",
    size = ("%17s"):format(ratio and format_part(done, state.total)
      or text.format_bytes(done)),
    rate = ("%12s"):format(rate),
    left = ("%7s"):format(ratio and text.format_duration(left_of(state))
      or ""),
  }
end

-- What a line shows, from the most to the least.
local LAYOUTS = {
  { bar = true, "percent", "size", "rate", "left" },
  { "percent", "size", "rate", "left" },
  { "percent", "rate", "left" },
  { "percent", "left" },
  { "percent" },
  {},
}

-- The first layout that leaves room enough for the label, and that room.
local function choose(figures, label_width, ratio, width)
  for _, layout in ipairs(LAYOUTS) do
    local room = width
    for _, name in ipairs(layout) do
      room = room - 1 - #figures[name]
    end
    if layout.bar then
      room = room - 1 - BAR_LEAST
    end
    if room >= math.min(label_width, LABEL_LEAST)
      and (ratio or not layout.bar) or #layout == 0 then
      return layout, room
    end
  end
end

---Where one transfer is.
---@class squarecloud.progress.State
---@field label string escaped
---@field done? integer bytes
---@field total? integer bytes
---@field rate? number bytes a second
---@field text? string escaped; stands in for the figures

---@class squarecloud.progress.LineStyle
---@field label_width? integer of the longest label among lines that stand
---together
---@field color? boolean

---One transfer as a line.
---@param state squarecloud.progress.State
---@param width integer columns it may take
---@param options? squarecloud.progress.LineStyle
---@return string line without a line break
function text.render(state, width, options)
  options = options or {}
  local label = state.label
  if state.text then
    return text.cut(label .. "  " .. state.text, width)
  end
  local ratio = ratio_of(state)
  local figures = figures_of(state, ratio)
  local label_width = math.max(options.label_width or 0, text.width(label))
  local layout, room = choose(figures, label_width, ratio, width)
  local columns = math.min(label_width, room)
  if #layout == 0 then
    return text.cut(label, width)
  end
  local parts = { pad(text.cut(label, columns), columns) }
  if layout.bar then
    parts[2] = draw_bar(ratio,
      math.min(BAR_LEAST + room - columns, BAR_MOST), options.color)
  end
  for _, name in ipairs(layout) do
    parts[#parts + 1] = figures[name]
  end
  return (table.concat(parts, " "):gsub(" +$", ""))
end

---One transfer as a line of a log: "label: 45% of 45.6 MiB, 3.2 MiB/s, …".
---@param state squarecloud.progress.State
---@return string
function text.plain(state)
  if state.text then
    return state.label .. ": " .. state.text
  end
  local ratio, parts = ratio_of(state), {}
  parts[1] = ratio and ("%d%% of %s"):format(math.floor(ratio * 100),
    text.format_bytes(state.total)) or text.format_bytes(state.done or 0)
  if is_amount(state.rate) then
    parts[2] = format_rate(state.rate)
  end
  if left_of(state) then
    parts[#parts + 1] = text.format_duration(left_of(state)) .. " left"
  end
  return state.label .. ": " .. table.concat(parts, ", ")
end

---What a transfer amounted to: "45.6 MiB in 0:14, 3.2 MiB/s".
---@param done? integer
---@param seconds integer how long it took
---@return string
function text.summary(done, seconds)
  if not is_amount(done) then
    return "done"
  elseif seconds < 2 then
    return text.format_bytes(done)
  end
  return ("%s in %s, %s"):format(text.format_bytes(done),
    text.format_duration(seconds), format_rate(done / seconds))
end

return text
