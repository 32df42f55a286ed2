-- Downloading, as `download` and `create --download` do it: one snapshot, its
-- bar, and what is said about it.

local lfs = require "lfs"
local console = require "squarecloud.cli.console"
local failures = require "squarecloud.cli.failures"
local format = require "squarecloud.cli.format"
local snapshots = require "squarecloud.cli.snapshots"

local transfer = {}

--- Where -o says to: a folder, and a file's name or nil.
function transfer.target(output)
  if not output then return ".", nil end
  if not output:find "%.zip$" then return output, nil end
  local folder, name = output:match "^(.*)/([^/]*)$"
  if not folder then return ".", output end
  return folder == "" and "/" or folder, name
end

local function tame(text)
  return (text:gsub("[^%w._-]", ""):gsub("^%.+", ""))
end

--- The file's name that the library would choose; with a `twin`, another
-- snapshot of the same second, the version is added. Nil when its time is not
-- known.
function transfer.name(record, twin)
  local time = snapshots.time(record)
  if not time then return nil end
  local id, version = tame(record.id), tame(record.version_id or "")
  local tail = "_" .. format.stamp(time)
    .. (twin and version ~= "" and "_" .. version or "") .. ".zip"
  return (id ~= "" and id or "snapshot"):sub(1, 200 - #tail) .. tail
end

-- What goes on beside the words: one transfer's bar.
local function fetch(session, record, options, bars, label, again)
  local bar = bars and bars:add(label)
  options.progress = bar and function(...) bar(...) end
  session:under_way("transfer", again)
  local zip, err = record:download(options)
  session:under_way(nil)
  if bar then bar:finish(zip ~= nil) end
  return zip, err
end

local function tell(session, record, zip, id, had_bar)
  local out = session.console
  local fields = snapshots.to_table(record)
  fields.status, fields.path, fields.bytes = "downloaded", zip.path, zip.bytes
  fields.etag = zip.etag
  out:document(fields)
  out:line("%s", console.show(zip.path))
  out:flush()
  if had_bar then return end
  out:note("%s: %s, %s", console.show(id), format.size(zip.bytes),
    session.options.verify == "none" and "not checked"
    or session.options.verify == "structure" and "structure checked"
    or "every CRC checked")
end

local function tell_failure(session, record, err, id, again)
  local fields = snapshots.to_table(record)
  fields.status, fields.error = "failed", failures.to_table(err)
  session.console:document(fields)
  session:report(err, { id = id, transfer = true, again = again })
end

-- The file is there already, whole: it had to be checked to get its name.
local function tell_present(session, record, path)
  local fields = snapshots.to_table(record)
  fields.status, fields.path = "present", path
  session.console:document(fields)
  session.console:note("%s already exists", console.show(path))
end

--- Downloads one snapshot and tells what came of it.
-- @param target path, filename; `skip`: a file of its size is fine as it is;
-- `again`: what goes on with it, if not the same command
-- @return true; or nil and the error
function transfer.one(session, record, id, target, bars)
  local options = session.options
  local verify = options.verify
  if target.skip then
    local path = target.path .. "/" .. target.filename
    if lfs.attributes(path, "size") == record.bytes then
      tell_present(session, record, path)
      return true
    end
  end
  local zip <close>, err = fetch(session, record, { path = target.path,
    filename = target.filename, overwrite = options.force or false,
    verify = verify ~= "none" and verify or verify == nil and "full" },
    bars, id, target.again)
  if zip then
    tell(session, record, zip, id, bars ~= nil)
    return true
  end
  tell_failure(session, record, err, id, target.again)
  return nil, err
end

return transfer
