-- client:rehearse_restore: a snapshot is downloaded and checked, uploaded as a
-- new application, watched until it runs, and the copy deleted. The options
-- come read and complete (csrc/rehearsal.c), `core` has what the C alone gives
-- away (csrc/scripts.h).
--
--   download -> upload -> start -> delete
--        |        |         |        ^
--        +--------+---------+--------+   a failed step: what is there goes
--
-- Only the application that the upload's own answer names is ever deleted;
-- what is known of it is the run's, the caller's report shows it.
-- Leaving early (a raised error, a cancelled task) runs Run:__close, which
-- deletes it, too: at once where calls block, else in a task of its own.

-- Hosts take such functions away from the scripts that they run.
local error, ipairs, math, pairs, pcall, setmetatable, tostring, type, warn =
  error, ipairs, math, pairs, pcall, setmetatable, tostring, type, warn

local waiting = require "squarecloud.waiting"
local is_id = require("squarecloud.owners").is_id

local times = waiting.times

-- What the platform calls an application that has come to its end.
local ENDED = { exited = true, stopped = true, crashed = true, error = true }

local STRANGER = "look for an application that you do not recognise"
local UNNAMED = "(" .. STRANGER .. ")"

local Run = { __name = "squarecloud.Rehearsal" }
Run.__index = Run
local Witness = {}

-- What a run needs when it is left is made here: there may be no memory then.
local function new_run(client, snapshot, options, core)
  local report = options.report or {}
  for name in pairs(report) do report[name] = nil end
  local run = setmetatable({ client = client, snapshot = snapshot, core = core,
    options = options, report = report, in_task = core.in_task(client),
    folder = core.new_folder(), deadline = core.clock() + options.timeout,
    operation = "rehearse_restore " .. core.show(snapshot.id),
    zip = false, shown_id = false, unsure = false, why = false,
    id = false, status = false, bytes = false, deleted = false, seconds = {},
    finished = false, witness = setmetatable({ run = false }, Witness) }, Run)
  run.witness.run = run
  run:show()
  return run
end

-- Writes what is known to the caller's report; nothing is read from there.
function Run:show()
  local report = self.report
  report.id, report.status = self.id or nil, self.status or nil
  report.bytes, report.seconds = self.bytes or nil, self.seconds
  report.deleted = self.deleted
end

function Run:fail(kind, message)
  return nil, setmetatable({ kind = kind, message = self.core.show(message),
    operation = self.operation, retryable = false, sent = false },
    self.core.Error)
end

function Run:late()
  return self:fail("timeout", ("not done within %g seconds%s"):format(
    self.options.timeout, self.status and ", it is " .. self.status or ""))
end

-- The seconds left; nil and an error when there are none.
function Run:left()
  local left = self.deadline - self.core.clock()
  if left > 0 then return left end
  return self:late()
end

-- Tells the caller; false when he has enough.
function Run:tell(...)
  local progress = self.options.progress
  return not progress or progress(self.doing, ...) ~= false
end

-- The same as a transfer's progress function.
function Run:teller()
  return self.options.progress and function(...) return self:tell(...) end
end

---------------------------------------------------------------- download

function Run:download()
  local path, err = self.core.make_folder(self.folder)
  if not path then return nil, err end
  local left, late = self:left()
  if not left then return nil, late end
  self.zip, err = self.core.download(self.snapshot, { path = path,
    within = left, progress = self:teller() })
  self.core.clear_folder(self.folder) -- what is open stays readable
  if not self.zip then return nil, err end
  self.bytes = self.zip.bytes
  return true
end

------------------------------------------------------------------ upload

function Run:upload()
  local left, late = self:left()
  if not left then return nil, late end
  self.unsure = true -- whether there is a copy, until its id is known
  local answer, err = self.core.upload_app(self.client, {
    app_id = self.snapshot.id, zip = self.zip, within = left,
    progress = self:teller() })
  self.zip:close()
  local response = answer and answer.response
  local id = type(response) == "table" and response.id
  if is_id(id) then
    self.id = id
    self:show()
    self.shown_id, self.unsure = self.core.show(id), false
    return true
  elseif not answer then
    self.unsure = err.sent
    return nil, err
  end
  local nothing, why = self:fail("protocol",
    "the answer to the upload has no id")
  why.sent = true
  return nothing, why
end

------------------------------------------------------------------- start

-- "running", "ended" or "starting"; nil and an error. A failure that may be
-- gone at the next look is no news.
function Run:look()
  local left, late = self:left()
  if not left then return nil, late end
  local answer, err = self.core.status(self.client,
    { app_id = self.id, within = left })
  if not answer then return err.retryable and "unknown" or nil, err end
  local response = answer.response
  if type(response) ~= "table" or type(response.running) ~= "boolean" then
    return self:fail("protocol",
      "the answer does not say whether it is running")
  end
  local status = response.status
  self.status = type(status) == "string" and status
    or response.running and "running" or "not running"
  self:show()
  return response.running and "running" or ENDED[status] and "ended"
    or "starting"
