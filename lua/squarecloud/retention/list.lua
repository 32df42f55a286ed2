-- Reading lists of snapshots for the retention rules: refuses bad elements by
-- number and field, and brings the rest into order. Elements are only indexed,
-- so a SnapshotInfo, a mirror entry and a plain table all serve; what is read
-- goes into parallel arrays of integers, since a table for each of a million
-- snapshots would cost more than the snapshots themselves.

local time = require "squarecloud.retention.time"

local byte = string.byte
local format = string.format
local tointeger = math.tointeger
local show = time.show

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

local function complain(list, i, what, fmt, ...)
  local name = with_id(format("%s #%d", label(i, what)), list[i])
  return nil, name .. ": " .. format(fmt, ...)
end

-- The number of elements; nil and a message when one is no snapshot or
-- missing. Fields that are no array index are left alone.
local function length(list, what)
  local count = #list
  for key in next, list do
    if type(key) == "number" and key > count and tointeger(key) then
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

-- One created_at as us, ns; or nil and what is wrong with it.
local function read_time(value)
  local kind = type(value)
  local us, ns
  if kind == "string" then
    us, ns = time.parse_iso(value)
  elseif kind == "number" then
    us, ns = time.parse_epoch(value)
  elseif value == nil then
    return nil, "created_at is missing"
  else
    return nil, "created_at must be an ISO-8601 time or epoch seconds, got "
      .. show(value)
  end
  if not us then
    return nil, format("created_at %s %s", show(value), ns)
  end
  return us, ns
end

-- The times of a list: an array of us; an array of ns, or nil when all are 0.
-- On a bad element nil and a message.
local function times(list, what)
  local count, why = length(list, what)
  if not count then
    return nil, why
  end
  local parse_iso = time.parse_iso
  local us, ns = {}, nil
  for i = 1, count do
    local value = list[i].created_at
    local t, below
    if type(value) == "string" then
      t, below = parse_iso(value)
    end
    if not t then
      t, below = read_time(value)
      if not t then
        return complain(list, i, what, "%s", below)
      end
    end
    us[i] = t
    if below ~= 0 and not ns then
      ns = {}
      for k = 1, i - 1 do
        ns[k] = 0
      end
    end
    if ns then
      ns[i] = below
    end
  end
  return us, ns
end

-- Whether an id is fit to name a snapshot: nil and a message, or true.
local function check_id(list, i, what, id)
  if id == nil then
    return complain(list, i, what, "id is missing")
  elseif type(id) ~= "string" and not (type(id) == "number" and id == id) then
    return complain(list, i, what, "id must be a string, got %s", show(id))
  end
  return true
end

-- The key of element i's group, or nil and a message. nil and NaN are no keys.
local function read_key(list, i, by, what)
  if type(by) == "function" then
    local key = by(list[i])
    if key == nil or key ~= key then
      return complain(list, i, what, "group_by gave %s", show(key))
    end
    return key
  end
  local key = list[i][by]
  if by == "id" then
    local ok, why = check_id(list, i, what, key)
    if not ok then
      return nil, why
    end
  elseif key == nil or key ~= key then
    return complain(list, i, what, "%s is missing", time.escape(by))
  end
  return key
end

-- Groups a list by a field's name or a function. Gives the keys in order of
-- appearance and, parallel to the list, the number of each element's key (nil
-- when there is one key at most); nil and a message for a bad element.
-- `owner_of`, as owners gives it: its groups, whose keys may then be the same.
local function groups(list, by, what, owner_of)
  local keys, numbers, number_of = {}, nil, {}
  for i = 1, #list do
    local key, why = read_key(list, i, by, what)
    if key == nil then
      return nil, why
    end
    local owner = owner_of and owner_of(list[i]) or key
    local number = number_of[owner]
    if not number then
      number = #keys + 1
      number_of[owner], keys[number] = number, key
      if number == 2 then
        numbers = {}
        for k = 1, i - 1 do
          numbers[k] = 1
        end
      end
    end
    if numbers then
      numbers[i] = number
    end
  end
  return keys, numbers
end

local function complain_same(list, first, second, what)
  local word, a = label(first, what)
  local _, b = label(second, what)
  local id = list[first].id
  return nil, format("%ss #%d and #%d are the same (%sversion %s)", word, a,
    b, id ~= nil and "id " .. time.escape(tostring(id)) .. ", " or "",
    time.escape(list[first].version_id))
end

local NO_ID = {}

-- Notes each id's first application_type.
local function note_types(list, first)
  for i = 1, #list do
    local element = list[i]
    local id, application_type = element.id, element.application_type
    if type(application_type) == "string" and id ~= nil and id == id then
      first[id] = first[id] or application_type
    end
  end
end

-- A function that tells whose an element of these lists is: its id; since an
-- application and a database may have the same, of a type other than the first
-- that comes with an id, that too. One without a type is the first's.
local function owners(list, other)
  local first = {}
  note_types(list, first)
  note_types(other or {}, first)
  return function(element)
    local id, application_type = element.id, element.application_type
    if id == nil or id ~= id then
      return NO_ID
    elseif type(application_type) == "string"
      and application_type ~= first[id] then
      return application_type .. "\0" .. tostring(id)
    end
    return id
  end
end

-- The first of the elements 1 to i that has the same owner and version as i, if
-- any. `seen` holds the first element of each version, `others` a table by
-- owner of those of further ones, which do not occur in practice.
local function find_same(list, seen, others, i, version, owner_of)
  local first = seen[version]
  if not first then
    seen[version] = i
    return nil
  end
  local key = owner_of(list[i])
  if key == owner_of(list[first]) then
    return first
  end
  local by_owner = others[version] or {}
  others[version] = by_owner
  first = by_owner[key]
  by_owner[key] = first or i
  return first
