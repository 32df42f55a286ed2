-- The small JSON beside each ZIP: what it says, how it is written and read,
-- and finding all of a mirror by it. Owns nothing: the folder is the truth.

local cjson = require("cjson").new()
local failure = require "squarecloud.mirror.failure"
local files = require "squarecloud.mirror.files"
local layout = require "squarecloud.mirror.layout"
local time = require "squarecloud.retention.time"

local record = {}

local FORMAT = 1
local ENOENT = 2

-- The members, in the order a person reads them in.
local MEMBERS = { "id", "version_id", "created_at", "bytes", "scope", "app_id",
  "etag" }

local NO_MEMORY = "not enough memory"

cjson.decode_max_depth(8)

-- The text of an entry's JSON: a line for each member.
function record.encode(entry)
  local values = { id = entry.id, version_id = entry.version_id,
    created_at = entry.created_at, bytes = entry.bytes, etag = entry.etag,
    scope = layout.scope_of(entry.application_type) }
  if entry.app_id ~= layout.app_id(entry.application_type, entry.id) then
    values.app_id = entry.app_id
  end
  local lines = { ('  "mirror": %d'):format(FORMAT) }
  for _, name in ipairs(MEMBERS) do
    local value = values[name]
    if value ~= nil then
      local text = math.type(value) == "integer" and ("%d"):format(value)
        or cjson.encode(value)
      lines[#lines + 1] = ('  "%s": %s'):format(name, text)
    end
  end
  return "{\n" .. table.concat(lines, ",\n") .. "\n}\n"
end

local function is_text(value)
  return type(value) == "string" and value ~= ""
end

local function is_text_or_none(value)
  return value == nil or is_text(value)
end

-- Raises what was not the text's fault: what decoding raised for once only
-- (memory was short, or a hook raised, as the interpreter's own at Ctrl-C).
local function check_text(text, why)
  local _, again = pcall(cjson.decode, text)
  if why ~= again or why == NO_MEMORY then
    local _, third = pcall(cjson.decode, text)
    error(why == third and again or why, 0)
  end
end

-- The entry that a JSON's text tells of, without its path; nil and "torn" for
-- what a power loss leaves of a file, "newer" for a later version's, "foreign"
-- for what is none of ours.
function record.decode(text)
  if not text:find "[^\0%s]" then
    return nil, "torn"
  end
  local ok, found = pcall(cjson.decode, text)
  if not ok then
    check_text(text, found)
  end
  if not ok or type(found) ~= "table" or type(found.mirror) ~= "number" then
    return nil, "foreign"
  elseif found.mirror ~= FORMAT then
    return nil, found.mirror > FORMAT and "newer" or "foreign"
  end
  local bytes = type(found.bytes) == "number" and math.tointeger(found.bytes)
  local application_type = layout.type_of(found.scope)
  if not is_text(found.id) or not bytes or bytes < 0 or not application_type
    or not is_text_or_none(found.version_id)
    or not is_text_or_none(found.etag) or not is_text_or_none(found.app_id)
    or type(found.created_at) ~= "string"
    or not time.parse_iso(found.created_at) then
    return nil, "foreign"
  end
  return { id = found.id, version_id = found.version_id,
    created_at = found.created_at, bytes = bytes, etag = found.etag,
    application_type = application_type,
    app_id = found.app_id or layout.app_id(application_type, found.id) }
end

-- The entry of the JSON at a path; nil and why as decode, or "none".
function record.read(path)
  local text = files.read(path)
  if not text then
    return nil, files.mode(path) and "foreign" or "none"
  end
  return record.decode(text)
end

function record.write(path, entry)
  return files.write(path, record.encode(entry))
end

-------------------------------------------------------------- all of them

local WHY = {
  none = "it has no JSON beside it; use adopt to add it",
  torn = "the JSON beside it is empty; use adopt to add it",
  foreign = "the JSON beside it does not belong to the mirror",
  newer = "the JSON beside it was written by a newer version",
}

local function problem(path, kind, message)
  return { path = path, kind = kind, message = failure.show(message) }
end

-- Sorts one ZIP file into `found`.
local function look_at(found, stem)
  local path = stem .. ".zip"
  local entry, why = record.read(stem .. ".json")
  local size, err = files.size(path)
  local problems = found.problems
  if not size then
    if files.mode(path) then
      problems[#problems + 1] = problem(path, "foreign",
        "it is not a regular file")
    elseif err.errno ~= ENOENT then -- else gone since its folder was read
      problems[#problems + 1] = problem(path, "unreadable", err.message)
      problems[#problems].entry = entry
      if entry then
        entry.path = path
      end
    end
  elseif not entry then
    problems[#problems + 1] = problem(path,
      why == "torn" and "none" or why, WHY[why])
  elseif size ~= entry.bytes then
    entry.path = path
    problems[#problems + 1] = problem(path, "damaged",
      ("it has %d bytes, not %d"):format(size, entry.bytes))
    problems[#problems].entry = entry
  else
    entry.path = path
    found.entries[#found.entries + 1] = entry
  end
end

-- What a folder of one id holds: entries, problems, the stems of JSON files
-- that have no ZIP, and of drafts of JSON files.
local function scan_folder(found, folder)
  local names, err = files.names(folder)
  if not names then
    found.problems[#found.problems + 1] =
      problem(folder, "unreadable", err.message)
    return
  end
  table.sort(names)
  local is_there = {}
  for _, name in ipairs(names) do
    is_there[name] = true
  end
  for _, name in ipairs(names) do
    local stem, ending = name:match "^(.+)%.(%w+)$"
    if ending == "zip" then
      look_at(found, folder .. "/" .. stem)
    elseif ending == "json" and not is_there[stem .. ".zip"] then
      found.lone[#found.lone + 1] = folder .. "/" .. stem
    elseif name:find "%.json%.new$" then
      found.drafts[#found.drafts + 1] = folder .. "/" .. name:sub(1, -10)
    end
  end
end

-- One snapshot that is there twice counts once: the first by path.
local function drop_copies(found)
  local entries, by_version = {}, {}
  for _, entry in ipairs(found.entries) do
    local key = entry.version_id
      and entry.application_type .. entry.id .. "\0" .. entry.version_id
    local first = key and by_version[key]
    if first then
      found.problems[#found.problems + 1] =
        problem(entry.path, "copy", "it is a copy of " .. first.path)
    else
      entries[#entries + 1] = entry
      if key then
        by_version[key] = entry
      end
    end
  end
  found.entries = entries
end

-- All that a mirror holds: { entries, problems, lone, drafts }, in the order of
-- their paths; or nil and an error when its folder cannot be read.
function record.scan(dir)
  local found = { entries = {}, problems = {}, lone = {}, drafts = {} }
  local top, err = files.names(dir)
  if not top then
    return nil, err
  end
  for _, application_type in ipairs(layout.TYPES) do
    local above = dir .. "/" .. application_type
    if files.is_folder(above) then
      local folders
      folders, err = files.names(above)
      if not folders then
        return nil, err
      end
      table.sort(folders)
      for _, name in ipairs(folders) do
        if files.is_folder(above .. "/" .. name) then
          scan_folder(found, above .. "/" .. name)
        end
      end
    end
  end
  drop_copies(found)
  return found
end

return record
