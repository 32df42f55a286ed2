-- Filling a mirror: lists what the platform has, asks the policy what of it to
-- keep, and downloads what is not here yet. Whatever has nothing here comes
-- first, then that whose newest copy is oldest, so that a sync that is cut off
-- every night starves nobody; of one application, soonest to expire first.
--
-- Each snapshot: its JSON, then the ZIP (which the core checks down to every
-- CRC before it gets its name), then the JSON again with the store's etag. A
-- process killed in between leaves a JSON without a ZIP, which means nothing,
-- and a `.part`, which the next sync goes on with.

local retention = require "squarecloud.retention"
local care = require "squarecloud.mirror.care"
local crew = require "squarecloud.mirror.crew"
local failure = require "squarecloud.mirror.failure"
local files = require "squarecloud.mirror.files"
local layout = require "squarecloud.mirror.layout"
local owners = require "squarecloud.owners"
local record = require "squarecloud.mirror.record"

local sync = {}

local EVERYTHING = { keep_last = "unlimited" }

----------------------------------------------------------------- what is there

-- One snapshot of a listing, as the filters take it.
local function new_item(info, app_id)
  local id, application_type = info.id, info.application_type
  return { id = id, version_id = info.version_id,
    created_at = info.created_at, bytes = info.bytes,
    application_type = application_type,
    app_id = app_id or layout.app_id(application_type, id), info = info,
    stem = layout.folder(application_type, id) .. "/"
      .. layout.stem(id, info.timestamp, info.version_id) }
end

-- What tells a snapshot from all others; those without a version are told by
-- time and size.
local function identity(one)
  return table.concat({ one.application_type, one.id, one.version_id
    or one.created_at .. "\0" .. one.bytes }, "\0")
end

-- The listings to ask for: { ask = function() -> infos or nil, err, … }.
local function listings_of(client, options)
  local asked, is_asked = {}, {}
  local function add(ids, application_type)
    for _, id in ipairs(ids or {}) do
      if not is_asked[application_type .. id] then
        is_asked[application_type .. id] = true
        asked[#asked + 1] = { id = id, application_type = application_type,
          ask = function()
            return client:all_app_snapshots { app_id = id,
              application_type = application_type }
          end }
      end
    end
  end
  if options.all then
    for _, application_type in ipairs(layout.TYPES) do
      asked[#asked + 1] = { application_type = application_type,
        ask = function()
          return client:all_snapshots {
            scope = layout.scope_of(application_type) }
        end }
    end
  else
    add(options.apps, "app")
    add(options.databases, "database")
  end
  return asked, add
end

local function owner_of(application_type, app_id)
  return application_type .. "\0" .. app_id
end

-- When the newest copy of each application and database was made.
local function newest_copies(entries)
  local newest = {}
  for _, entry in ipairs(entries) do
    local owner = owner_of(entry.application_type, entry.app_id)
    local made_at = retention.parse_time(entry.created_at)
    if made_at > (newest[owner] or -math.huge) then newest[owner] = made_at end
  end
  return newest
end

-- A list in the order in which things are done, see above; each of it has an
-- application_type, and an id by `field`.
local function most_urgent_first(list, newest, field)
  local ages, places = {}, {}
  for i, one in ipairs(list) do
    ages[one] = one[field]
      and newest[owner_of(one.application_type, one[field])] or -math.huge
    places[one] = i
  end
  table.sort(list, function(a, b)
    if ages[a] ~= ages[b] then return ages[a] < ages[b] end
    return places[a] < places[b]
  end)
  return list
end

-- What a key without the scope gets, or a platform that has none.
local REFUSED = { permission = true, not_found = true }

-- The applications in those listings: { [id] = true }.
local function apps_in(asked)
  local ids = {}
  for _, one in ipairs(asked) do
    if one.application_type == "app" then
      ids[one.id or false] = true
      for _, info in ipairs(one.infos or {}) do
        ids[info.id] = true
      end
    end
  end
  return ids
