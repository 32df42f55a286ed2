-- What a caller may ask for. Policies: checked, compiled into rules, described
-- in words; names, meaning and wording are restic's (ExpirePolicy). Arguments
-- and options: wrong use raises, and the clock is read where `now` is wanted
-- and not given.

local time = require "squarecloud.retention.time"

local format = string.format
local tointeger = math.tointeger
local show = time.show

-------------------------------------------------------------------- policies

-- What a rule tells snapshots apart by: buckets, numbers that are equal within
-- one hour, day, ISO week (Monday starts it), month or year of the wall clock,
-- which is given in seconds. Without a clock each snapshot is a bucket.
local function each(_, position)
  return position
end

local function hour(wall)
  return wall // 3600
end

local function day(wall)
  return wall // 86400
end

local function week(wall)
  return (wall // 86400 + 3) // 7
end

local function month(wall)
  local y, m = time.civil_from_days(wall // 86400)
  return y * 12 + m
end

local function year(wall)
  return (time.civil_from_days(wall // 86400))
end

-- Every rule that looks at times, in the order of its reasons.
local RULES = {
  { key = "keep_within", bucket = each, is_within = true },
  { key = "keep_last", bucket = each, name = "last" },
  { key = "keep_hourly", bucket = hour, name = "hourly" },
  { key = "keep_daily", bucket = day, name = "daily" },
  { key = "keep_weekly", bucket = week, name = "weekly" },
  { key = "keep_monthly", bucket = month, name = "monthly" },
  { key = "keep_yearly", bucket = year, name = "yearly" },
}
for i = 3, 7 do
  local rule = RULES[i]
  RULES[#RULES + 1] = { key = "keep_within_" .. rule.name, name = rule.name,
    bucket = rule.bucket, is_within = true }
end

local KNOWN = { "keep", "keep_tags" }
for _, rule in ipairs(RULES) do
  KNOWN[#KNOWN + 1] = rule.key
end
table.sort(KNOWN)

local IS_KNOWN = {}
for _, key in ipairs(KNOWN) do
  IS_KNOWN[key] = true
end

local EMPTY = "no policy was specified, no snapshots will be removed"

-- The unknown key that sorts first, so that the message is always the same.
local function find_unknown(t, known)
  local found
  for key in next, t do
    if not known[key] then
      local text = type(key) == "string" and "'" .. time.escape(key) .. "'"
        or show(key)
      if not found or text < found then
        found = text
      end
    end
  end
  return found
end

-- A count, math.huge for unlimited; or nil and a message.
local function read_count(key, value)
  if value == "unlimited" then
    return math.huge
  end
  local count = type(value) == "number" and tointeger(value)
  if not count then
    return nil, format('%s must be a whole number or "unlimited", got %s',
      key, show(value))
  elseif count < -1 then
    return nil, format('%s must not be negative (-1 is "unlimited"), got %s',
      key, show(value))
  end
  return count == -1 and math.huge or count
end

local function read_duration(key, value)
  if type(value) ~= "string" then
    return nil, format('%s must be a duration such as "7d", got %s', key,
      show(value))
  end
  local duration, why = time.parse_duration(value)
  if not duration then
    return nil, format("%s %s: %s", key, show(value), why)
  end
  return duration
end

-- The length of an array without holes and other keys, or nil.
local function array_length(t)
  local count = 0
  for key in next, t do
    if not tointeger(key) or type(key) ~= "number" then
      return nil
    end
    count = count + 1
  end
  for i = 1, count do
    if t[i] == nil then
      return nil
    end
  end
  return count
end

-- keep_tags as an array of { reason = text, names... }; or nil and a message.
local function read_tags(value)
  local lists = {}
  local count = type(value) == "table" and array_length(value)
  if not count then
    return nil, format("keep_tags must be a list of lists of tags such as "
      .. '{ { "a", "b" }, { "c" } }, got %s', show(value))
  end
  for i = 1, count do
    local tags = value[i]
    local length = type(tags) == "table" and array_length(tags)
    if not length then
      return nil, format("keep_tags #%d must be a list of tags, got %s", i,
        show(tags))
    elseif length == 0 then
      return nil, format('keep_tags #%d names no tag ({ "" } is untagged)', i)
    end
    local copy = {}
    for k = 1, length do
      if type(tags[k]) ~= "string" then
        return nil, format("keep_tags #%d: a tag must be a string, got %s", i,
          show(tags[k]))
      end
      copy[k] = tags[k]
    end
    copy.reason = "has tags [" .. table.concat(copy, ", ") .. "]"
    lists[i] = copy
  end
  return lists
end

-- A rule with the policy's value for it: { key, name, bucket, left, within,
-- reason }, where `left` is how many it may keep, `within` a duration or nil.
-- False when it is off, nil and a message when the value is bad.
local function compile_rule(rule, value)
  local compiled = { key = rule.key, name = rule.name, bucket = rule.bucket,
    left = math.huge }
  local why
  if rule.is_within then
    compiled.within, why = read_duration(rule.key, value)
    if not compiled.within then
      return nil, why
    end
    local length = time.show_duration(compiled.within)
    compiled.reason = (rule.name and rule.name .. " " or "") .. "within "
      .. length
    return length ~= "" and compiled
  end
  compiled.left, why = read_count(rule.key, value)
  if not compiled.left then
    return nil, why
  end
  compiled.reason = rule.name .. " snapshot"
  return compiled.left > 0 and compiled
end

-- Checks a policy and makes it { rules, tags, keep, needs_wall }: `rules` in
-- the order of their reasons, without those that are off; `needs_wall` when one
-- of them looks at the wall clock. nil and a message when it is bad or empty.
local function compile(policy)
  local unknown = find_unknown(policy, IS_KNOWN)
  if unknown then
    return nil, format("unknown policy key %s (known: %s)", unknown,
      table.concat(KNOWN, ", "))
  end
  local rules, needs_wall = {}, false
  for _, rule in ipairs(RULES) do
    local value = policy[rule.key]
    if value ~= nil then
      local compiled, why = compile_rule(rule, value)
      if compiled == nil then
        return nil, why
      elseif compiled then
        rules[#rules + 1] = compiled
        needs_wall = needs_wall or rule.bucket ~= each
      end
    end
  end
  local tags = {}
  if policy.keep_tags ~= nil then
    local why
    tags, why = read_tags(policy.keep_tags)
    if not tags then
      return nil, why
    end
  end
  local keep = policy.keep
  if keep ~= nil and type(keep) ~= "function" then
    return nil, format("keep must be a function, got %s", show(keep))
  end
  if #rules == 0 and #tags == 0 and not keep then
    return nil, EMPTY
  end
  return { rules = rules, tags = tags, keep = keep, needs_wall = needs_wall }
end

-- A compiled policy in restic's words; `from` is what durations count back
-- from, "the newest" unless told otherwise.
local function describe(compiled, from)
  local counts, windows, all_within = {}, {}, nil
  for _, rule in ipairs(compiled.rules) do
    local length = rule.within and time.show_duration(rule.within)
    if not length then
      local name = rule.key == "keep_last" and "latest" or rule.name
      counts[#counts + 1] = rule.left == math.huge and "all " .. name
        or format("%d %s", rule.left, name)
    elseif not rule.name then
      all_within = format("all snapshots within %s of %s", length, from)
    else
      windows[#windows + 1] = format("%s snapshots within %s", rule.name,
        length)
    end
  end
  if #counts > 0 then
    table.insert(windows, 1, table.concat(counts, ", ") .. " snapshots")
  end
  local parts = {}
  if #windows > 0 then
    parts[1] = table.concat(windows, ", ")
  end
  if #compiled.tags > 0 then
    local lists = {}
    for i, tags in ipairs(compiled.tags) do
      lists[i] = "[" .. table.concat(tags, ", ") .. "]"
    end
    parts[#parts + 1] = format("all snapshots with tags [%s]",
      table.concat(lists, " "))
  end
  if all_within then
    parts[#parts + 1] = all_within
  end
  if compiled.keep then
    parts[#parts + 1] = "all snapshots the keep function picks"
  end
  return "keep " .. time.escape(table.concat(parts, " and "))
end

------------------------------------------------------- arguments and options

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

-- A time; or nil and what is wrong with it.
local function read_instant(value)
  local us, ns = time.parse(value)
  if not us then
    return nil, show(value) .. " " .. ns
  end
  return { us = us, ns = ns }
end

local function read_time_option(name, value)
  if type(value) ~= "string" and type(value) ~= "number" then
    return nil, format("%s must be a time, got %s", name, show(value))
  end
  local at, why = read_instant(value)
  if not at then
    return nil, format("%s: %s", name, why)
  end
  return at
end

local function read_offset(value)
  local offset = type(value) == "number" and tointeger(value)
  if not offset or offset <= -86400 or offset >= 86400 then
    return nil, "must be whole seconds, less than a day, got " .. show(value)
  end
  return offset
end

local function one_of(known, wording)
  return function(value)
    if not known[value] then
      return nil, wording .. ", got " .. show(value)
    end
    return value
  end
end

-- One reader per option: what it comes to, or nil and a message.
local READERS = {
  future = one_of({ keep = true, count = true },
    'future must be "keep" or "count"'),
  on_empty = one_of({ error = true, keep_newest = true, allow = true },
    'on_empty must be "error", "keep_newest" or "allow"'),

  keep_oldest = function(value)
    if type(value) ~= "boolean" then
      return nil, "keep_oldest must be true or false, got " .. show(value)
    end
    return value
  end,

  group_by = function(value)
    if value ~= false and type(value) ~= "string"
      and type(value) ~= "function" then
      return nil, "group_by must be a field's name, a function or false, got "
        .. show(value)
    end
    return value
  end,

  now = function(value)
    return read_time_option("now", value)
  end,

  relative_to = function(value)
    if value == "latest" or value == "now" then
      return value
    end
    return read_time_option("relative_to", value)
  end,

  utc_offset = function(value)
    if type(value) == "function" then
      return function(seconds)
        local offset, why = read_offset(value(seconds))
        if not offset then
          error("what utc_offset gives " .. why, 0)
        end
        return offset
      end
    end
    local offset, why = read_offset(value)
    if not offset then
      return nil, "utc_offset " .. why .. " (or a function)"
    end
    return function()
      return offset
    end
  end,
}

-- Reads the options table, which may be absent: each option by its name, times
-- as times, `utc_offset` as a function, `relative_to` as a time or "latest".
-- `reads_clock` says whether `now` is wanted; without it no clock is touched.
local function read_options(opts, reads_clock)
  local settings = { utc_offset = READERS.utc_offset(0), group_by = "id",
    relative_to = "latest", future = "keep", on_empty = "error",
    keep_oldest = true }
  if opts ~= nil and type(opts) ~= "table" then
    wrong("options must be a table, got %s", show(opts))
  end
  opts = opts or {}
  local unknown = find_unknown(opts, IS_OPTION)
  if unknown then
    wrong("unknown option %s (known: %s)", unknown, table.concat(OPTIONS, ", "))
  end
  for _, name in ipairs(OPTIONS) do
    if opts[name] ~= nil then
      local value, why = READERS[name](opts[name])
      if value == nil then
        wrong("%s", why)
      end
      settings[name] = value
    end
  end
  if reads_clock and not settings.now then
    if not os or not os.time then
      wrong("now must be given: this Lua state has no os.time")
    end
    settings.now = { us = os.time() * time.SECOND, ns = 0 }
  end
  if settings.relative_to == "now" then
    settings.relative_to = settings.now
  end
  return settings
end

-- A time, or a duration back from now, as a time; or nil and a message.
local function read_moment(value, settings)
  if type(value) == "number" or value:find("^%d%d%d%d%-") then
    return read_instant(value)
  elseif not value:find("^%s*%d") then
    return nil, show(value) .. " is neither an ISO-8601 time nor a duration"
  end
  local duration, why = time.parse_duration(value)
  if not duration then
    return nil, format("duration %s: %s", show(value), why)
  end
  local now = settings.now
  return { us = time.before(now.us, duration, settings.utc_offset),
    ns = now.ns }
end

return {
  compile = compile,
  describe = describe,
  check_table = check_table,
  check_amount = check_amount,
  check_finite = check_finite,
  check_moment = check_moment,
  read_options = read_options,
  read_instant = read_instant,
  read_moment = read_moment,
}
