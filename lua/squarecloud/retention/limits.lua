-- What the platform sets limits on: how long a snapshot is kept there, and how
-- many may be made in a day.

local time = require "squarecloud.retention.time"
local policies = require "squarecloud.retention.policy"
local filters = require "squarecloud.retention.filters"

local is_later = time.is_later

local DAY = 86400 * time.SECOND
local LIFETIME = 30 * DAY
local MB_PER_SNAPSHOT = 256 / 2

-- Whether a snapshot made at `at` is past its time. The last moment of the
-- thirty days is past already.
local function is_expired(at, now)
  return not is_later(time.add(at, LIFETIME), now)
end

---When the platform deletes a snapshot: 30 days of 86 400 s after its making.
---@param snapshot squarecloud.retention.Element
---@param opts? squarecloud.retention.Options none has a meaning here
---@return number? time in epoch seconds, an integer when whole
---@return string? message when created_at is bad
local function expires_at(snapshot, opts)
  if not filters.is_element(snapshot) then
    error("snapshot must be a snapshot or a table, got "
      .. time.show(snapshot), 2)
  end
  policies.read_options(opts)
  local at, why = filters.read_item(snapshot)
  if not at then
    return nil, filters.name_one(snapshot) .. ": " .. why
  end
  return time.to_seconds(at.us + LIFETIME)
end

---The snapshots that the platform deletes within some days; those already
---past their time are left out.
---@param list squarecloud.retention.Element[]
---@param days number of 86 400 s, counted from now; the last moment is within
---@param opts? squarecloud.retention.Options `now`
---@return squarecloud.retention.Element[]? found soonest to expire first
---@return string? message for a bad element
local function expiring_within(list, days, opts)
  policies.check_table(list, "list")
  policies.check_amount(days, "days")
  local now = policies.read_options(opts, true).now
  local span = days * (DAY + 0.0)
  local found, why = filters.pick(list, filters.read_item, function(at)
    local left = at.us + LIFETIME - now.us
    return not is_expired(at, now)
      and (left < span or left == span and at.ns <= now.ns)
  end)
  if not found then
    return nil, why
  end
  return filters.soonest_first(found)
end

---The snapshots past their 30 days.
---@param list squarecloud.retention.Element[]
---@param opts? squarecloud.retention.Options `now`
---@return squarecloud.retention.Element[]? found in input order
---@return string? message for a bad element
local function expired(list, opts)
  policies.check_table(list, "list")
  local now = policies.read_options(opts, true).now
  return filters.pick(list, filters.read_item, function(at)
    return is_expired(at, now)
  end)
end

---How many snapshots an account may make in a rolling 24 hours.
---@param ram_mb number the plan's memory in MB
---@return integer snapshots 16 for 2048 MB
local function daily_quota(ram_mb)
  policies.check_finite(ram_mb, "ram_mb")
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
  policies.check_table(list, "list")
  policies.check_finite(ram_mb, "ram_mb")
  local now = policies.read_options(opts, true).now
  local items, why = filters.read_items(list)
  if not items then
    return nil, why
  end
  local spent = {}
  for _, at in ipairs(items) do
    if is_later(time.add(at, DAY), now) then
      spent[#spent + 1] = at.us
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
