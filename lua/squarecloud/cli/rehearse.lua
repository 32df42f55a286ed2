-- squaresnap rehearse ID

local console = require "squarecloud.cli.console"
local failures = require "squarecloud.cli.failures"
local format = require "squarecloud.cli.format"
local snapshots = require "squarecloud.cli.snapshots"
local wire = require "squarecloud.cli.wire"

local LOOK = "look in the platform's dashboard"

-- The snapshot; nil and an error.
local function choose(session)
  local options = session.options
  local list, err = snapshots.of(session, options.id)
  if not list then return nil, err end
  if options.version_id then
    return snapshots.version(list, options.id, options.version_id)
  end
  return snapshots.newest(list, options.id)
end

-- Tells of each step: bars of the transfers, words for the rest.
local function new_watch(session, bars)
  local id, bar, told = console.show(session.options.id), nil, nil
  local WORDS = { start = "waiting until the copy runs",
    delete = "deleting the copy" }
  return function(step, done, total, rate)
    if step ~= told then
      if bar then bar:finish() end
      told, bar = step, bars and done and bars:add(step .. " " .. id)
      if WORDS[step] then session.console:note("%s: %s", id, WORDS[step]) end
    end
    if bar then bar(done, total, rate) end
  end
end

-- What an interruption leaves behind.
local function aftermath(session, report)
  local copy = report.id and "; the copy " .. console.show(report.id)
  if not copy then
    return report.bytes and "; it was being uploaded: " .. LOOK
      .. " for an application that you do not recognise" or "; no copy was made"
  end
  return copy .. (report.deleted and " was deleted"
    or session.options.keep and " was kept"
    or " is still there: " .. LOOK .. " and delete it")
end

local function rehearse(session, info, report)
  local options = session.options
  local bars <close> = session:progress()
  local watch = new_watch(session, bars)
  session:under_way(function() return aftermath(session, report) end)
  local result, err = session:client():rehearse_restore(info, {
    consent = true, keep = options.keep or false, timeout = options.within,
    settle = options.settle, progress = watch, report = report })
  session:under_way(nil)
  return result, err
end

local function to_table(session, info, report)
  local fields = snapshots.to_table(info)
  fields.app_id, fields.snapshot_id = session.options.id, info.id
  fields.id = nil
  fields.copy_id, fields.copy_status = report.id, report.status
  fields.deleted, fields.seconds = report.deleted, report.seconds
  return fields
end

local function tell(session, info, report)
  local out, fields = session.console, to_table(session, info, report)
  fields.status = "ran"
  out:document(fields)
  out:line("%s  %s  %s  %s  %s", format.time(info.timestamp,
    session.options.utc), console.show(session.options.id),
    console.show(info.version_id or "-"), console.show(report.id),
    report.deleted and "deleted" or "kept")
  out:note("%s: the copy ran after %d s%s", console.show(session.options.id),
    math.ceil(report.seconds.upload + report.seconds.start),
    report.deleted and " and was deleted" or "; it keeps running: delete it "
    .. "when you are done")
end

-- What to do next; the message says what became of the copy.
local function hint(err, report)
  if err.sent and not report.id then return LOOK end
  if report.id and not report.deleted then return LOOK .. " and delete it" end
  if report.id then return false end
end

local function tell_failure(session, info, report, err)
  local fields = to_table(session, info, report)
  fields.status, fields.error = "failed", failures.to_table(err)
  session.console:document(fields)
  err.hint = hint(err, report)
  return session:report(err, { id = session.options.id })
end

return function(session)
  local options = session.options
  if not options.version_id and not options.latest then
    session:refuse "rehearse needs --version-id or --latest"
  elseif not options.yes and not options.dry_run then
    session:refuse("a rehearsal needs --yes: the copy boots with the "
      .. "original's secrets, and may talk to the same database; nothing was "
      .. "sent")
  end
  local info, err = choose(session)
  if not info then return session:report(err, { id = options.id }) end
  if options.dry_run then
    wire.show(session, wire.rehearse(session, options.keep))
    return 0
  end
  local report = {}
  err = select(2, rehearse(session, info, report))
  if err then return tell_failure(session, info, report, err) end
  tell(session, info, report)
  return 0
end
