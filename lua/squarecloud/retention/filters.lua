-- Lists of snapshots: refuses bad elements by number and field, brings the
-- rest into order, and picks from them by time, by size, by id. Elements are
-- only indexed, so a SnapshotInfo, a mirror entry and a plain table all serve.
-- All that is picked keeps the input's order and gives the same objects.

local time = require "squarecloud.retention.time"
local policies = require "squarecloud.retention.policy"

local format = string.format
local is_later = time.is_later
local show = time.show

-------------------------------------------------------------- reading a list

-- The word and the number of element i. `what` is the word, "snapshot" when
-- absent, or a function(i) that gives both: for a list made of several.
local function label(i, what)
  if type(what) == "function" then
    return what(i)
  end
  return what or "snapshot", i
end

-- Whether fields can be read from it. A userdata without a metatable (a
-- decoder's null, for one) would raise.
local function is_element(value)
  local kind = type(value)
  return kind == "table"
    or kind == "userdata" and getmetatable(value) ~= nil
end

local function with_id(name, element)
  local id = element.id
  if type(id) == "string" or type(id) == "number" then
    return format("%s (id %s)", name, time.escape(tostring(id)))
  end
  return name
end

-- How a message names a snapshot that is in no list.
local function name_one(element)
  return with_id("snapshot", element)
end

local function complain(list, i, what, why)
  local name = with_id(format("%s #%d", label(i, what)), list[i])
  return nil, name .. ": " .. why
end

-- The number of elements; nil and a message when one is no snapshot or
-- missing. Fields that are no array index are left alone.
local function length(list, what)
  local count = #list
  for key in next, list do
    if type(key) == "number" and key > count and math.tointeger(key) then
      return nil, "list has holes"
    end
  end
  for i = 1, count do
    local element = list[i]
    if element == nil then
      return nil, "list has holes"
    elseif not is_element(element) then
      local word, index = label(i, what)
      return nil, format("%s #%d must be a snapshot or a table, got %s", word,
        index, show(element))
    end
  end
  return count
end

-- An element as an item: its time, with the `element` and its index `i`; or nil
-- and what is wrong with its created_at.
local function read_item(element, i)
  local value = element.created_at
  if value == nil then
    return nil, "created_at is missing"
  elseif type(value) ~= "string" and type(value) ~= "number" then
    return nil, "created_at must be an ISO-8601 time or epoch seconds, got "
      .. show(value)
  end
  local us, ns = time.parse(value)
  if not us then
    return nil, format("created_at %s %s", show(value), ns)
  end
  return { us = us, ns = ns, element = element, i = i }
end

-- An element's size in bytes; or nil and what is wrong with it.
local function read_size(element)
  local value = element.bytes
  local bytes = type(value) == "number" and math.tointeger(value)
  if value == nil then
    return nil, "bytes is missing"
  elseif not bytes or bytes < 0 then
    return nil, "bytes must be a whole number, 0 or more, got " .. show(value)
  end
  return bytes
end

-- What read(element, i) gives of each element, as an array; or nil and a
-- message.
local function read_each(list, read, what)
  local count, why = length(list, what)
  if not count then
    return nil, why
  end
  local values = {}
  for i = 1, count do
    values[i], why = read(list[i], i)
    if values[i] == nil then
      return complain(list, i, what, why)
    end
  end
  return values
end

-- The elements of which what `read` gives passes test(value); or nil and a
-- message.
local function pick(list, read, test)
  local values, why = read_each(list, read)
  if not values then
    return nil, why
  end
  local found = {}
  for i, value in ipairs(values) do
    if test(value) then
      found[#found + 1] = list[i]
    end
  end
  return found
end

-- The key of an element's group, by a field's name or a function; the same for
-- all by false; or nil and what is wrong with it. NaN is no key.
local function read_key(element, by)
  if not by then
    return true
  elseif type(by) == "function" then
    local key = by(element)
    if key == nil or key ~= key then
      return nil, "group_by gave " .. show(key)
    end
    return key
  end
  local key = element[by]
  if key == nil or key ~= key and by ~= "id" then
    return nil, time.escape(by) .. " is missing"
  elseif by == "id" and type(key) ~= "string"
    and (type(key) ~= "number" or key ~= key) then
    return nil, "id must be a string, got " .. show(key)
  end
  return key
end

local function read_items(list, what)
  return read_each(list, read_item, what)
end

local function read_keys(list, by, what)
  return read_each(list, function(element)
    return read_key(element, by)
  end, what)
end

----------------------------------------------------------- order and groups

-- Whether string a goes before b by bytes. Lua's own < follows the host's
-- locale.
local function bytes_before(a, b)
  local i = 1
  while a:byte(i) == b:byte(i) and i <= #a do
    i = i + 1
  end
  return (a:byte(i) or -1) < (b:byte(i) or -1)
end

-- Whether item a goes before b when their times are equal: by version_id, those
-- without one first, then as they came.
local function breaks_tie(a, b)
  local x, y = a.element.version_id, b.element.version_id
  if x == y or type(x) ~= "string" and type(y) ~= "string" then
    return a.i < b.i
  elseif type(x) ~= "string" or type(y) ~= "string" then
    return type(y) == "string"
  end
  return bytes_before(x, y)
end

-- The orders for table.sort, of items.
local function newest_first(a, b)
  if a.us ~= b.us then
    return a.us > b.us
  elseif a.ns ~= b.ns then
    return a.ns > b.ns
  end
  return breaks_tie(a, b)
end

local function oldest_first(a, b)
  if a.us ~= b.us then
    return a.us < b.us
  elseif a.ns ~= b.ns then
    return a.ns < b.ns
  end
  return breaks_tie(a, b)
end

local function elements_of(items)
  local elements = {}
  for i, item in ipairs(items) do
    elements[i] = item.element
  end
  return elements
end

-- Elements known to be good, soonest to expire first.
local function soonest_first(list)
  local items = read_items(list)
  table.sort(items, oldest_first)
  return elements_of(items)
end

-- Splits items into the groups that key_of(item) tells apart: arrays, in the
-- order of their first items.
local function split(items, key_of)
  local groups, by_key = {}, {}
  for _, item in ipairs(items) do
    local key = key_of(item)
    local group = by_key[key]
    if not group then
      group = {}
      by_key[key], groups[#groups + 1] = group, group
    end
    group[#group + 1] = item
  end
  return groups
end

-- A list's groups and, parallel to them, their keys; or nil and a message.
local function read_groups(list, by)
  local items, why = read_items(list)
  if not items then
    return nil, why
  end
  local key_of
  key_of, why = read_keys(list, by)
  if not key_of then
    return nil, why
  end
  local groups, keys = split(items, function(item)
    return key_of[item.i]
  end), {}
  for g, group in ipairs(groups) do
    keys[g] = key_of[group[1].i]
  end
  return groups, keys
end

local function newest(items)
  local best = items[1]
  for _, item in ipairs(items) do
    if newest_first(item, best) then
      best = item
    end
  end
  return best
end

----------------------------------------------------------------- the filters

-- The elements whose time passes test(at, moment, …); or nil and a message.
local function pick_by_time(list, test, settings, ...)
  local moments = {}
  for i, value in ipairs { ... } do
    local moment, why = policies.read_moment(value, settings)
    if not moment then
      return nil, why
    end
    moments[i] = moment
  end
  return pick(list, read_item, function(at)
    return test(at, table.unpack(moments))
  end)
end

---The newest snapshot, by created_at, then version_id by bytes; one in the
---future too, since no clock is read.
---@param list squarecloud.retention.Element[]
---@param opts? squarecloud.retention.Options none has a meaning here
---@return squarecloud.retention.Element? newest nil for an empty list
---@return string? message for a bad element
local function latest(list, opts)
  policies.check_table(list, "list")
  policies.read_options(opts)
  local items, why = read_items(list)
  if not items then
    return nil, why
  end
  local best = newest(items)
  return best and best.element
end

---The newest snapshot of each id, be that an application's or a database's.
---@param list squarecloud.retention.Element[]
---@param opts? squarecloud.retention.Options none has a meaning here
---@return table<string, squarecloud.retention.Element>? by_id
---@return string[]|string ids in order of appearance; or a message
local function latest_by_id(list, opts)
  policies.check_table(list, "list")
  policies.read_options(opts)
  local groups, ids = read_groups(list, "id")
  if not groups then
    return nil, ids
  end
  local by_id = {}
  for g, group in ipairs(groups) do
    by_id[ids[g]] = newest(group).element
  end
  return by_id, ids
end

---Groups a list, keeping its order within each group.
---@param list squarecloud.retention.Element[]
---@param by? string|fun(snapshot: any): any a field's name, default "id"
---@param opts? squarecloud.retention.Options none has a meaning here
---@return table<any, squarecloud.retention.Element[]>? groups
---@return any[]|string keys in order of appearance; or a message when an
---element gives no key
local function group_by(list, by, opts)
  policies.check_table(list, "list")
  by = by == nil and "id" or by
  if type(by) ~= "string" and type(by) ~= "function" then
    error("by must be a field's name or a function, got " .. show(by), 2)
  end
  policies.read_options(opts)
  local groups, keys = read_groups(list, by)
  if not groups then
    return nil, keys
  end
  local found = {}
  for g, group in ipairs(groups) do
    found[keys[g]] = elements_of(group)
  end
  return found, keys
end

---The snapshots made later than a time (not at it).
---@param list squarecloud.retention.Element[]
---@param when number|string a time, or a duration back from now: "7d"
---@param opts? squarecloud.retention.Options `now`, `utc_offset`
---@return squarecloud.retention.Element[]? found in input order
---@return string? message for a bad element, time or duration
local function newer_than(list, when, opts)
  policies.check_table(list, "list")
  policies.check_moment(when, "when")
  return pick_by_time(list, is_later, policies.read_options(opts, true), when)
end

---The snapshots made earlier than a time (not at it).
---@param list squarecloud.retention.Element[]
---@param when number|string a time, or a duration back from now: "7d"
---@param opts? squarecloud.retention.Options `now`, `utc_offset`
---@return squarecloud.retention.Element[]? found in input order
---@return string? message for a bad element, time or duration
local function older_than(list, when, opts)
  policies.check_table(list, "list")
  policies.check_moment(when, "when")
  return pick_by_time(list, function(at, moment)
    return is_later(moment, at)
  end, policies.read_options(opts, true), when)
end

---The snapshots made from a time on and before another: from <= t < to.
---@param list squarecloud.retention.Element[]
---@param from number|string a time, or a duration back from now
---@param to number|string a time, or a duration back from now
---@param opts? squarecloud.retention.Options `now`, `utc_offset`
---@return squarecloud.retention.Element[]? found in input order
---@return string? message for a bad element, time or duration
local function between(list, from, to, opts)
  policies.check_table(list, "list")
  policies.check_moment(from, "from")
  policies.check_moment(to, "to")
  return pick_by_time(list, function(at, first, last)
    return not is_later(first, at) and is_later(last, at)
  end, policies.read_options(opts, true), from, to)
end

---The snapshots larger than a size (not of it).
---@param list squarecloud.retention.Element[] elements need `bytes`
---@param bytes number
---@param opts? squarecloud.retention.Options none has a meaning here
---@return squarecloud.retention.Element[]? found in input order
---@return string? message for a bad element
local function larger_than(list, bytes, opts)
  policies.check_table(list, "list")
  policies.check_amount(bytes, "bytes")
  policies.read_options(opts)
  return pick(list, read_size, function(size)
    return size > bytes
  end)
end

---The snapshots smaller than a size (not of it).
---@param list squarecloud.retention.Element[] elements need `bytes`
---@param bytes number
---@param opts? squarecloud.retention.Options none has a meaning here
---@return squarecloud.retention.Element[]? found in input order
---@return string? message for a bad element
local function smaller_than(list, bytes, opts)
  policies.check_table(list, "list")
  policies.check_amount(bytes, "bytes")
  policies.read_options(opts)
  return pick(list, read_size, function(size)
    return size < bytes
  end)
end

---The size of all snapshots together.
---@param list squarecloud.retention.Element[] elements need `bytes`
---@param opts? squarecloud.retention.Options none has a meaning here
---@return integer? bytes 0 for an empty list
---@return string? message for a bad element
local function total_size(list, opts)
  policies.check_table(list, "list")
  policies.read_options(opts)
  local sizes, why = read_each(list, read_size)
  if not sizes then
    return nil, why
  end
  local sum = 0
  for _, size in ipairs(sizes) do
    sum = sum + size
  end
  return sum
end

return {
  complain = complain,
  label = label,
  is_element = is_element,
  name_one = name_one,
  read_item = read_item,
  read_each = read_each,
  pick = pick,
  read_items = read_items,
  read_keys = read_keys,
  newest_first = newest_first,
  soonest_first = soonest_first,
  split = split,
  latest = latest,
  latest_by_id = latest_by_id,
  group_by = group_by,
  newer_than = newer_than,
  older_than = older_than,
  between = between,
  larger_than = larger_than,
  smaller_than = smaller_than,
  total_size = total_size,
}
