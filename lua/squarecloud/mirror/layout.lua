-- Where things lie in a mirror, and what they are called:
--
--   <dir>/app/<id>/<id>_<YYYYMMDDTHHMMSSZ>_<version>.zip    the snapshot
--   <dir>/app/<id>/<id>_<YYYYMMDDTHHMMSSZ>_<version>.json   what it is
--   <dir>/database/<id>/…
--
-- Pure: no input or output. Ids and versions may be any text, so what is not
-- plain in them is written as %XX, and what is too long for a name is cut and
-- told from others by a checksum behind a `~`. Names are for people and for
-- finding a place that nothing else has; what a file is stands in its JSON.

local owners = require "squarecloud.owners"
local time = require "squarecloud.retention.time"

local format = string.format

local layout = {}

layout.TYPES = { "app", "database" }

layout.is_id = owners.is_id

local SCOPES = { app = "applications", database = "databases" }
local TYPES = { applications = "app", databases = "database" }

local ID_MAX = 100
local VERSION_MAX = 110

-- FNV-1a: tells cut names apart, guards nothing.
local function checksum(text)
  local sum = 0xcbf29ce484222325
  for i = 1, #text do
    sum = (sum ~ text:byte(i)) * 0x100000001b3
  end
  return format("%016x", sum)
end

local function escape_byte(c)
  return format("%%%02X", c:byte())
end

-- Text as part of a file's name: never empty, with no dot in front.
local function encode(text, longest)
  local plain = text:gsub("[^%w._-]", escape_byte):gsub("^%.", "%%2E")
  if #plain > longest then
    local sum = "~" .. checksum(text)
    plain = plain:sub(1, longest - #sum):gsub("%%%x?$", "") .. sum
  end
  return plain
end

-- The text again, or nil when it was cut.
local function decode(plain)
  if plain == "" or plain:find("~", 1, true) then
    return nil
  end
  return (plain:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

function layout.scope_of(application_type)
  return SCOPES[application_type]
end

function layout.type_of(scope)
  return TYPES[scope]
end

-- The folder of an id, below the mirror's.
function layout.folder(application_type, id)
  return application_type .. "/" .. encode(id, ID_MAX)
end

-- The id that a folder's name stands for, or nil.
function layout.id_of(folder)
  return decode(folder)
end

-- The name of a snapshot's files, without an ending.
-- @param seconds when it was made
-- @param version_id nil when it has none
function layout.stem(id, seconds, version_id)
  return encode(id, ID_MAX) .. "_" .. time.stamp(seconds)
    .. (version_id and "_" .. encode(version_id, VERSION_MAX) or "")
end

-- What a name says: id, created_at (ISO 8601), version_id, each nil when it
-- does not.
function layout.parse(stem)
  local id, date, clock, version = stem:match(
    "^(.-)_(%d%d%d%d%d%d%d%d)T(%d%d%d%d%d%d)Z(.*)$")
  if not id or version ~= "" and version:sub(1, 1) ~= "_" then
    return nil
  end
  local created_at = format("%s-%s-%sT%s:%s:%sZ", date:sub(1, 4),
    date:sub(5, 6), date:sub(7, 8), clock:sub(1, 2), clock:sub(3, 4),
    clock:sub(5, 6))
  if not time.parse_iso(created_at) then
    return nil
  end
  return decode(id), created_at, decode(version:sub(2))
end

-- The application or database a snapshot belongs to: a database's snapshots
-- may be named <id>_<type>.
function layout.app_id(application_type, id)
  return application_type == "database" and id:match("^(.+)_[^_]*$") or id
end

return layout