end

-- Refuses a version_id that is no string, and an owner and version that come
-- twice; nil versions are never the same. A long list is gone through in
-- parts, told apart by the last byte but one (a random digit in the known
-- formats): a table of all versions takes more room than all else here.
local function check_versions(list, what, owner_of)
  local count = #list
  for i = 1, count do
    local version = list[i].version_id
    if version ~= nil and type(version) ~= "string" then
      return complain(list, i, what, "version_id must be a string, got %s",
        show(version))
    end
  end
  local parts = count > 100000 and 8 or 1
  local seen, others, first, second = {}, {}, nil, count + 1
  for part = 0, parts - 1 do
    for i = 1, second - 1 do
      local version = list[i].version_id
      if version and (parts == 1 or (byte(version, -2) or 0) % 8 == part) then
        local same = find_same(list, seen, others, i, version, owner_of)
        if same then
          first, second = same, i
          break
        end
      end
    end
    for version in next, seen do
      seen[version] = nil
    end
  end
  if first then
    return complain_same(list, first, second, what)
  end
  return true
end

-- Whether a sorts before b as bytes. Lua's own < follows the host's locale.
local function bytes_before(a, b)
  local i = 1
  while true do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then
      return not x or y ~= nil and x < y
    elseif not x then
      return false
    end
    i = i + 1
  end
end

-- Whether b goes before a, both with the same us: the later ns, then the
-- version_id by bytes, those without one first.
local function goes_before(list, ns, b, a)
  if ns and ns[a] ~= ns[b] then
    return ns[b] > ns[a]
  end
  local version_a, version_b = list[a].version_id, list[b].version_id
  if version_a == version_b or type(version_a) ~= "string" then
    return false
  end
  return type(version_b) ~= "string" or bytes_before(version_b, version_a)
end

-- Whether b is newer than a, ties told apart as in newest_first.
local function is_newer(list, us, ns, b, a)
  if us[b] ~= us[a] then
    return us[b] > us[a]
  end
  return goes_before(list, ns, b, a)
end

-- Merges order[lo..mid] and order[mid+1..hi], each in order, in their place.
-- The first of them waits in `room` meanwhile.
local function merge(order, lo, mid, hi, room, us, ns, list)
  local left, right, count = 1, mid + 1, mid - lo + 1
  table.move(order, lo, mid, 1, room)
  local a, b = room[1], order[right]
  local time_a, time_b = us[a], us[b]
  for at = lo, hi do
    if time_a > time_b or time_a == time_b
      and not goes_before(list, ns, b, a) then
      order[at] = a
      if left == count then
        return
      end
      left = left + 1
      a = room[left]
      time_a = us[a]
    else
      order[at] = b
      if right == hi then
        table.move(room, left, count, at + 1, order)
        return
      end
      right = right + 1
      b = order[right]
      time_b = us[b]
    end
  end
end

-- Sorts order[lo..hi]. Parts that are in order already, or wholly the wrong
-- way round, are not compared one by one: platforms list snapshots by time.
local function sort(order, lo, hi, room, us, ns, list)
  if lo >= hi then
    return
  end
  local mid = lo + hi >> 1
  sort(order, lo, mid, room, us, ns, list)
  sort(order, mid + 1, hi, room, us, ns, list)
  if us[order[mid]] > us[order[mid + 1]] then
    return
  elseif us[order[lo]] < us[order[hi]] then
    local count = mid - lo + 1
    table.move(order, lo, mid, 1, room)
    table.move(order, mid + 1, hi, lo)
    table.move(room, 1, count, hi - count + 1, order)
  else
    merge(order, lo, mid, hi, room, us, ns, list)
  end
end

-- The indexes of a list, newest first; ties by version_id, then as they came.
-- A merge sort with half an array of room, since table.sort is not stable and
-- calls back for each pair.
local function newest_first(list, us, ns)
  local order, count = {}, #us
  for i = 1, count do
    order[i] = i
  end
  sort(order, 1, count, {}, us, ns, list)
  return order
end

-- The elements of a list of good ones, oldest first: soonest to expire first.
-- Ties by version_id, then as they came.
local function oldest_first(list)
  local us, ns = times(list)
  for i = 1, #us do
    us[i] = -us[i]
    if ns then
      ns[i] = -ns[i]
    end
  end
  local sorted, indexes = {}, newest_first(list, us, ns)
  for p = 1, #indexes do
    sorted[p] = list[indexes[p]]
  end
  return sorted
end

-- The sizes of a list's elements in bytes; or nil and a message.
local function sizes(list)
  local count, why = length(list)
  if not count then
    return nil, why
  end
  local found = {}
  for i = 1, count do
    local value = list[i].bytes
    local bytes = type(value) == "number" and tointeger(value)
    if value == nil then
      return complain(list, i, nil, "bytes is missing")
    elseif not bytes or bytes < 0 then
      return complain(list, i, nil, "bytes must be a whole number, 0 or "
        .. "more, got %s", show(value))
    end
    found[i] = bytes
  end
  return found
end

return {
  complain = complain,
  name_one = name_one,
  is_element = is_element,
  read_time = read_time,
  times = times,
  sizes = sizes,
  groups = groups,
  owners = owners,
  check_versions = check_versions,
  is_newer = is_newer,
  newest_first = newest_first,
  oldest_first = oldest_first,
}
