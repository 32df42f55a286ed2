-- What the platform sets limits on: how long a snapshot is kept there, and how
-- many may be made in a day.

local time = require "squarecloud.retention.time"
local options = require "squarecloud.retention.options"
local lists = require "squarecloud.retention.list"

local show = time.show

local DAY = 86400 * time.SECOND
local LIFETIME = 30 * DAY
local MB_PER_SNAPSHOT = 256 / 2

-- Whether a snapshot made at us, ns is past its time at now. The last moment
-- of the thirty days is past already.
local function is_expired(us, ns, settings)
  local left = us + LIFETIME - settings.now_us
  return left < 0 or left == 0 and ns <= settings.now_ns
end

---When the platform deletes a snapshot: 30 days of 86 400 s after its making.
---@param snapshot squarecloud.retention.Element
---@param opts? squarecloud.retention.Options none has a meaning here
---@return number? time in epoch seconds, an integer when whole
---@return string? message when created_at is bad
local function expires_at(snapshot, opts)
  if not lists.is_element(snapshot) then
    error("snapshot must be a snapshot or a table, got " .. show(snapshot), 2)
  end
  options.read(opts)
  local us, why = lists.read_time(snapshot.created_at)
  if not us then
    return nil, lists.name_one(snapshot) .. ": " .. why
  end
  return time.to_seconds(us + LIFETIME)
end

---The snapshots that the platform deletes within some days; those already
---past their time are left out.
---@param list squarecloud.retention.Element[]
---@param days number of 86 400 s, counted from now; the last moment is within
---@param opts? squarecloud.retention.Options `now`
---@return squarecloud.retention.Element[]? found soonest to expire first
---@return string? message for a bad element
local function expiring_within(list, days, opts)
  options.check_table(list, "list")
  options.check_amount(days, "days")
  local settings = options.read(opts, true)
  local us, ns = lists.times(list)
  if not us then
    return nil, ns
  end
  local found = {}
  local span = days * (DAY + 0.0)
  for i = 1, #us do
    local below = ns and ns[i] or 0
    local left = us[i] + LIFETIME - settings.now_us
    if not is_expired(us[i], below, settings) and (left < span
      or left == span and below <= settings.now_ns) then
      found[#found + 1] = list[i]
    end
  end
  return lists.oldest_first(found)
end

---The snapshots past their 30 days.
---@param list squarecloud.retention.Element[]
---@param opts? squarecloud.retention.Options `now`
---@return squarecloud.retention.Element[]? found in input order
---@return string? message for a bad element
local function expired(list, opts)
  options.check_table(list, "list")
  local settings = options.read(opts, true)
  local us, ns = lists.times(list)
  if not us then
    return nil, ns
  end
  local found = {}
  for i = 1, #us do
    if is_expired(us[i], ns and ns[i] or 0, settings) then
      found[#found + 1] = list[i]
    end
  end
  return found
end

---How many snapshots an account may make in a rolling 24 hours.
---@param ram_mb number the plan's memory in MB
---@return integer snapshots 16 for 2048 MB
local function daily_quota(ram_mb)
  options.check_finite(ram_mb, "ram_mb")
  return math.floor(ram_mb / MB_PER_SNAPSHOT)
end

---How many snapshots may still be made now, of the account's quota for a
---rolling 24 hours. One that seems made in the future (a clock that is behind
---the platform's) has spent a slot too.
---@param list squarecloud.retention.Element[] the account's applications' and
---databases' together
---@param ram_mb number the plan's memory in MB
---@param opts? squarecloud.retention.Options `now`
---@return integer? left never below 0
---@return number|string|nil next_free_at when none is left: epoch seconds at
---which one gets free, nil with a quota of 0; or a message for a bad element
local function quota_left(list, ram_mb, opts)
  options.check_table(list, "list")
  options.check_finite(ram_mb, "ram_mb")
  local settings = options.read(opts, true)
  local us, ns = lists.times(list)
  if not us then
    return nil, ns
  end
  local spent = {}
  for i = 1, #us do
    local age = settings.now_us - us[i]
    if age < DAY or age == DAY and (ns and ns[i] or 0) > settings.now_ns then
      spent[#spent + 1] = us[i]
    end
  end
  local quota = daily_quota(ram_mb)
  if #spent < quota then
    return quota - #spent
  elseif quota == 0 then
    return 0
  end
  table.sort(spent)
  return 0, time.to_seconds(spent[#spent - quota + 1] + DAY)
end

return {
  expires_at = expires_at,
  expiring_within = expiring_within,
  expired = expired,
  daily_quota = daily_quota,
  quota_left = quota_left,
}
