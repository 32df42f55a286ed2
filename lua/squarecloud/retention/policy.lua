-- What a retention policy may say: checks it, describes it in words, and
-- compiles it into rules for the walk. Owns the order and the wording of
-- the reasons. Names, meaning and wording are restic's (ExpirePolicy).

local time = require "squarecloud.retention.time"

local format = string.format
local tointeger = math.tointeger
local show = time.show

-- What a rule's bucket is made of; indexes into the walk's bucket numbers.
local EACH, HOUR, DAY, WEEK, MONTH, YEAR = 1, 2, 3, 4, 5, 6

-- Every rule that looks at times, in the order of its reasons.
local RULES = {
  { key = "keep_within", kind = "within", unit = EACH },
  { key = "keep_last", kind = "count", unit = EACH, name = "last" },
  { key = "keep_hourly", kind = "count", unit = HOUR, name = "hourly" },
  { key = "keep_daily", kind = "count", unit = DAY, name = "daily" },
  { key = "keep_weekly", kind = "count", unit = WEEK, name = "weekly" },
  { key = "keep_monthly", kind = "count", unit = MONTH, name = "monthly" },
  { key = "keep_yearly", kind = "count", unit = YEAR, name = "yearly" },
  { key = "keep_within_hourly", kind = "within", unit = HOUR,
    name = "hourly" },
  { key = "keep_within_daily", kind = "within", unit = DAY, name = "daily" },
  { key = "keep_within_weekly", kind = "within", unit = WEEK,
    name = "weekly" },
  { key = "keep_within_monthly", kind = "within", unit = MONTH,
    name = "monthly" },
  { key = "keep_within_yearly", kind = "within", unit = YEAR,
    name = "yearly" },
}

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
  local found, found_text
  for key in next, t do
    if not known[key] then
      local text = type(key) == "string" and "'" .. time.escape(key) .. "'"
        or show(key)
      if not found or text < found_text then
        found, found_text = true, text
      end
    end
  end
  return found_text
end

-- A count as an integer, -1 for unlimited; or nil and a message.
local function read_count(key, value)
  if value == "unlimited" then
    return -1
  end
  local count = type(value) == "number" and tointeger(value)
  if not count then
    return nil, format('%s must be a whole number or "unlimited", got %s',
      key, show(value))
  elseif count < -1 then
    return nil, format('%s must not be negative (-1 is "unlimited"), got %s',
      key, show(value))
  end
  return count
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

-- Adds the rule to the compiled ones unless it is off; nil and a message when
-- its value is bad. `left` is the counter, -1 when there is none.
local function compile_rule(into, rule, value)
  local reason, left, duration, why
  if rule.kind == "count" then
    left, why = read_count(rule.key, value)
    if not left then
      return nil, why
    elseif left == 0 then
      return true
    end
    reason = rule.name .. " snapshot"
  else
    duration, why = read_duration(rule.key, value)
    if not duration then
      return nil, why
    elseif time.is_zero(duration) then
      return true
    end
    left = -1
    reason = (rule.name and rule.name .. " " or "") .. "within "
      .. time.show_duration(duration)
  end
  into[#into + 1] = { key = rule.key, kind = rule.kind, name = rule.name,
    unit = rule.unit, left = left, duration = duration, reason = reason }
  return true
end

-- Checks a policy and makes it { rules, tags, keep }: `rules` in the order of
-- their reasons, without those that are off. nil and a message when it is
-- bad or empty.
local function compile(policy)
  local unknown = find_unknown(policy, IS_KNOWN)
  if unknown then
    return nil, format("unknown policy key %s (known: %s)", unknown,
      table.concat(KNOWN, ", "))
  end
  local rules = {}
  for _, rule in ipairs(RULES) do
    local value = policy[rule.key]
    if value ~= nil then
      local ok, why = compile_rule(rules, rule, value)
      if not ok then
        return nil, why
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
  return { rules = rules, tags = tags, keep = keep }
end

-- A compiled policy in restic's words; `from` is what durations count back
-- from, "the newest" unless told otherwise.
local function describe(compiled, from)
  local counts, windows, all_within = {}, {}, nil
  for _, rule in ipairs(compiled.rules) do
    if rule.kind == "count" then
      local name = rule.key == "keep_last" and "latest" or rule.name
      counts[#counts + 1] = rule.left == -1 and "all " .. name
        or format("%d %s", rule.left, name)
    elseif rule.unit == EACH then
      all_within = format("all snapshots within %s of %s",
        time.show_duration(rule.duration), from)
    else
      windows[#windows + 1] = format("%s snapshots within %s", rule.name,
        time.show_duration(rule.duration))
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

return {
  EACH = EACH,
  HOUR = HOUR,
  DAY = DAY,
  WEEK = WEEK,
  MONTH = MONTH,
  YEAR = YEAR,
  compile = compile,
  describe = describe,
  find_unknown = find_unknown,
}
