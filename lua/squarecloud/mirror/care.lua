-- Keeping a mirror in order: removing what a policy does not keep, checking
-- what is there, taking in files that have lost their JSON. Only files that
-- the mirror made, or was given by adopt, are ever removed or renamed.

local core = require "squarecloud.core"
local retention = require "squarecloud.retention"
local failure = require "squarecloud.mirror.failure"
local files = require "squarecloud.mirror.files"
local layout = require "squarecloud.mirror.layout"
local record = require "squarecloud.mirror.record"
local time = require "squarecloud.retention.time"

local care = {}

-- The results with how many there are of each status, and the bytes of those
-- whose status is in `counted`.
function care.count(results, statuses, counted)
  for _, status in ipairs(statuses) do
    results[status] = 0
  end
  results.bytes = 0
  for _, one in ipairs(results) do
    results[one.status] = results[one.status] + 1
    if counted[one.status] then
      results.bytes = results.bytes + (one.bytes or 0)
    end
  end
  return results
end

-- Removes what killed processes have left: drafts of JSON files, and downloads
-- that can never be finished, because the platform has dropped the snapshot.
-- What a JSON says, or the one beside it, tells that they are ours.
-- `listed`: paths without an ending of snapshots that it does have, whatever
-- the clock says.
function care.tidy(found, settings, listed)
  for _, stem in ipairs(found.drafts) do
    local entry, why = record.read(stem .. ".json.new")
    if entry or why == "torn" and record.read(stem .. ".json") then
      files.remove(stem .. ".json.new")
    end
  end
  for _, stem in ipairs(found.lone) do
    local entry = not listed[stem] and record.read(stem .. ".json")
    if entry and #retention.expired({ entry }, { now = settings.now }) > 0 then
      for _, ending in ipairs { ".zip.part.meta.new", ".zip.part.meta",
        ".zip.part", ".json" } do
        files.remove(stem .. ending)
      end
    end
  end
end

-------------------------------------------------------------------- pruning

-- The ZIP goes first: a JSON without one means nothing.
local function take_away(entry)
  local size, err = files.size(entry.path)
  if not size then
    return nil, err
  elseif size ~= entry.bytes then
    return nil, failure.new("integrity", entry.path .. " has changed",
      { operation = "prune" })
  end
  local ok
  ok, err = files.remove(entry.path)
  if ok then
    files.remove((entry.path:gsub("%.zip$", ".json")))
  end
  return ok, err
end

