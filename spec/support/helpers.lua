--- What many specs need: clients for the test server, folders that go away.

local lfs = require "lfs"
local square = require "squarecloud"
require "spec.support.times" -- limits are waited out in moments

local helpers = {}

--- A client for the test server `s`; `overrides` replace or add options, false
-- takes one away. It knows the account's id, so that nothing is asked but what
-- a spec asks.
function helpers.client(s, overrides)
  local options = {
    api_key = s.key,
    base_url = s.base_url,
    snapshots_url = s.snapshots_url,
    account_id = s.account_id,
    ca_file = s.ca_file,
    proxy = "",
  }
  for name, value in pairs(overrides or {}) do
    options[name] = value or nil
  end
  return square.Client(options)
end

--- Removes a file or a whole tree; nothing there is fine.
function helpers.remove(path)
  if lfs.symlinkattributes(path, "mode") == "directory" then
    for name in lfs.dir(path) do
      if name ~= "." and name ~= ".." then
        helpers.remove(path .. "/" .. name)
      end
    end
    return lfs.rmdir(path)
  end
  return os.remove(path)
end

--- A new folder, and its end: local dir <close> = helpers.tmpdir()
--- (`tostring(dir)` and `dir.path` are its absolute path).
-- @param base another folder to make it in
function helpers.tmpdir(base)
  local path = os.tmpname()
  os.remove(path)
  if base then path = base .. "/" .. path:match "[^/]*$" end
  assert(lfs.mkdir(path))
  local function remove() helpers.remove(path) end
  return setmetatable({ path = path }, {
    __close = remove,
    __gc = remove,
    __tostring = function() return path end,
    __concat = function(a, b) return tostring(a) .. tostring(b) end,
  })
end

--- The whole of a file.
function helpers.read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

function helpers.write_file(path, bytes)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(bytes))
end

--- The names in a folder, sorted.
function helpers.names(path)
  local names = {}
  for name in lfs.dir(path) do
    if name ~= "." and name ~= ".." then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

--- Module paths (package.path, package.cpath) that hold in another folder, too.
function helpers.absolute(paths)
  return (paths:gsub("[^;]+", function(one)
    if one:find "^/" then return one end
    return lfs.currentdir() .. "/" .. one:gsub("^%./", "")
  end))
end

--- What to expect: `wanted`; or, where that is an array because versions of a
-- library differ, the one of them that was seen.
function helpers.one_of(wanted, seen)
  if type(wanted) ~= "table" then return wanted end
  for _, value in ipairs(wanted) do
    if value == seen then return value end
  end
  return table.concat(wanted, " or ")
end

--- The keys of a table, sorted.
function helpers.keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

--- How many descriptors this process has open.
function helpers.open_files()
  return #helpers.names "/proc/self/fd"
end

return helpers
