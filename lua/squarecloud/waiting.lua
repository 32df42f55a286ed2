-- Waiting for what the platform does behind its answer: a snapshot that is made
-- in the background, a restore that settles. Everything that waits does it by
-- `poll`; `core` has what the C alone gives away (csrc/scripts.h).
--
-- What an earlier request has done is never asked for a second time: a create
-- is sent once, a restore again only where it was refused because another one
-- was under way.

-- Hosts take such functions away from the scripts that they run.
local ipairs, math, select, setmetatable, tostring, type =
  ipairs, math, select, setmetatable, tostring, type

local waiting = {}

--- All times, in seconds. Specs set them; nobody else does.
waiting.times = {
  look = 120,     -- to the first look for a new snapshot, and between two: one
                  -- that comes too early may be answered from a cache for long
  patience = 2400, -- for a snapshot, by the command: longer than that cache
  settle = 60,    -- a restore takes
  status = 10,    -- between two looks at a status that has not settled
  boot = 0.25, boot_most = 5, -- between two at a copy that starts, doubling
}
local times = waiting.times

--- Looks until there is something to give.
-- @param o client (it sleeps), clock (core.clock), deadline (by that),
-- first (seconds to the first look), pause (a function: seconds to the next),
-- look (gives nil to go on), tell (is told before a pause how many seconds it
-- takes; false ends it)
-- @return what `look` gave; nothing when the time was up, with a last look at
-- its end; nil and an error of kind `closed` or `cancelled`
function waiting.poll(o)
  local pause = o.first
  repeat
    local left = math.max(o.deadline - o.clock(), 0)
    local is_last = pause >= left
    pause = math.min(pause, left)
    if pause > 0 then
      if o.tell then
        local why = o.tell(pause)
        if why then return nil, why end
      end
      local ok, err = o.client:sleep(pause)
      if not ok then return nil, err end
    end
    local found, err = o.look()
    if found or err then return found, err end
    pause = o.pause()
  until is_last
end

local Wait = { __name = "squarecloud.Wait" }
Wait.__index = Wait

-- One call that waits; `method` and the id name it in errors.
-- @param about app_id, application_type
-- @param options wait, progress
local function new_wait(method, client, about, options, core)
  return setmetatable({ client = client, core = core, about = about,
    options = options, sent = false, trouble = false,
    operation = method .. " " .. core.show(about.app_id:sub(1, 128)) }, Wait)
end

local function about_of(one)
  return { app_id = one.app_id, application_type = one.application_type }
end

function Wait:fail(kind, message)
  return nil, setmetatable({ kind = kind, message = message,
    operation = self.operation, sent = self.sent,
    retryable = kind == "pending" }, self.core.Error)
end

-- An error of a request in between, as this call's.
function Wait:pass(err)
  err.operation, err.sent = self.operation, self.sent or err.sent
  return nil, err
end

-- From now on the caller's time runs.
function Wait:begin()
  self.deadline = self.core.clock() + self.options.wait
end

function Wait:poll(what, first, pause, look)
  local progress = self.options.progress
  local found, err = waiting.poll { client = self.client,
    clock = self.core.clock, deadline = self.deadline, first = first,
    pause = function() return pause end, look = look,
    tell = progress and function(seconds)
      if progress(what, seconds) == false then
        return select(2, self:fail("cancelled", "cancelled"))
      end
    end }
  if err then return self:pass(err) end
  return found
end

-------------------------------------------------------------- snapshots

-- The entry of the list that is the new snapshot; nil when there is none yet
-- (or none is to be had: `trouble`); nil and an error.
function Wait:find(is_it)
  local list, err = self.client:all_app_snapshots(self.about)
  self.trouble = err
  if not list then
    if err.retryable then return nil end
    return nil, err
  end
  local found
  for _, info in ipairs(list) do
    if is_it(info) then
      if found and found ~= info then
        return self:fail("protocol", ("there are two snapshots that may be it "
          .. "(%s, %s): it cannot be told which"):format(found.created_at,
          info.created_at))
      end
      found = info
    end
  end
  return found
end

-- What tells the new snapshot: it is not older than the request, by the
-- server's time, and no earlier listing showed it. nil and an error when that
-- time is not known.
function Wait:new_since(since, begun)
  if not since then
    return self:fail("protocol", "the platform's answer had no date: it "
      .. "cannot be told which snapshot is the new one")
  end
  return function(info)
    return info.timestamp >= since
      and not self.core.was_seen(self.client, info, begun)
  end
end

function Wait:poll_list(first, is_it)
  return self:poll("snapshot", first, times.look, function()
    return self:find(is_it)
  end)
end