end

-- The listings of the workspaces' applications that are not in those `asked`:
-- others', which no list of the account has. And what failed, as one of them.
local function listings_of_workspaces(client, asked)
  local answer, err = client:workspaces()
  local list, more = answer and owners.workspaces(answer), {}
  if not list and not (err and REFUSED[err.kind]) then
    return more, { application_type = "app", err = err or failure.new(
      "protocol", "the answer is no list of workspaces",
      { operation = "workspaces" }) }
  end
  local is_asked = apps_in(asked)
  for _, one in ipairs(list or {}) do
    for _, app in ipairs(one.applications) do
      if not is_asked[app.id] then
        is_asked[app.id] = true
        more[#more + 1] = { id = app.id, application_type = "app",
          ask = function()
            return client:all_app_snapshots { app_id = app.id,
              account_id = one.owner }
          end }
      end
    end
  end
  return more
end

-- Asks for all of them; each gets `infos` or `err`.
local function ask_all(client, asked, concurrency)
  crew.run(client, asked, concurrency, function(one)
    one.infos, one.err = one.ask()
  end, function(one, _, err)
    one.err = err
  end)
end

local function odd_account(what)
  return failure.new("protocol", "the answer about the account " .. what,
    { operation = "account" })
end

local function is_missing(list)
  return list == nil or type(list) == "userdata" -- JSON's null
end

