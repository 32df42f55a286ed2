-- Whose an application is: a listing's addresses are signed for the account
-- that owns it. The account's own are in `client:account()`, those of others,
-- which the key may manage, in `client:workspaces()`. What is learnt is kept
-- with the client; `core` has what the C alone gives away (csrc/scripts.h).

-- Hosts take such functions away from the scripts that they run.
local getmetatable, ipairs, next, pairs, setmetatable, tostring, type =
  getmetatable, ipairs, next, pairs, setmetatable, tostring, type

local owners = {}

-- Seconds after which an answer that did not come is asked for again.
local AGAIN = 300

--- Whether it may be an id: the client takes nothing else.
function owners.is_id(id)
  return type(id) == "string" and id ~= "" and id ~= "." and id ~= ".."
    and not id:find "%c"
end
local is_id = owners.is_id

-- value.a.b…, or nil.
local function dig(value, name, ...)
  if name == nil then return value end
  return type(value) == "table" and dig(value[name], ...) or nil
end

-- The objects with an id in a list that may be anything.
local function with_ids(list)
  local found = {}
  for _, one in ipairs(type(list) == "table" and list or {}) do
    if is_id(dig(one, "id")) then found[#found + 1] = one end
  end
  return found
end

--- The workspaces in an answer of `client:workspaces()`: { { name, owner,
-- applications = { { id, name }, … } }, … }; nil when it is no list of them.
function owners.workspaces(answer)
  local list, found = answer.response, {}
  if type(list) ~= "table" or #list == 0 and next(list) ~= nil then
    return nil
  end
  for _, one in ipairs(list) do
    if is_id(dig(one, "owner")) then
      local apps = with_ids(one.applications)
      for i, app in ipairs(apps) do
        apps[i] = { id = app.id, name = type(app.name) == "string" and app.name
          or nil }
      end
      found[#found + 1] = { owner = one.owner, applications = apps,
        name = type(one.name) == "string" and one.name or nil }
    end
  end
  return found
end

------------------------------------------------------------- what is known

-- Of the client's addresses: key_account, the account's id; own, the ids that
-- are the account's; owners, the accounts of others' ids; again_at, when to
-- ask for them anew.
local Known = {}
Known.__index = Known

local function new_known(client, operation, core)
  return setmetatable({ client = client, core = core, operation = operation,
    of = core.addresses(client) }, Known)
end

-- Whether the listing could not be had, either.
local function is_fatal(err)
  return not err.http_status or err.kind == "authentication"
    or err.kind == "rate_limited"
end

-- Without the answer nothing is known but the key's account.
function Known:lack(err)
  if err.retryable then
    self.of.again_at = self.core.clock() + AGAIN
  end
  self.core.tell(self.client, self.operation, "whose it is was not told, the "
    .. "key's account is used: " .. tostring(err))
end

function Known:odd(what)
  return setmetatable({ kind = "protocol", message = "the answer about the "
    .. "account has no " .. what, operation = self.operation, sent = false,
    retryable = false }, self.core.Error)
end

-- True, or nil and an error that leaves nothing to go on with.
function Known:ask_account()
  local of = self.of
  local answer, err = self.client:account()
  if err and (is_fatal(err) or not of.key_account) then return nil, err end
  local id = answer and dig(answer.response, "user", "id")
  of.key_account = of.key_account or is_id(id) and id or nil
  if not of.key_account then return nil, self:odd "user id" end
  of.own = {}
  for _, name in ipairs { "applications", "databases" } do
    for _, one in ipairs(with_ids(answer and dig(answer.response, name))) do
      of.own[one.id] = true
    end
  end
  if err then self:lack(err) end
  return true
end

function Known:ask_workspaces()
  local of = self.of
  local answer, err = self.client:workspaces()
  if err and is_fatal(err) then return nil, err end
  local list = answer and owners.workspaces(answer)
  of.owners = {}
  for _, one in ipairs(list or {}) do
    for _, app in ipairs(one.applications) do of.owners[app.id] = one.owner end
  end
  if not list then self:lack(err or self:odd "list of workspaces") end
  return true
end

-- Whether something is to be asked to tell whose `id` is (nil: the account's).
function Known:lacks(id)
  local of = self.of
  if of.again_at and self.core.clock() >= of.again_at then
    of.own, of.owners, of.again_at = nil, nil, nil
  end
  if id == nil then return not of.key_account end
  return not of.own or not of.own[id] and not of.owners
end

function Known:ask(id)
  local of = self.of
  if id == nil or not of.own then return self:ask_account() end
  return self:ask_workspaces()
end

-- The same; of several tasks one asks, in a task of its own, which none of
-- them ends.
function Known:ask_together(id)
  local of = self.of
  if not self.core.may_yield(self.client) then return self:ask(id) end
  local task = of.asking
  if not task or task.status ~= "running" then
    task = self.client:spawn(self.ask, self, id)
    of.asking = task
  end
  return task:wait()
end

-- The account whose `id` is; nil and an error.
local function account_of(client, id, core, operation)
  local known = new_known(client, operation, core)
  while known:lacks(id) do
    local ok, err = known:ask_together(id)
    if not ok then
      local copy = {} -- others may have it, too
      for name, value in pairs(err) do copy[name] = value end
      copy.operation = operation
      return nil, setmetatable(copy, getmetatable(err))
    end
  end
  return id and known.of.owners and known.of.owners[id]
    or known.of.key_account
end

----------------------------------------------------------------- listings

--- client:all_app_snapshots without an account_id.
function owners.all_app_snapshots(client, options, core)
  local err
  options.account_id, err = account_of(client, options.app_id, core,
    "all_app_snapshots " .. core.show(options.app_id:sub(1, 128)))
  if err then return nil, err end
  return client:all_app_snapshots(options)
end

--- client:all_snapshots without an account_id: it lists what is the account's.
function owners.all_snapshots(client, options, core)
  local err
  options.account_id, err = account_of(client, nil, core, "all_snapshots "
    .. (options.scope or "applications"))
  if err then return nil, err end
  return client:all_snapshots(options)
end

return owners
