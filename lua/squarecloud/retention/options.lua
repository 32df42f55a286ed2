-- The arguments and options of the retention functions: checks them, raises
-- on wrong use, reads the clock where it is wanted and `now` is not given.

local time = require "squarecloud.retention.time"
local policies = require "squarecloud.retention.policy"

local format = string.format
local tointeger = math.tointeger
local show = time.show

local OPTIONS = { "future", "group_by", "keep_oldest", "now", "on_empty",
  "relative_to", "utc_offset" }
local IS_OPTION = {}
for _, name in ipairs(OPTIONS) do
  IS_OPTION[name] = true
end

-- Raises, blaming the caller of the public function that called the checking
-- function that calls this.
local function wrong(fmt, ...)
  error(format(fmt, ...), 4)
end

local function check_table(value, name)
  if type(value) ~= "table" then
    wrong("%s must be a table, got %s", name, show(value))
  end
end

-- Numbers that count something: not negative, not NaN.
local function check_amount(value, name)
  if type(value) ~= "number" or value ~= value or value < 0 then
    wrong("%s must be a number, 0 or more, got %s", name, show(value))
  end
end

local function check_finite(value, name)
  if type(value) ~= "number" or not (value >= 0 and value < math.huge) then
    wrong("%s must be a finite number, 0 or more, got %s", name, show(value))
  end
end

local function check_moment(value, name)
  if type(value) ~= "string" and type(value) ~= "number" then
    wrong("%s must be a time or a duration, got %s", name, show(value))
  end
end

-- A time as us, ns; or nil and what is wrong with it.
local function read_instant(value)
  local us, ns
  if type(value) == "number" then
    us, ns = time.parse_epoch(value)
  else
    us, ns = time.parse_iso(value)
  end
  if not us then
    return nil, show(value) .. " " .. ns
  end
  return us, ns
end

local function read_time_option(name, value)
  if type(value) ~= "string" and type(value) ~= "number" then
    return nil, format("%s must be a time, got %s", name, show(value))
  end
  local us, ns = read_instant(value)
  if not us then
    return nil, format("%s: %s", name, ns)
  end
  return us, ns
end

local function read_offset(value)
  local offset = type(value) == "number" and tointeger(value)
  if not offset or offset <= -86400 or offset >= 86400 then
    return nil, "must be whole seconds, less than a day, got " .. show(value)
  end
  return offset
end

-- One reader per option: fills `to`, or gives nil and a message.
local READERS = {
  now = function(to, value)
    to.now_us, to.now_ns = read_time_option("now", value)
    return to.now_us, to.now_ns
  end,

  utc_offset = function(to, value)
    if type(value) == "function" then
      to.offset = nil
      to.offset_at = function(seconds)
        local offset, why = read_offset(value(seconds))
        if not offset then
          error("what utc_offset gives " .. why, 0)
        end
        return offset
      end
      return true
    end
    local offset, why = read_offset(value)
    if not offset then
      return nil, "utc_offset " .. why .. " (or a function)"
    end
    to.offset = offset
    to.offset_at = function()
      return offset
    end
    return true
  end,

  group_by = function(to, value)
    to.group_by = value
    return value == false or type(value) == "string"
      or type(value) == "function",
      "group_by must be a field's name, a function or false, got "
      .. show(value)
  end,

  relative_to = function(to, value)
    if value == "latest" or value == "now" then
      to.relative_to_now = value == "now"
      return true
    end
    to.relative_us, to.relative_ns = read_time_option("relative_to", value)
    return to.relative_us, to.relative_ns
  end,

  future = function(to, value)
    to.count_future = value == "count"
    return value == "keep" or value == "count",
      'future must be "keep" or "count", got ' .. show(value)
  end,

  on_empty = function(to, value)
    to.on_empty = value
    return value == "error" or value == "keep_newest" or value == "allow",
      'on_empty must be "error", "keep_newest" or "allow", got '
      .. show(value)
  end,

  keep_oldest = function(to, value)
    to.keep_oldest = value
    return type(value) == "boolean",
      "keep_oldest must be true or false, got " .. show(value)
  end,
}

-- Reads the options table, which may be absent, as walk.apply takes them.
-- `reads_clock` says whether `now` is wanted; without it no clock is touched.
local function read_options(opts, reads_clock)
  local to = { offset = 0, group_by = "id", on_empty = "error",
    keep_oldest = true, count_future = false }
  function to.offset_at()
    return 0
  end
  if opts ~= nil then
    if type(opts) ~= "table" then
      wrong("options must be a table, got %s", show(opts))
    end
    local unknown = policies.find_unknown(opts, IS_OPTION)
    if unknown then
      wrong("unknown option %s (known: %s)", unknown,
        table.concat(OPTIONS, ", "))
    end
    for _, name in ipairs(OPTIONS) do
      if opts[name] ~= nil then
        local ok, why = READERS[name](to, opts[name])
        if not ok then
          wrong("%s", why)
        end
      end
    end
  end
  if reads_clock and not to.now_us then
    if not os or not os.time then
      wrong("now must be given: this Lua state has no os.time")
    end
    to.now_us, to.now_ns = os.time() * time.SECOND, 0
  end
  if to.relative_to_now then
    to.relative_us, to.relative_ns = to.now_us, to.now_ns
  end
  return to
end

-- A time, or a duration back from now, as us, ns; or nil and a message.
local function read_moment(value, options)
  if type(value) == "number" or value:find("^%d%d%d%d%-") then
    return read_instant(value)
  elseif not value:find("^%s*%d") then
    return nil, show(value) .. " is neither an ISO-8601 time nor a duration"
  end
  local duration, why = time.parse_duration(value)
  if not duration then
    return nil, format("duration %s: %s", show(value), why)
  end
  return time.before(options.now_us, duration, options.offset_at),
    options.now_ns
end

return {
  check_table = check_table,
  check_amount = check_amount,
  check_finite = check_finite,
  check_moment = check_moment,
  read = read_options,
  read_instant = read_instant,
  read_moment = read_moment,
}