-- The ids in one of the account's lists; and an error when it is no list, or
-- something in it has none.
local function ids_in(list, name)
  if is_missing(list) then
    return {}
  elseif type(list) ~= "table" then
    return {}, odd_account("lists no " .. name)
  end
  local ids, err = {}, nil
  for _, one in ipairs(list) do
    local id = type(one) == "table" and one.id
    if layout.is_id(id) then
      ids[#ids + 1] = id
    else
      err = odd_account("lists one of the " .. name .. " without an id")
    end
  end
  return ids, err
end

-- Plans without the listing of a whole account still name what there is.
local function ask_one_by_one(client, options, newest)
  local response, err = client:account()
  if not response then
    return nil, err
  end
  local found = response.response
  if type(found) ~= "table"
    or is_missing(found.applications) and is_missing(found.databases) then
    return nil, odd_account "is empty"
  end
  local asked, add = listings_of(client, {})
  local odd = {}
  for _, application_type in ipairs(layout.TYPES) do
    local name = layout.scope_of(application_type)
    local ids, why = ids_in(found[name], name)
    add(ids, application_type)
    odd[#odd + 1] = why and { application_type = application_type, err = why }
  end
  ask_all(client, most_urgent_first(asked, newest, "id"), options.concurrency)
  return table.move(odd, 1, #odd, #asked + 1, asked)
end

local function needs_another_plan(asked)
  for _, one in ipairs(asked) do
    if not one.err or one.err.code ~= "UPGRADE_REQUIRED" then
      return false
    end
  end
  return true
end

-- What was left out of a listing, each with the listing's name.
local function add_problems(problems, one)
  local name = one.id and failure.show(one.id)
    or layout.scope_of(one.application_type)
  for _, problem in ipairs(one.infos.problems or {}) do
    problems[#problems + 1] = name .. ": " .. problem
  end
end

-- All snapshots of the listings, each once, the listings that failed, and what
-- was left out of the others; nil and the first error when all have failed.
local function list_remote(client, options, newest)
  local asked = most_urgent_first(listings_of(client, options), newest, "id")
  ask_all(client, asked, options.concurrency)
  if options.all and needs_another_plan(asked) then
    local all, err = ask_one_by_one(client, options, newest)
    if not all then
      return nil, err
    end
    asked = all
  end
  if options.all then
    local others, problem = listings_of_workspaces(client, asked)
    ask_all(client, others, options.concurrency)
    others[#others + 1] = problem
    table.move(others, 1, #others, #asked + 1, asked)
  end
  local items, failed, problems, seen = {}, {}, {}, {}
  for _, one in ipairs(asked) do
    if one.err then
      failed[#failed + 1] = { status = "failed", id = one.id,
        application_type = one.application_type, err = one.err }
    else
      add_problems(problems, one)
    end
    for _, info in ipairs(one.infos or {}) do
      local item = new_item(info, one.id)
      local key = identity(item)
      if not seen[key] then
        seen[key] = true
        items[#items + 1] = item
      end
    end
  end
  if #asked > 0 and #failed == #asked then
    return nil, failed[1].err
  end
  return items, failed, problems
end

-- Those of the items that the policy keeps and the mirror lacks.
local function choose(items, entries, options, settings)
  local is_here, is_asked = {}, {}
  for _, entry in ipairs(entries) do
    is_here[identity(entry)] = true
  end
  local remote, here = {}, {}
  for _, item in ipairs(items) do
    is_asked[item.application_type .. item.id] = true
    -- without a version the filters cannot tell that it is the one here
    if item.version_id or not is_here[identity(item)] then
      remote[#remote + 1] = item
    end
  end
  for _, entry in ipairs(entries) do
    if is_asked[entry.application_type .. entry.id] then
      here[#here + 1] = entry
    end
  end
  -- nothing is removed here: what would be refused there is kept instead
  settings.on_empty = settings.on_empty or "keep_newest"
  local found, why = retention.to_download(remote, here,
    options.policy or EVERYTHING, settings)
  if not found then
    return nil, failure.new("bad_request", why, { operation = "sync" })
  end
  return found
end

------------------------------------------------------------- one at a time

-- The result's entry, as list() has it.
local function entry_of(item, path)
  return { id = item.id, version_id = item.version_id,
    created_at = item.created_at, bytes = item.bytes,
    application_type = item.application_type, app_id = item.app_id,
    path = path .. ".zip" }
end

-- What the place of a snapshot holds that is in its way, as an error; nil when
-- it is free. `orphan`: it is a whole file that only lacks its JSON.
local function obstacle(path, item)
  local known, why = record.read(path .. ".json")
  local zip = path .. ".zip"
  if not files.mode(zip) then
    if why ~= "foreign" and why ~= "newer" then
      return nil
    end
    return failure.new("exists", path
      .. ".json exists and does not belong to the mirror")
  end
  local size = files.size(zip)
  if known and identity(known) == identity(item) and size then
    return failure.advise("integrity", ("%s has %d bytes, not %d"):format(zip,
      size, item.bytes), "use verify { set_aside = true } to move it away")
  elseif known or why == "foreign" or why == "newer" then
    return failure.new("exists", zip .. " exists and is not this snapshot")
  end
  return failure.advise("exists", zip .. " exists without its JSON",
    "use adopt to add it"), size == item.bytes
end

-- Removes the JSON of a snapshot of which nothing came.
local function drop_record(path)
  if not files.mode(path .. ".zip.part") and not files.mode(path .. ".zip") then
    files.remove(path .. ".json")
  end
end

-- Brings one snapshot here. Gives its status, and an error where there is one.
local function fetch(job, item, entry, watch)
  local path = job.dir .. "/" .. item.stem
  local folder, name = path:match "^(.*)/([^/]*)$"
  local in_the_way, orphan = obstacle(path, item)
  if orphan and job.adopt then
    local adopted, err = care.adopt(job.mirror, entry)
    if not adopted and err.kind == "integrity" then
      -- an obstacle: verify knows no file without its JSON
      err = failure.advise(err.kind, path .. ".zip exists without its JSON "
        .. "and is damaged: " .. err.message, "move it away")
    end
    return adopted and "adopted" or "failed", err
  elseif in_the_way then
    return "failed", in_the_way
  end
  local ok, err = files.make_folder(folder)
  if ok then
    ok, err = record.write(path .. ".json", entry)
  end
  if not ok then
    return "failed", err
  end
  local zip
  zip, err = item.info:download { path = folder, filename = name .. ".zip",
    segments = job.segments, progress = watch }
  if not zip then
    drop_record(path)
    return "failed", err
  end
  entry.etag = zip.etag
  zip:close()
  -- the snapshot is safe whether or not this can be written
  local _, warning = record.write(path .. ".json", entry)
  return "downloaded", warning
end

-- A line of progress for one download: a function to give to it, and one to
-- call when it is over.
local function watch_one(job, item)
  local progress = job.progress
  if type(progress) == "function" then
    return function(done, total, rate)
      local wanted = progress(item, done, total, rate) ~= false
      job.stopped = job.stopped or not wanted or job.mirror.closed
      return not job.stopped
    end, function() end
  end
  local bar = progress
    and progress:add(item.created_at:sub(1, 16) .. " " .. item.id)
  return function(done, total, rate)
    if bar then
      bar(done, total, rate)
    end
    job.stopped = job.stopped or job.mirror.closed
    return not job.stopped
  end, function(status, err)
    if bar then
      bar:finish(status ~= "downloaded"
        and (err and status .. ": " .. err.kind or status) or nil)
    end
  end
end

local function skip(item, err)
  local result = entry_of(item, "")
  result.path = nil
  result.status, result.err = "skipped", err
  return result
end

local function work_one(job, item)
  if job.stopped or job.mirror.closed then
    return skip(item)
  end
  local result = entry_of(item, job.dir .. "/" .. item.stem)
  local watch, finish = watch_one(job, item)
  local status, err = fetch(job, item, entry_of(item, job.dir .. "/"
    .. item.stem), watch)
  result.status, result.err = status, err
  -- a closed client would raise at the next
  job.stopped = job.stopped or status == "failed" and err.kind == "closed"
  finish(status, err)
  return result
end

-------------------------------------------------------------------- the whole

local function plan_only(job, items)
  local results = {}
  for i, item in ipairs(items) do
    results[i] = entry_of(item, job.dir .. "/" .. item.stem)
    results[i].status = "planned"
  end
  return results
end

local STATUSES = { "downloaded", "adopted", "failed", "skipped", "planned" }
local COUNTED = { downloaded = true, planned = true }

local function finish(results, failed, problems)
  table.move(failed, 1, #failed, #results + 1, results)
  results.problems = #problems > 0 and problems or nil
  return care.count(results, STATUSES, COUNTED)
end

-- Does what mirror.lua says of sync; options and settings (those for the
-- filters) are checked.
function sync.run(mirror, client, options, settings)
  local found, err = record.scan(mirror.dir)
  if not found then
    return nil, err
  end
  local newest = newest_copies(found.entries)
  local items, failed, problems = list_remote(client, options, newest)
  if not items then
    return nil, failed
  end
  local chosen
  chosen, err = choose(items, found.entries, options, settings)
  if not chosen then
    return nil, err
  end
  most_urgent_first(chosen, newest, "app_id")
  local job = { mirror = mirror, dir = mirror.dir, adopt = options.adopt,
    segments = options.segments, progress = options.progress }
  if options.dry_run then
    return finish(plan_only(job, chosen), failed, problems)
  end
  local listed = {}
  for _, item in ipairs(items) do
    listed[job.dir .. "/" .. item.stem] = true
  end
  care.tidy(found, settings, listed)
  if type(job.progress) == "table" and job.progress.expect then
    local total = 0
    for _, item in ipairs(chosen) do
      total = total + item.bytes
    end
    job.progress:expect(#chosen, total)
  end
  local results = {}
  crew.run(client, chosen, options.concurrency, function(item, index)
    results[index] = work_one(job, item)
  end, function(item, index, why)
    results[index] = skip(item, why)
  end)
  return finish(results, failed, problems)
end

return sync
