-- squaresnap create ID…

local console = require "squarecloud.cli.console"
local failures = require "squarecloud.cli.failures"
local format = require "squarecloud.cli.format"
local snapshots = require "squarecloud.cli.snapshots"
local transfer = require "squarecloud.cli.transfer"
local wire = require "squarecloud.cli.wire"


local function create(session, id)
  session:under_way "change"
  local snapshot, err = snapshots.create(session, id,
    not session.options.download)
  session:under_way(nil)
  return snapshot, err
end

local function tell(session, id, snapshot)
  local out = session.console
  local fields = snapshots.to_table(snapshot)
  fields.app_id, fields.status = fields.app_id or id, "created"
  out:document(fields)
  local time = snapshots.time(snapshot)
  out:line("%s  %s  %s", time and format.time(time, session.options.utc) or "-",
    console.show(id), console.show(snapshot.version_id or "-"))
  out:flush()
end

-- 202: taken, made in the background.
local function tell_accepted(session, id)
  local out = session.console
  out:document { app_id = id, application_type = session:application_type(),
    status = "processing" }
  out:line("%-16s  %s  -", "being made", console.show(id))
  out:note("%s: the platform is making it in the background: %s shows it when "
    .. "it is done", console.show(id), failures.call("list", { id = id,
    database = session.options.database }))
end

local function tell_failure(session, id, err)
  session.console:document { app_id = id, status = "failed",
    application_type = session:application_type(),
    error = failures.to_table(err) }
  session:report(err, { id = id })
end

-- Where to download to. The same command again would make another snapshot, so
-- what goes on is `download`, to the very same file.
local function target_of(session, snapshot, id)
  local folder = session.options.download
  local name = transfer.name(snapshot)
  local words = { "`squaresnap", "download", format.word(id) }
  if session.options.database then words[#words + 1] = "--database" end
  if snapshot.version_id then
    words[#words + 1] = "--version-id=" .. format.word(snapshot.version_id)
  end
  words[#words + 1] = "-o " .. format.word((folder .. "/" .. (name or ""))
    :gsub("//+", "/")) .. "`"
  return { path = folder, filename = name, again = table.concat(words, " ") }
end

-- True, or nil and the error, which has been told.
local function one(session, id, bars)
  local snapshot, err = create(session, id)
  if snapshot then
    tell(session, id, snapshot)
    if not session.options.download then return true end
    return transfer.one(session, snapshot, id,
      target_of(session, snapshot, id), bars)
  elseif err.code == "SNAPSHOT_PROCESSING" and not session.options.download then
    tell_accepted(session, id)
    return true
  end
  tell_failure(session, id, err)
  return nil, err
end

return function(session)
  local options = session.options
  if options.dry_run then
    local requests = {}
    for i, id in ipairs(options.id) do
      requests[i] = wire.create(session, id)
    end
    wire.show(session, requests)
    return 0
  end
  session:client()
  local tally = failures.tally()
  local bars <close> = options.download and session:progress() or nil
  for _, id in ipairs(options.id) do
    local ok, err = one(session, id, bars)
    if ok then tally:succeeded() else tally:failed(err) end
  end
  return tally:exit_code()
end
