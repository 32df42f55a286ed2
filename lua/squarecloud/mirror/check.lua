-- The mirror's arguments and options: refuses unknown ones first, then wrong
-- types, in messages that name the function and the option. What it raises
-- blames whoever called the mirror.

local retention = require "squarecloud.retention"
local failure = require "squarecloud.mirror.failure"

local format = string.format

local check = {}

-- `level` counts from here up to whoever called the mirror's method.
local function wrong(level, fmt, ...)
  error(format(fmt, ...), level)
end

-- What is expected of an option of each plain type.
local TYPES = {
  string = "a string",
  number = "a number",
  boolean = "true or false",
  ["function"] = "a function",
  table = "a table",
}

local function is_list_of_ids(value)
  if type(value) ~= "table" then
    return false
  end
  local count = 0
  for key, id in pairs(value) do
    if math.type(key) ~= "integer" or type(id) ~= "string" then
      return false
    end
    count = count + 1
  end
  return count == #value
end

local function is_whole(value, most)
  local whole = math.type(value) and math.tointeger(value)
  return whole ~= nil and whole >= 1 and whole <= most,
    "a whole number from 1 to " .. most
end

-- The other kinds: whether a value is one, and what is expected.
local READERS = {
  ids = function(value)
    return is_list_of_ids(value), "a list of ids"
  end,
  -- An object of squarecloud.progress, or a function.
  progress = function(value)
    local kind = type(value)
    return kind == "function"
      or kind == "table" and type(value.add) == "function",
      "a function or an object of squarecloud.progress"
  end,
  application_type = function(value)
    return value == "app" or value == "database", '"app" or "database"'
  end,
  count = function(value)
    return is_whole(value, 1000)
  end,
  segments = function(value)
    return is_whole(value, 16)
  end,
  time = function(value)
    return type(value) == "string" or type(value) == "number", "a time"
  end,
  id = function(value)
    return type(value) == "string" and value ~= "", "an id"
  end,
  any = function()
    return true
  end,
}

local function names_of(known)
  local names = {}
  for name in pairs(known) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, ", ")
end

-- Raises, blaming the caller of the mirror's method that calls this.
function check.fail(method, fmt, ...)
  wrong(4, "%s: %s", method, format(fmt, ...))
end

-- The options of `method` as a table of its own. `known` maps each name to a
-- type or reader; a lone argument that is no table stands for `main`.
function check.options(method, value, known, main)
  if value == nil then
    return {}
  elseif type(value) ~= "table" and main then
    value = { [main] = value }
  elseif type(value) ~= "table" then
    wrong(4, "%s: expected a table of options, got %s", method, type(value))
  end
  local copy, unknown = {}, nil
  for name in pairs(value) do
    local shown = tostring(name)
    if not known[name] and (not unknown or shown < unknown) then
      unknown = shown
    end
  end
  if unknown then
    wrong(4, "%s: unknown option '%s' (known: %s)", method,
      failure.show(unknown), names_of(known))
  end
  for name, kind in pairs(known) do
    local one = value[name]
    if one ~= nil then
      local ok, wanted = type(one) == kind, TYPES[kind]
      if READERS[kind] then
        ok, wanted = READERS[kind](one)
      end
      if not ok then
        wrong(4, "%s: option '%s' must be %s, got %s", method, name, wanted,
          type(one) == "string" and format("'%s'", failure.show(one))
          or type(one))
      end
      copy[name] = one
    end
  end
  return copy
end

-- The options that the retention functions take.
check.RETENTION = { now = "any", utc_offset = "any", group_by = "any",
  relative_to = "any", future = "any", on_empty = "any",
  keep_oldest = "any" }

-- Those and others, as one table of known options.
function check.with_retention(known)
  for name, kind in pairs(check.RETENTION) do
    known[name] = kind
  end
  return known
end

-- Those of them that were given, as the retention functions take them; raises
-- what those would.
function check.settings(method, options)
  local picked = {}
  for name in pairs(check.RETENTION) do
    picked[name] = options[name]
  end
  local ok, why = pcall(retention.latest, {}, picked)
  if not ok then
    wrong(4, "%s: %s", method, tostring(why):gsub("^[^\n]-:%d+: ", ""))
  end
  return picked
end

-- A time in epoch seconds, or nil when none was given.
function check.moment(method, name, value)
  if value == nil then
    return nil
  end
  local seconds, why = retention.parse_time(value)
  if not seconds then
    wrong(4, "%s: option '%s': %s", method, name, why)
  end
  return seconds
end

return check
