-- Snapshots as the commands handle them: asked for, in order, chosen, shown.

local console = require "squarecloud.cli.console"
local failures = require "squarecloud.cli.failures"
local format = require "squarecloud.cli.format"

local snapshots = {}

--- Those of one application or database, and, when some were left out, which is
-- told, an error like it; nil and an error.
function snapshots.of(session, id)
  local list, err = session:client():all_app_snapshots { app_id = id,
    application_type = session:application_type() }
  if not list then return nil, err end
  return list, session:problems(list, console.show(id))
end

--- The options of a call that waits for a snapshot, and says so.
function snapshots.patience(session, id)
  local times, is_told = require("squarecloud.waiting").times, false
  return { wait = times.patience, progress = function()
    if is_told then return end
    is_told = true
    session.console:note("%s: waiting until the platform's list shows it, %s "
      .. "at most", console.show(id), format.span(times.patience))
  end }
end

--- Makes one; nil and an error. What is made in the background is waited for,
-- unless not (`at_once`).
function snapshots.create(session, id, at_once)
  local options = at_once and {} or snapshots.patience(session, id)
  options.app_id = id
  options.application_type = session:application_type()
  return session:client():snapshot(options)
end

--- What `ask` gives for each of a list, as one list; nil and the first error.
-- Problems are told apart by the name of the one, a string or its `id`.
function snapshots.gather(list, ask)
  local all, problems = {}, {}
  for _, one in ipairs(list) do
    local some, err = ask(one)
    if not some then return nil, err end
    table.move(some, 1, #some, #all + 1, all)
    local name = type(one) == "table" and one.id or one
    for _, problem in ipairs(some.problems or {}) do
      problems[#problems + 1] = type(name) == "string"
        and name .. ": " .. problem or problem
    end
  end
  all.problems = #problems > 0 and problems or nil
  return all
end

--- All of the account: of both scopes, or of the databases only. nil and an
-- error when one of them fails.
function snapshots.of_account(client, only_databases)
  return snapshots.gather(only_databases and { "databases" }
    or { "applications", "databases" }, function(scope)
      return client:all_snapshots { scope = scope }
    end)
end

--- Newest first; equal times by version, so that the order is always the same.
function snapshots.sort(list)
  table.sort(list, function(a, b)
    if a.timestamp ~= b.timestamp then return a.timestamp > b.timestamp end
    return (a.version_id or "") > (b.version_id or "")
  end)
  return list
end

--- The newest; nil and an error when there is none. `usable` says which ones
-- count (all).
function snapshots.newest(list, id, usable)
  for _, info in ipairs(snapshots.sort(list)) do
    if not usable or usable(info) then return info end
  end
  return nil, failures.new { operation = "list " .. id, kind = "not_found",
    message = "it has no snapshots", code = "NO_SNAPSHOTS",
    hint = "`squaresnap create` makes one" }
end

--- The one with a version id; nil and an error.
function snapshots.version(list, id, version_id)
  for _, info in ipairs(list) do
    if info.version_id == version_id then return info end
  end
  return nil, failures.new { operation = "list " .. id, kind = "not_found",
    code = "VERSION_NOT_LISTED",
    message = ("version %s is not in its list"):format(version_id) }
end

--- Epoch seconds of a snapshot just created (its `created_at` is a text).
function snapshots.time(snapshot)
  return snapshot.timestamp or snapshot.created_at
    and require("squarecloud.retention").parse_time(snapshot.created_at)
end

--- The fields for a program: secrets only when asked for.
function snapshots.to_table(record, show_urls)
  local fields = record:to_table()
  if not show_urls then fields.url, fields.key = nil, nil end
  return fields
end

--- The id that other commands take: a database's snapshots may be named with
-- its type behind the id.
function snapshots.owner(info)
  if info.application_type ~= "database" then return info.id end
  return info.id:match "^(.+)_[^_]*$" or info.id
end

--- Seconds for which the platform still keeps it.
function snapshots.left(info, now)
  return require("squarecloud.retention").expires_at(info) - now
end

return snapshots
