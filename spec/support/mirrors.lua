--- What the specs of the mirror share: mirrors made without a download, what a
-- folder holds, and syncs and prunes in processes of their own.

local lfs = require "lfs"
local helpers = require "spec.support.helpers"
local process = require "spec.support.process"
local quote = require "spec.support.quote"
local square = require "squarecloud"
local zips = require "spec.support.zips"

local mirrors = {}

mirrors.DAY = 86400
mirrors.AT = 1719469422 -- 2024-06-27T06:23:42Z

--- What a spec begins with.
-- @return folder (a new one), the path of the mirror in it, that, opened
function mirrors.begin()
  local folder = helpers.tmpdir()
  local dir = folder .. "/mirror"
  return folder, dir, assert(square.mirror.open(dir))
end

--- Closes and removes it all.
function mirrors.finish(folder, m)
  m:close()
  helpers.remove(folder.path)
end

--- A whole ZIP file of its own for each number; small.
function mirrors.archive(number)
  return (zips.build { { name = "n.txt", data = "number " .. number } })
end

local function iso(seconds)
  return os.date("!%Y-%m-%dT%H:%M:%SZ", seconds)
end

local function make_folders(path)
  for at in (path .. "/"):gmatch "()/" do
    if at > 1 then lfs.mkdir(path:sub(1, at - 1)) end
  end
end

--- Puts a snapshot into a mirror's folder, as a sync would.
-- @param spec id ("a1"), at (epoch seconds; AT), version, application_type
-- ("app"), bytes (a ZIP), json (another text; false: none)
-- @return its path without an ending
function mirrors.put(dir, spec)
  local id, at = spec.id or "a1", spec.at or mirrors.AT
  local application_type = spec.application_type or "app"
  local bytes = spec.bytes or mirrors.archive(spec.version or "")
  local folder = ("%s/%s/%s"):format(dir, application_type, id)
  make_folders(folder)
  local path = ("%s/%s_%s%s"):format(folder, id,
    os.date("!%Y%m%dT%H%M%SZ", at),
    spec.version and "_" .. spec.version or "")
  helpers.write_file(path .. ".zip", bytes)
  if spec.json ~= false then
    helpers.write_file(path .. ".json", spec.json or ([[{ "mirror": 1,
      "id": "%s", %s "created_at": "%s", "bytes": %d, "scope": "%s" }]])
      :format(id, spec.version
        and ('"version_id": "%s",'):format(spec.version) or "", iso(at),
        #bytes, application_type == "app" and "applications" or "databases"))
  end
  return path
end

--- All files below a folder: [path relative to it] = bytes; without the lock.
function mirrors.tree(dir)
  local found = {}
  local function walk(at)
    for _, name in ipairs(helpers.names(dir .. at)) do
      local path = at .. "/" .. name
      local mode = lfs.symlinkattributes(dir .. path, "mode")
      if mode == "directory" then
        walk(path)
      elseif name ~= ".mirror.lock" then
        found[path:sub(2)] = mode == "file"
          and helpers.read_file(dir .. path) or mode
      end
    end
  end
  walk ""
  return found
end

--- The versions of entries or results, in their order.
function mirrors.versions(list)
  local versions = {}
  for i, one in ipairs(list) do versions[i] = one.version_id or "" end
  return versions
end

--- The statuses of results, in their order.
function mirrors.statuses(results)
  local statuses = {}
  for i, one in ipairs(results) do statuses[i] = one.status end
  return statuses
end

---------------------------------------------------------- other processes

local SCRIPT = [[
local settings = load("return " .. ...)()
local square, client
if settings.die_at then
  -- killed before its nth call that changes the disk
  local core, left = require "squarecloud.core", settings.die_at
  for where, names in pairs { [os] = { "rename", "remove" },
    [core.posix] = { "make_folder", "write_file", "lock_file" } } do
    for _, name in ipairs(names) do
      local call = where[name]
      where[name] = function(...)
        left = left - 1
        if left == 0 then os.execute "kill -KILL $PPID" end
        return call(...)
      end
    end
  end
end
square = require "squarecloud"
local m <close> = assert(square.mirror.open(settings.dir))
local results, err
if settings.policy then
  results, err = m:prune(settings.policy, settings.options)
else
  client = square.Client(settings.client)
  results, err = m:sync(client, settings.options)
  client:close()
end
if not results then print(err) os.exit(1, true) end
for _, one in ipairs(results) do
  print(one.status, one.version_id, one.err)
end
]]

--- Starts a sync, or a prune when there is a policy, in another process.
-- @param setting options (of sync or prune), policy (of prune), die_at (it is
-- killed, as by SIGKILL, before its nth call that changes the disk)
-- @return { pid, wait() (what it printed, whether it came to its end),
-- kill() (SIGKILL, and its end) }
function mirrors.start(s, dir, setting)
  local client = s and { api_key = s.key, base_url = s.base_url, proxy = "",
    snapshots_url = s.snapshots_url, ca_file = s.ca_file }
  local script = os.tmpname()
  helpers.write_file(script, SCRIPT)
  local word = quote.shell
  local line = ("exec env LUA_PATH=%s LUA_CPATH=%s "
    .. "lua5.4 %s %s 2>&1 </dev/null"):format(word(package.path),
    word(package.cpath), word(script), word(quote.lua { client = client,
      dir = dir, options = setting.options, policy = setting.policy,
      die_at = setting.die_at }))
  return process.start(line, { script }, function(out, how, code)
    return out, how == "exit" and code == 0
  end)
end

return mirrors
