-- Filters over lists of snapshots: by time, by size, by id. All keep the
-- input's order and give the same objects.

local time = require "squarecloud.retention.time"
local options = require "squarecloud.retention.options"
local lists = require "squarecloud.retention.list"

local show = time.show

-- -1, 0 or 1 as the first time is earlier, the same or later.
local function compare(us_1, ns_1, us_2, ns_2)
  if us_1 ~= us_2 then
    return us_1 < us_2 and -1 or 1
  end
  return ns_1 == ns_2 and 0 or ns_1 < ns_2 and -1 or 1
end

-- The elements whose time passes test(us, ns); or nil and a message.
local function filter(list, test)
  local us, ns = lists.times(list)
  if not us then
    return nil, ns
  end
  local found = {}
  for i = 1, #us do
    if test(us[i], ns and ns[i] or 0) then
      found[#found + 1] = list[i]
    end
  end
  return found
end

---The newest snapshot, by created_at, then version_id by bytes; one in the
---future too, since no clock is read.
---@param list squarecloud.retention.Element[]
---@param opts? squarecloud.retention.Options none has a meaning here
---@return squarecloud.retention.Element? newest nil for an empty list
---@return string? message for a bad element
local function latest(list, opts)
  options.check_table(list, "list")
  options.read(opts)
  local us, ns = lists.times(list)
  if not us then
    return nil, ns
  end
  local best = 1
  for i = 2, #us do
    if lists.is_newer(list, us, ns, i, best) then
      best = i
    end
  end
  return list[best]
end

---The newest snapshot of each id, be that an application's or a database's.
---@param list squarecloud.retention.Element[]
---@param opts? squarecloud.retention.Options none has a meaning here
---@return table<string, squarecloud.retention.Element>? by_id
---@return string[]|string ids in order of appearance; or a message
local function latest_by_id(list, opts)
  options.check_table(list, "list")
  options.read(opts)
  local us, ns = lists.times(list)
  if not us then
    return nil, ns
  end
  local ids, numbers = lists.groups(list, "id")
  if not ids then
    return nil, numbers
  end
  local best, by_id = {}, {}
  for i = 1, #us do
    local g = numbers and numbers[i] or 1
    if not best[g] or lists.is_newer(list, us, ns, i, best[g]) then
      best[g] = i
    end
  end
  for g, id in ipairs(ids) do
    by_id[id] = list[best[g]]
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
  options.check_table(list, "list")
  by = by == nil and "id" or by
  if type(by) ~= "string" and type(by) ~= "function" then
    error("by must be a field's name or a function, got " .. show(by), 2)
  end
  options.read(opts)
  local us, why = lists.times(list)
  if not us then
    return nil, why
  end
  local keys, numbers = lists.groups(list, by)
  if not keys then
    return nil, numbers
  end
  local found = {}
  for i = 1, #us do
    local key = keys[numbers and numbers[i] or 1]
    local group = found[key]
    if not group then
      group = {}
      found[key] = group
    end
    group[#group + 1] = list[i]
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
  options.check_table(list, "list")
  options.check_moment(when, "when")
  local us, ns = options.read_moment(when, options.read(opts, true))
  if not us then
    return nil, ns
  end
  return filter(list, function(t, below)
    return compare(t, below, us, ns) > 0
  end)
end

---The snapshots made earlier than a time (not at it).
---@param list squarecloud.retention.Element[]
---@param when number|string a time, or a duration back from now: "7d"
---@param opts? squarecloud.retention.Options `now`, `utc_offset`
---@return squarecloud.retention.Element[]? found in input order
---@return string? message for a bad element, time or duration
local function older_than(list, when, opts)
  options.check_table(list, "list")
  options.check_moment(when, "when")
  local us, ns = options.read_moment(when, options.read(opts, true))
  if not us then
    return nil, ns
  end
  return filter(list, function(t, below)
    return compare(t, below, us, ns) < 0
  end)
end

---The snapshots made from a time on and before another: from <= t < to.
---@param list squarecloud.retention.Element[]
---@param from number|string a time, or a duration back from now
---@param to number|string a time, or a duration back from now
---@param opts? squarecloud.retention.Options `now`, `utc_offset`
---@return squarecloud.retention.Element[]? found in input order
---@return string? message for a bad element, time or duration
local function between(list, from, to, opts)
  options.check_table(list, "list")
  options.check_moment(from, "from")
  options.check_moment(to, "to")
  local settings = options.read(opts, true)
  local from_us, from_ns = options.read_moment(from, settings)
  if not from_us then
    return nil, from_ns
  end
  local to_us, to_ns = options.read_moment(to, settings)
  if not to_us then
    return nil, to_ns
  end
  return filter(list, function(t, below)
    return compare(t, below, from_us, from_ns) >= 0
      and compare(t, below, to_us, to_ns) < 0
  end)
end

---The snapshots larger than a size (not of it).
---@param list squarecloud.retention.Element[] elements need `bytes`
---@param bytes number
---@param opts? squarecloud.retention.Options none has a meaning here
---@return squarecloud.retention.Element[]? found in input order
---@return string? message for a bad element
local function larger_than(list, bytes, opts)
  options.check_table(list, "list")
  options.check_amount(bytes, "bytes")
  options.read(opts)
  local sizes, why = lists.sizes(list)
  if not sizes then
    return nil, why
  end
  local found = {}
  for i = 1, #sizes do
    if sizes[i] > bytes then
      found[#found + 1] = list[i]
    end
  end
  return found
end

---The snapshots smaller than a size (not of it).
---@param list squarecloud.retention.Element[] elements need `bytes`
---@param bytes number
---@param opts? squarecloud.retention.Options none has a meaning here
---@return squarecloud.retention.Element[]? found in input order
---@return string? message for a bad element
local function smaller_than(list, bytes, opts)
  options.check_table(list, "list")
  options.check_amount(bytes, "bytes")
  options.read(opts)
  local sizes, why = lists.sizes(list)
  if not sizes then
    return nil, why
  end
  local found = {}
  for i = 1, #sizes do
    if sizes[i] < bytes then
      found[#found + 1] = list[i]
    end
  end
  return found
end

---The size of all snapshots together.
---@param list squarecloud.retention.Element[] elements need `bytes`
---@param opts? squarecloud.retention.Options none has a meaning here
---@return integer? bytes 0 for an empty list
---@return string? message for a bad element
local function total_size(list, opts)
  options.check_table(list, "list")
  options.read(opts)
  local sizes, why = lists.sizes(list)
  if not sizes then
    return nil, why
  end
  local sum = 0
  for i = 1, #sizes do
    sum = sum + sizes[i]
  end
  return sum
end

return {
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
