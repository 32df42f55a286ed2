-- squarecloud.retention: which snapshots to keep and which may go, by restic's
-- rules; with filters, expiry and the daily quota. Pure: no input or output,
-- no state, inputs never changed. The clock is read (os.time) only where `now`
-- is not given. This file is the module's face; beside it are time.lua (times
-- and durations), policy.lua (policies and options), filters.lua (lists),
-- apply.lua (what a policy keeps) and limits.lua (the platform's limits).
--
-- A list is an array of snapshots: a SnapshotInfo, an entry of the mirror or a
-- plain table, anything with `id` and `created_at` (ISO 8601 with Z or an
-- offset, or epoch seconds) and, where needed, `version_id`, `bytes`, `tags`.
--
-- An argument or option of the wrong kind raises. What is wrong inside a list
-- or a policy, and every refusal, returns nil and a message that names the
-- element and the field.

local time = require "squarecloud.retention.time"
local policies = require "squarecloud.retention.policy"
local filters = require "squarecloud.retention.filters"
local applying = require "squarecloud.retention.apply"
local limits = require "squarecloud.retention.limits"

local format = string.format
local show = time.show

---A snapshot, as the filters take it.
---@class squarecloud.retention.Element
---@field id string the application's or database's id
---@field application_type? string tells an application's id from a database's
---@field created_at string|number ISO 8601 with Z or offset, or epoch seconds
---@field version_id? string tells the snapshots of one id apart
---@field bytes? integer size
---@field tags? string[]

---@class squarecloud.retention.Duration
---@field years integer
---@field months integer
---@field days integer
---@field hours integer

---@class squarecloud.retention.Policy
---@field keep_last? integer|"unlimited" the n newest
---@field keep_hourly? integer|"unlimited" the newest of each of n hours
---@field keep_daily? integer|"unlimited"
---@field keep_weekly? integer|"unlimited" ISO weeks, Monday first
---@field keep_monthly? integer|"unlimited"
---@field keep_yearly? integer|"unlimited"
---@field keep_within? string all later than T minus "2y5m7d3h"; m is months
---@field keep_within_hourly? string the newest of each hour within
---@field keep_within_daily? string
---@field keep_within_weekly? string
---@field keep_within_monthly? string
---@field keep_within_yearly? string
---@field keep_tags? string[][] AND inside, OR between; {""} is untagged
---@field keep? fun(snapshot: any): boolean|string|nil true or a reason

---@class squarecloud.retention.Options
---@field now? number|string a time; default os.time()
---@field utc_offset? integer|fun(epoch: integer): integer seconds, default 0
---@field group_by? string|false|fun(snapshot: any): any default "id"
---@field relative_to? "latest"|"now"|number|string what T is
---@field future? "keep"|"count" "count" judges the future like the past
---@field on_empty? "error"|"keep_newest"|"allow" a group would lose all
---@field keep_oldest? boolean default true: restic's oldest rule

---Parses a duration as restic writes them: numbers with the units y, m
---(months), w (7 days), d, h, each at most once, in any order.
---@param text string such as "2y5m7d3h"
---@return squarecloud.retention.Duration? duration
---@return string? message when it is none
local function parse_duration(text)
  if type(text) ~= "string" then
    error("duration must be a string, got " .. show(text), 2)
  end
  local duration, why = time.parse_duration(text)
  if not duration then
    return nil, format("duration %s: %s", show(text), why)
  end
  return duration
end

---Parses a time: an ISO 8601 string with Z or an offset, or epoch seconds.
---@param value string|number
---@return number? seconds since the epoch; an integer when whole
---@return string? message when it is no valid time
local function parse_time(value)
  if type(value) ~= "string" and type(value) ~= "number" then
    error("time must be a string or a number, got " .. show(value), 2)
  end
  local at, why = policies.read_instant(value)
  if not at then
    return nil, why
  end
  return time.to_seconds(at.us)
end

---Checks a policy as `apply` does.
---@param policy squarecloud.retention.Policy
---@return true?
---@return string? message when a key is unknown, a value bad, or all are off
local function check_policy(policy)
  policies.check_table(policy, "policy")
  local compiled, why = policies.compile(policy)
  if not compiled then
    return nil, why
  end
  return true
end

---Says in words what a policy keeps, as restic does.
---@param policy squarecloud.retention.Policy
---@param opts? squarecloud.retention.Options only `relative_to` matters
---@return string? text "keep 3 latest, 7 daily snapshots and …"
---@return string? message as from check_policy
local function describe(policy, opts)
  policies.check_table(policy, "policy")
  policies.read_options(opts)
  local compiled, why = policies.compile(policy)
  if not compiled then
    return nil, why
  end
  local from = opts and opts.relative_to or "latest"
  return policies.describe(compiled, from == "latest" and "the newest"
    or tostring(math.tointeger(from) or from))
end

---Splits a list into what a policy keeps and what may be removed: restic's
---`forget`, with its rules and reasons. Each group is judged alone: by id, and
---the applications apart from the databases where `application_type` tells (one
---without it is of the first type that comes with its id).
---A snapshot in the future is always kept and spends no slot. Takes
---O(n log n) time and O(n) memory.
---@param list squarecloud.retention.Element[]
---@param policy squarecloud.retention.Policy
---@param opts? squarecloud.retention.Options
---@return squarecloud.retention.Element[]? keep newest first
---@return squarecloud.retention.Element[]|string remove newest first; or a
---message: a bad policy or element, the same (id, version_id) twice, or a
---group that would lose everything (see `on_empty`)
---@return string[][]? reasons reasons[i] belongs to keep[i]
local function apply(list, policy, opts)
  policies.check_table(list, "list")
  policies.check_table(policy, "policy")
  local settings = policies.read_options(opts, true)
  local compiled, why = policies.compile(policy)
  if not compiled then
    return nil, why
  end
  return applying.apply(list, compiled, settings)
end

-- A function that tells whether an element is in a list, by owner and version.
-- One without a version never is.
local function membership(list, owner_of)
  local by_owner = {}
  for _, element in ipairs(list) do
    local owner, version = owner_of(element), element.version_id
    by_owner[owner] = by_owner[owner] or {}
    if version ~= nil then
      by_owner[owner][version] = true
    end
  end
  return function(element)
    local versions = by_owner[owner_of(element)] or {}
    return versions[element.version_id] or false
  end
end

-- Both lists as one, each snapshot once, the remote's object preferred; with
-- a function that names its elements in messages.
local function unite(remote, here, owner_of)
  local union, position = table.move(remote, 1, #remote, 1, {}), {}
  local is_remote = membership(remote, owner_of)
  for i, element in ipairs(here) do
    if not is_remote(element) then
      union[#union + 1] = element
      position[#union] = i
    end
  end
  return union, function(i)
    if position[i] then
      return "local snapshot", position[i]
    end
    return "remote snapshot", i
  end
end

local function check_source(list, what)
  local items, why = filters.read_items(list, what)
  if not items then
    return nil, why
  end
  return applying.check_versions(list, what, applying.owners(list))
end

---What to fetch so that the local store holds what the policy keeps: applies
---it to both lists together and gives the remote's snapshots that are kept
---and not here yet. A snapshot is told by its id, `version_id`, and
---`application_type` where there is one; one without a version is never here.
---@param remote squarecloud.retention.Element[] what the platform lists
---@param here squarecloud.retention.Element[] what the local store holds
---@param policy squarecloud.retention.Policy
---@param opts? squarecloud.retention.Options
---@return squarecloud.retention.Element[]? found soonest to expire first
---@return string? message as from apply
local function to_download(remote, here, policy, opts)
  policies.check_table(remote, "remote")
  policies.check_table(here, "local")
  policies.check_table(policy, "policy")
  local settings = policies.read_options(opts, true)
  local compiled, ok, why
  compiled, why = policies.compile(policy)
  if not compiled then
    return nil, why
  end
  ok, why = check_source(remote, "remote snapshot")
  if ok then
    ok, why = check_source(here, "local snapshot")
  end
  if not ok then
    return nil, why
  end
  local owner_of = applying.owners(remote, here)
  local union, what = unite(remote, here, owner_of)
  local keep
  keep, why = applying.apply(union, compiled, settings, what)
  if not keep then
    return nil, why
  end
  local missing, is_here = {}, membership(here, owner_of)
  for _, element in ipairs(remote) do
    missing[element] = not is_here(element)
  end
  local found = {}
  for _, element in ipairs(keep) do
    if missing[element] then
      found[#found + 1] = element
      missing[element] = nil -- in both lists without a version: once
    end
  end
  return filters.soonest_first(found)
end

---@class squarecloud.retention
local retention = {
  apply = apply,
  between = filters.between,
  check_policy = check_policy,
  daily_quota = limits.daily_quota,
  describe = describe,
  expired = limits.expired,
  expires_at = limits.expires_at,
  expiring_within = limits.expiring_within,
  group_by = filters.group_by,
  larger_than = filters.larger_than,
  latest = filters.latest,
  latest_by_id = filters.latest_by_id,
  newer_than = filters.newer_than,
  older_than = filters.older_than,
  parse_duration = parse_duration,
  parse_time = parse_time,
  quota_left = limits.quota_left,
  smaller_than = filters.smaller_than,
  to_download = to_download,
  total_size = filters.total_size,
}

return retention