--- client:snapshot with `wait`: what is made in the background is waited for.
function waiting.snapshot(client, options, core)
  local about = about_of(options)
  local made, accepted, since, begun = core.snapshot(client, about)
  if made or accepted.kind ~= "pending"
    or accepted.code == "RESTORE_IN_PROGRESS" then
    return made, accepted
  end
  local wait = new_wait("snapshot", client, about, options, core)
  wait.sent = true
  local is_it, unknown = wait:new_since(since, begun)
  if not is_it then return nil, unknown end
  wait:begin()
  local info, err = wait:poll_list(times.look, is_it)
  if info then
    return core.new_snapshot(info, about.app_id, since, begun)
  end
  if err then return nil, err end
  accepted.message = ("the list does not show it after %g s%s"):format(
    options.wait, wait.trouble and " (" .. tostring(wait.trouble) .. ")" or "")
  return nil, accepted
end

--- snapshot:resolve: its entry in the list.
function waiting.resolve(client, snapshot, options, core)
  local wait = new_wait("resolve", client, about_of(snapshot), options, core)
  local version = snapshot.version_id
  local function is_it(info) return info.version_id == version end
  if not version then
    local unknown
    is_it, unknown = wait:new_since(core.origin(snapshot))
    if not is_it then return nil, unknown end
  end
  wait:begin()
  local info, err = wait:poll_list(0, is_it)
  if info or err then return info, err end
  if wait.trouble then return wait:pass(wait.trouble) end
  return wait:fail("pending", "the list does not show it yet")
end

--- client:restore_snapshot of a Snapshot whose version is not known.
function waiting.restore_created(client, snapshot, core)
  local info, err = waiting.resolve(client, snapshot, { wait = 0 }, core)
  if info and info.version_id then return client:restore_snapshot(info) end
  local wait = new_wait("restore_snapshot", client, about_of(snapshot), {},
    core)
  if err then return wait:pass(err) end
  return wait:fail("protocol", "the list gives this snapshot no version id, it "
    .. "cannot be restored by itself")
end

--------------------------------------------------------------- restoring

-- What the platform says of it: whether it runs; nil and an error.
function Wait:ask_status()
  local answer, err = self.core.status(self.client, self.about)
  if not answer then return nil, err end
  local response = answer.response
  if type(response) ~= "table" or type(response.running) ~= "boolean" then
    return self:fail("protocol", "the answer does not say whether it runs")
  end
  return response
end

local STARTS = { starting = true, restarting = true }

-- Sends the restore. Gives the answer, and whether it ran, or was about to,
-- before; nil and an error. Without its status nothing is sent.
function Wait:restore()
  local before, err = self:ask_status()
  if not before then return nil, err end
  local response
  response, err = self.client:restore_snapshot(self.request)
  if not response then return nil, err end
  self.sent = true
  return { response = response,
    ran = before.running or STARTS[before.status] or false }
end

local function is_behind_another(err)
  return err.kind == "pending" and err.http_status == 409
end

-- Sends it again until no other restore is under way.
function Wait:restore_behind(refused)
  local done, err = self:poll("earlier restore", times.settle, times.settle,
    function()
      local restored, why = self:restore()
      if restored or not is_behind_another(why) then
        return restored, why
      end
      refused = why
    end)
  if done or err then return done, err end
  return nil, refused
end

-- Waits out the time that a restore takes, in which nothing shows it, and then
-- until it runs as it did before; nil when the caller's time is up.
function Wait:settle(ran)
  local now = self.core.clock()
  local left = self.deadline - now
  -- what both were counted from was the same answer
  if left > times.settle - 0.05 then
    self.deadline = now + math.max(left, times.settle)
  end
  local over_at = now + times.settle
  return self:poll("restore", times.settle, times.status, function()
    if self.deadline < over_at then return nil end
    local status, err = self:ask_status()
    if status then return status.running == ran end
    if err.retryable then return nil end
    return nil, err
  end)
end

--- client:restore_snapshot with `wait`.
function waiting.restore_snapshot(client, options, core)
  local wait = new_wait("restore_snapshot", client, about_of(options), options,
    core)
  wait.request = about_of(options)
  wait.request.snapshot_id = options.snapshot_id
  wait.request.version_id = options.version_id
  local done, err = wait:restore()
  wait:begin()
  if err and is_behind_another(err) then
    done, err = wait:restore_behind(err)
  end
  if not done then return wait:pass(err) end
  local settled
  settled, err = wait:settle(done.ran)
  if settled then return done.response end
  if err then return nil, err end
  return wait:fail("pending", ("the platform took it, but it has not settled "
    .. "after %g s"):format(options.wait))
end

return waiting
