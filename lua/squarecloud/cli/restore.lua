-- squaresnap restore ID

local console = require "squarecloud.cli.console"
local failures = require "squarecloud.cli.failures"
local format = require "squarecloud.cli.format"
local snapshots = require "squarecloud.cli.snapshots"
local wire = require "squarecloud.cli.wire"

-- Nothing is sent before this gives true.
local function has_consent(session)
  local options, out = session.options, session.console
  if options.yes then return true end
  if not (out:is_terminal(0) and out:is_terminal(2)) then
    session:refuse "a restore without a terminal needs --yes; nothing was sent"
  end
  io.stderr:write(("This replaces what %s %s holds now with %s.\n"):format(
    options.database and "the database" or "the application",
    console.show(options.id), options.version_id
    and "its snapshot " .. console.show(options.version_id)
    or "its newest snapshot"))
  return out:ask("Type its id to continue:") == options.id
end

-- The snapshot's id and version id; nil and an error.
local function choose(session)
  local options = session.options
  if options.version_id then
    return { id = options.id, version_id = options.version_id }
  end
  local list, err = snapshots.of(session, options.id)
  if not list then return nil, err end
  return snapshots.newest(list, options.id, function(info)
    return info.version_id ~= nil
  end)
end

-- Makes a snapshot of what is there now; nil and an error. One without a
-- version could not be told from others later, nor restored.
local function save_first(session)
  local options, out = session.options, session.console
  out:note("%s: first making a snapshot of the current state",
    console.show(options.id))
  session:under_way "change"
  local made, err = snapshots.create(session, options.id)
  if made and not made.version_id then
    made, err = made:resolve(snapshots.patience(session, options.id))
  end
  if not made then return nil, err end
  if not made.version_id then
    return nil, failures.new { operation = "snapshot " .. options.id,
      kind = "protocol", message = "the platform gives it no version", hint =
      "it was made, but could not be restored" }
  end
  out:note("%s: snapshot made, version %s", console.show(options.id),
    console.show(made.version_id))
  return made
end

local function show_plan(session, chosen)
  local id, requests = session.options.id, {}
  if session.options.snapshot_first then
    requests[1] = wire.create(session, id)
  end
  requests[#requests + 1] = wire.restore(session, id, chosen.id,
    chosen.version_id)
  wire.show(session, requests)
  return 0
end

local function tell(session, chosen, response, before)
  local out, id = session.console, session.options.id
  local fields = { app_id = id, snapshot_id = chosen.id,
    version_id = chosen.version_id, created_at = chosen.created_at,
    application_type = session:application_type(), status = response.status,
    snapshot_before = before and snapshots.to_table(before) or nil }
  out:document(fields)
  out:line("%s  %s  %s", chosen.timestamp
    and format.time(chosen.timestamp, session.options.utc) or "restored",
    console.show(id), console.show(chosen.version_id))
  out:note("%s: restored; it takes about a minute to settle",
    console.show(id))
end

return function(session)
  local options = session.options
  if not options.version_id and not options.latest then
    session:refuse "restore needs --version-id or --latest"
  end
  if not options.dry_run and not has_consent(session) then
    session:refuse("that is not the id; nothing was sent", 1)
  end
  local about = { id = options.id }
  local chosen, err = choose(session)
  if not chosen then return session:report(err, about) end
  if options.dry_run then return show_plan(session, chosen) end
  local before
  if options.snapshot_first then
    before, err = save_first(session)
    if not before then
      local code = session:report(err, about)
      session.console:warn("nothing was restored")
      return code
    end
  end
  session:under_way "change"
  local response
  response, err = session:client():restore_snapshot { app_id = options.id,
    application_type = session:application_type(), snapshot_id = chosen.id,
    version_id = chosen.version_id }
  if not response then return session:report(err, about) end
  tell(session, chosen, response, before)
  return 0
end