function care.prune(mirror, policy, options, settings)
  local found, err = record.scan(mirror.dir)
  if not found then
    return nil, err
  end
  local keep, remove, reasons = retention.apply(found.entries, policy,
    settings)
  if not keep then
    return nil, failure.new("bad_request", remove, { operation = "prune" })
  end
  local results = {}
  for i, entry in ipairs(keep) do
    entry.status, entry.reasons = "kept", reasons[i]
    results[i] = entry
  end
  for _, entry in ipairs(remove) do
    results[#results + 1] = entry
    if options.dry_run then
      entry.status = "planned"
    else
      local ok
      ok, entry.err = take_away(entry)
      entry.status = ok and "removed" or "failed"
    end
  end
  if not options.dry_run then
    care.tidy(found, settings, {})
  end
  return care.count(results, { "kept", "removed", "planned", "failed" },
    { removed = true, planned = true })
end

------------------------------------------------------------------ verifying

-- Reads a ZIP file whole; true, or nil and an error.
local function test(path)
  local zip, err = core.open_zip(path)
  if not zip then
    return nil, err
  end
  local _ <close> = zip
  return zip:test()
end

-- Gives a damaged file a name that stands for nothing, so that the next sync
-- fetches the snapshot anew.
local function set_aside(path)
  local to, number = path .. ".damaged", 1
  while files.mode(to) do
    number = number + 1
    to = path .. ".damaged-" .. number
  end
  local ok, err = files.rename(path, to)
  if not ok then
    return nil, err
  end
  files.remove((path:gsub("%.zip$", ".json")))
  return to
end

local function verify_one(entry, options)
  local ok
  local size, err = files.size(entry.path)
  if size == entry.bytes then
    ok, err = test(entry.path)
  elseif size then
    err = failure.new("integrity", ("%s has %d bytes, not %d"):format(
      entry.path, size, entry.bytes), { operation = "verify" })
  end
  if ok then
    entry.status = "ok"
  elseif err.kind ~= "integrity" then
    entry.status, entry.err = "failed", err -- nothing is known of it
  else
    entry.status, entry.err = "damaged", err
    if options.set_aside then
      entry.set_aside, err = set_aside(entry.path)
      entry.err = err or entry.err
    end
  end
end

local function is_chosen(entry, options)
  return (not options.id or entry.id == options.id
      or entry.app_id == options.id)
    and (not options.application_type
      or entry.application_type == options.application_type)
end
care.is_chosen = is_chosen

-- What is to be checked: all that is ours, by path.
local function to_verify(found, options)
  local chosen, total = {}, 0
  for _, entry in ipairs(found.entries) do
    chosen[#chosen + 1] = entry
  end
  for _, problem in ipairs(found.problems) do
    chosen[#chosen + 1] = problem.entry
  end
  for i = #chosen, 1, -1 do
    if is_chosen(chosen[i], options) then
      total = total + chosen[i].bytes
    else
      table.remove(chosen, i)
    end
  end
  table.sort(chosen, function(a, b)
    return a.path < b.path
  end)
  return chosen, total
end

function care.verify(mirror, options)
  local found, err = record.scan(mirror.dir)
  if not found then
    return nil, err
  end
  local chosen, total = to_verify(found, options)
  local progress, bar, done = options.progress, nil, 0
  if type(progress) == "table" then
    bar = progress:add "verify"
  end
  local results = {}
  for i, entry in ipairs(chosen) do
    if mirror.closed then
      break
    end
    verify_one(entry, options)
    results[i] = entry
    done = done + entry.bytes
    if bar then
      bar(done, total)
    elseif progress and progress(entry, done, total) == false then
      break
    end
  end
  if bar then
    bar:finish()
  end
  return care.count(results, { "ok", "damaged", "failed" }, { ok = true })
end

------------------------------------------------------------------- adopting

-- What a file in the mirror is, by its place, its name and what was said of
-- it; nil when its place is none of the mirror's.
local function describe(dir, path, said)
  local place = path:sub(1, #dir + 1) == dir .. "/" and path:sub(#dir + 2)
  local application_type, folder, stem =
    (place or ""):match "^(%a+)/([^/]+)/([^/]+)%.zip$"
  if not layout.scope_of(application_type) or folder == ".." then
    return nil
  end
  local id, created_at, version_id = layout.parse(stem)
  id = said.id or id or layout.id_of(folder)
  created_at = said.created_at or created_at
  if type(created_at) == "number" then
    created_at = time.iso(created_at)
  end
  return { id = id, created_at = created_at, path = path,
    version_id = said.version_id or version_id,
    application_type = application_type,
    app_id = said.app_id or id and layout.app_id(application_type, id) }
end
care.describe = describe

local REFUSED = {
  foreign = "does not belong to the mirror",
  newer = "was written by a newer version",
}

-- Whether another file is this snapshot already, as an error.
local function find_copy(mirror, entry)
  local found, err = record.scan(mirror.dir)
  if not found then
    return err
  end
  for _, other in ipairs(found.entries) do
    if other.id == entry.id and other.version_id == entry.version_id
      and entry.version_id
      and other.application_type == entry.application_type then
      return failure.new("exists", entry.path .. " is a copy of "
        .. other.path, { operation = "adopt" })
    end
  end
end

function care.adopt(mirror, entry)
  local json = entry.path:gsub("%.zip$", ".json")
  local known, why = record.read(json)
  entry.bytes = files.size(entry.path)
  if not entry.bytes then
    return nil, failure.disk("cannot adopt", entry.path,
      files.mode(entry.path) and "it is not a regular file"
      or "it does not exist")
  elseif known and known.bytes == entry.bytes then
    known.path = entry.path
    return known
  elseif known or REFUSED[why] then
    return nil, failure.new(known and "integrity" or "exists",
      known and ("%s has %d bytes, not %d"):format(entry.path, entry.bytes,
        known.bytes) or json .. " " .. REFUSED[why], { operation = "adopt" })
  end
  local ok, err = test(entry.path)
  if ok then
    err = find_copy(mirror, entry)
    ok = not err
  end
  if ok then
    ok, err = record.write(json, entry)
  end
  if not ok then
    return nil, err
  end
  return entry
end

return care