end

function Run:crashed()
  return self:fail("server", ("the copy does not run: it started and ended "
    .. "(%s)"):format(self.status))
end

-- What a look has come to: true when it runs, nil to go on, nil and an error.
-- Running, and being at an end, count when they have lasted `settle` seconds;
-- an end after it ran counts at once.
function Run:judge(held)
  if not self:tell() then return self:fail("cancelled", "cancelled") end
  local state, err = self:look()
  if state == nil or state == "unknown" then
    return nil, state == nil and err or nil
  end
  if state ~= held.state then
    held.state, held.since = state, self.core.clock()
    held.pause = times.boot
  end
  held.left = self.options.settle - (self.core.clock() - held.since)
  if state == "running" and held.left <= 0 then return true end
  if state == "ended" and (held.ran or held.left <= 0) then
    return self:crashed()
  end
  held.ran = held.ran or state == "running"
end

-- Looks ever more seldom, but not past what is waited for.
function Run:start()
  local held = { left = self.options.settle, pause = times.boot }
  local ok, err = waiting.poll { client = self.client, clock = self.core.clock,
    deadline = self.deadline, first = 0,
    look = function() return self:judge(held) end,
    pause = function()
      local pause = held.left > 0 and math.min(held.pause, held.left)
        or held.pause
      held.pause = math.min(held.pause * 2, times.boot_most)
      return pause
    end }
  if ok or err then return ok, err end
  return self:late()
end

------------------------------------------------------------------ delete

-- Deletes the copy; one that is gone already is fine.
function Run:delete()
  local answer, err = self.core.delete_app(self.client, self.id)
  if not answer and err.kind ~= "not_found" then return nil, err end
  self.deleted = true
  self:show()
  return true
end

-- Warns of a copy that nobody may be told of otherwise; in pieces, since to
-- join them takes memory.
function Witness:__close(raised)
  local run = self.run
  if run.deleted then return end
  local why = run.why or raised
  local ok, text = pcall(tostring, why or "")
  warn("squarecloud: ", run.operation, ": the copy ",
    run.shown_id or UNNAMED, " is still there", why and ok and ": " or "",
    ok and text or "")
  if not ok then error(text, 0) end
end

-- The same for a run that was left: nobody is asked. What is raised is warned
-- of; an interruption goes on.
local function delete_left_behind(run)
  local witness <close> = run.witness -- luacheck: ignore
  local _, why = run:delete()
  run.why = why
end

-- Whether the client can do anything: it is not closed, nor another process's.
function Run:is_usable()
  return pcall(self.core.in_task, self.client)
end

function Run:__close()
  self.core.clear_folder(self.folder)
  if self.zip then self.zip:close() end
  if self.finished or self.deleted then return end
  if not self.id then
    if not self.unsure then return end
    warn("squarecloud: ", self.operation, ": left during the upload: ",
      STRANGER)
  elseif not self.options.keep and not (self.in_task
    and pcall(self.client.spawn, self.client, delete_left_behind, self)) then
    local ok, raised = pcall(delete_left_behind, self)
    if not ok and not self.in_task and self:is_usable() then
      error(raised, 0)
    end
  end
end

------------------------------------------------------------------ report

-- What became of the copy, as the end of a message.
function Run:fate(err, why)
  local copy = self.id and "the copy " .. self.shown_id
  if not copy then
    return err.sent and "a copy may have been made anyway: " .. STRANGER
      or "no copy was made"
  elseif self.deleted then
    return copy .. " was deleted"
  elseif self.options.keep then
    return copy .. " was kept"
  end
  return copy .. " is still there" .. (why and why ~= err
    and " (" .. tostring(why) .. ")" or "")
end

local STEPS = { "download", "upload", "start" }

-- One step, timed; what it gives.
function Run:step(name)
  self.doing = name
  local begun = self.core.clock()
  local ok, err = self[name](self)
  self.seconds[name] = self.core.clock() - begun
  self:show()
  return ok, err
end

-- True when there is nothing left to delete; nil and an error.
function Run:put_away(err)
  if not self.id or self.options.keep then return true end
  if err and err.kind == "closed" then return nil, err end
  self.doing = "delete"
  self:tell()
  return self:step "delete"
end

local rehearsal = {}

function rehearsal.rehearse_restore(client, snapshot, options, core)
  local run <close> = new_run(client, snapshot, options, core)
  local ok, err
  for _, name in ipairs(STEPS) do
    ok, err = run:step(name)
    if not ok then break end
  end
  local gone, why = run:put_away(err)
  if not (ok and gone) then
    err = err or why
    err.message = err.message .. "; " .. run:fate(err, why)
    err.rehearsal = run.report
  end
  run.finished = true -- and said
  if ok and gone then return run.report end
  return nil, err
end

return rehearsal
