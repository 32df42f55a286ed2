-- The account as `whoami` and `quota` show it. The answer's shape is the
-- platform's: every field may be missing.

local failures = require "squarecloud.cli.failures"
local snapshots = require "squarecloud.cli.snapshots"
local owners = require "squarecloud.owners"

local account = {}

local DAY = 86400

-- value.a.b…, or nil.
local function dig(value, ...)
  for _, name in ipairs { ... } do
    if type(value) ~= "table" then return nil end
    value = value[name]
  end
  return value
end

local function text(value)
  return type(value) == "string" and value or nil
end

local function whole(value)
  return type(value) == "number" and math.tointeger(value) or nil
end

local function resources(list)
  local found = {}
  for _, one in ipairs(type(list) == "table" and list or {}) do
    if owners.is_id(dig(one, "id")) then
      found[#found + 1] = { id = one.id, name = text(one.name),
        ram = whole(one.ram), type = text(one.type) }
    end
  end
  return found
end

--- Who the key's account is: account_id, name, email, plan, memory_mb,
-- applications, databases. nil and an error.
function account.read(client)
  local answer, err = client:account()
  if not answer then return nil, err end
  local user = dig(answer.response, "user")
  local id = text(dig(user, "id"))
  if not id then
    return nil, failures.new { operation = "account", kind = "protocol",
      message = "the answer about the account has no user id" }
  end
  return { account_id = id, name = text(dig(user, "name")),
    email = text(dig(user, "email")), plan = text(dig(user, "plan", "name")),
    memory_mb = whole(dig(user, "plan", "memory", "limit")),
    applications = resources(dig(answer.response, "applications")),
    databases = resources(dig(answer.response, "databases")) }
end

-- What a key without the scope gets, or a platform that has none.
local REFUSED = { permission = true, not_found = true }

--- The workspaces that the key is in, as `owners.workspaces` has them; nil
-- where the key may not ask; nil and an error.
function account.workspaces(client)
  local answer, err = client:workspaces()
  if not answer then
    if REFUSED[err.kind] then return nil end
    return nil, err
  end
  local list = owners.workspaces(answer)
  if list then return list end
  return nil, failures.new { operation = "workspaces", kind = "protocol",
    message = "the answer is no list of workspaces" }
end

-- All snapshots, on a plan without the account's list too; nil and an error.
local function all_snapshots(client, who)
  local all, err = snapshots.of_account(client)
  if all or err.code ~= "UPGRADE_REQUIRED" then return all, err end
  return snapshots.gather({ { "app", who.applications },
    { "database", who.databases } }, function(kind)
      return snapshots.gather(kind[2], function(one)
        return client:all_app_snapshots { app_id = one.id,
          application_type = kind[1] }
      end)
    end)
end

--- How many snapshots may be made: plan, memory_mb, limit, used, left,
-- next_free_at (epoch seconds, when none is left), oldest (of those that
-- count), problems (of the lists). nil and an error.
function account.quota(client)
  local retention = require "squarecloud.retention"
  local who, err = account.read(client)
  if not who then return nil, err end
  if not who.memory_mb then
    return nil, failures.new { operation = "quota", kind = "protocol",
      message = "the platform does not report the plan's memory" }
  end
  local list
  list, err = all_snapshots(client, who)
  if not list then return nil, err end
  local now = os.time()
  local limit = retention.daily_quota(who.memory_mb)
  local left, next_free_at = retention.quota_left(list, who.memory_mb,
    { now = now })
  local used, oldest = 0, nil
  for _, info in ipairs(list) do
    if now - info.timestamp < DAY then
      used = used + 1
      oldest = math.min(oldest or info.timestamp, info.timestamp)
    end
  end
  return { plan = who.plan, memory_mb = who.memory_mb, limit = limit,
    used = used, left = left, next_free_at = next_free_at, oldest = oldest,
    problems = list.problems }
end

--- When the next one may be made, as far as the lists tell; nil when not.
function account.next_free_at(client)
  local found = account.quota(client)
  if not found then return nil end
  return found.next_free_at or found.oldest and found.oldest + DAY
end

return account
