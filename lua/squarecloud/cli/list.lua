-- squaresnap list [ID…]

local console = require "squarecloud.cli.console"
local failures = require "squarecloud.cli.failures"
local format = require "squarecloud.cli.format"
local json = require "squarecloud.cli.json"
local snapshots = require "squarecloud.cli.snapshots"

local SOON = 3 * 86400 -- what the platform drops within it is marked

-- Gives what a snapshot is kept by, from --since; read before anything is
-- sent.
local function read_since(session, now)
  local retention = require "squarecloud.retention"
  local text = session.options.since
  local from = format.read_date(text, session.options.utc)
  if not from and text:find "^%d%d%d%d%-" then
    from = retention.parse_time(text)
  end
  if from then
    return function(info) return info.timestamp >= from end
  elseif not retention.parse_duration(text) then
    session:refuse('--since must be a time (2024-06-27, "2024-06-27 06:23", '
      .. "2024-06-27T06:23:00Z) or a duration (7d)")
  end
  return function(info)
    return #retention.newer_than({ info }, text, { now = now }) == 1
  end
end

local function read_filters(session, now)
  local options, filters = session.options, {}
  if options.since then filters[1] = read_since(session, now) end
  if options.expires_within then
    filters[#filters + 1] = function(info)
      return #require("squarecloud.retention").expiring_within({ info },
        options.expires_within, { now = now }) == 1
    end
  end
  return function(info)
    for _, accepts in ipairs(filters) do
      if not accepts(info) then return false end
    end
    return true
  end
end

-- Everything asked for, each with the id to show; the failures are told.
local function collect(session, tally)
  local found, owners = {}, {}
  local function add(list, err, id)
    if err then tally:failed(err) end
    if not list then
      session:report(err, { id = id })
      return
    end
    tally:succeeded()
    for _, info in ipairs(list) do
      found[#found + 1] = info
      owners[info] = id or snapshots.owner(info)
    end
  end
  local options = session.options
  for _, id in ipairs(options.id) do
    local list, err = snapshots.of(session, id)
    add(list, err, id)
  end
  if #options.id == 0 then
    local list, err = snapshots.of_account(session:client(), options.database)
    add(list, err or session:problems(list))
  end
  return found, owners
end

local function choose(session, found, accepts)
  local chosen, newest = {}, session.options.newest or math.maxinteger
  for _, info in ipairs(snapshots.sort(found)) do
    if #chosen < newest and accepts(info) then chosen[#chosen + 1] = info end
  end
  return chosen
end

local function print_table(session, chosen, owners, now)
  local out, options = session.console, session.options
  local rows = { { "CREATED", "LEFT", "SIZE", "TYPE", "ID", "VERSION" } }
  if options.show_urls then rows[1][7] = "URL" end
  for i, info in ipairs(chosen) do
    rows[i + 1] = { format.time(info.timestamp, options.utc),
      format.span(snapshots.left(info, now)), format.size(info.bytes),
      info.application_type, console.show(owners[info]),
      console.show(info.version_id or "-"),
      options.show_urls and console.show(info.url) or nil }
  end
  for i, line in ipairs(format.columns(rows, { false, true, true })) do
    local info = chosen[i - 1]
    if not info then
      line = out:paint("bold", line)
    elseif snapshots.left(info, now) < SOON then
      line = out:paint("yellow", line)
    end
    out:write(line .. "\n")
  end
end

return function(session)
  local out, tally, now = session.console, failures.tally(), os.time()
  local accepts = read_filters(session, now)
  local found, owners = collect(session, tally)
  local code = tally:exit_code()
  if tally.done == 0 then return code end
  local chosen = choose(session, found, accepts)
  if out.json then
    local list = json.array()
    for i, info in ipairs(chosen) do
      list[i] = snapshots.to_table(info, session.options.show_urls)
    end
    out:document(list)
  elseif #chosen > 0 then
    print_table(session, chosen, owners, now)
  else
    out:note("no snapshots")
  end
  return code
end
