-- luacheck: std ngx_lua
--- The limits that the platform sets, as `limits` of the settings has them (see
-- the head of server.lua). Owns the times of what was granted. What may be
-- refused returns true, or nil and { http status, code, message, headers }.

local limits = {}

local settings -- of the whole server; `limits` in it
local granted  -- by name: the last time, or an array of times

--- Forgets what was granted.
function limits.reset(config)
  settings, granted = config, {}
end

function limits.now_ms()
  ngx.update_time()
  return math.floor(ngx.now() * 1000 + 0.5)
end

-- One request of a kind per so many milliseconds: how many are left; nil when
-- there is no limit or it is kept.
local function too_soon(name, period)
  if not period or period <= 0 then return nil end
  local now, last = limits.now_ms(), granted[name]
  if last and now - last < period then return period - (now - last) end
end

local function grant(name)
  granted[name] = limits.now_ms()
end

-- A window of so many milliseconds in which only so many are allowed.
local function window_full(name, count, window)
  if not count then return nil end
  local now, kept = limits.now_ms(), {}
  for _, at in ipairs(granted[name] or {}) do
    if now - at < window then kept[#kept + 1] = at end
  end
  granted[name] = kept
  if #kept >= count then return window - (now - (kept[1] or now)) end
end

local function grant_in_window(name)
  local list = granted[name] or {}
  list[#list + 1] = limits.now_ms()
  granted[name] = list
end

local function refuse(code, remaining_ms)
  local after, headers = settings.limits.retry_after, nil
  if after == true then after = math.ceil(remaining_ms / 1000) end
  if after then headers = { ["Retry-After"] = tostring(after) } end
  return nil, { 429, code, nil, headers }
end

--- Any request: the plan's rate.
function limits.request()
  local set = settings.limits
  local left = window_full("requests", set.requests,
    set.requests_window_ms or 60000)
  if left then
    return refuse(set.requests_code or "RATE_LIMIT_EXCEEDED", left)
  end
  grant_in_window "requests"
  return true
end

function limits.commit()
  local left = too_soon("commit", settings.limits.commit_ms)
  if left then return refuse("KEEP_CALM", left) end
  grant "commit"
  return true
end

--- Creating a snapshot of the application or database `id`.
function limits.create(id)
  local set = settings.limits
  local left = too_soon("create", set.create_account_ms)
    or too_soon("create " .. id, set.create_resource_ms)
  if left then return refuse("KEEP_CALM", left) end
  if window_full("daily", set.daily, set.daily_window_ms or 86400000) then
    return nil, { 429, "DAILY_SNAPSHOTS_LIMIT_REACHED" }
  end
  grant "create"
  grant("create " .. id)
  grant_in_window "daily"
  return true
end

--- Restoring: counted by `restored`, once it is known that there is something
-- to restore.
function limits.restore()
  local left = too_soon("restore", settings.limits.restore_ms)
  if left then return refuse("KEEP_CALM", left) end
  return true
end

function limits.restored()
  grant "restore"
end

return limits
