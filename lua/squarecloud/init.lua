-- squarecloud: Square Cloud's snapshots, from Lua.  The face of the module:
-- what is in C (squarecloud.core) and what is in Lua, under one name.  Each
-- part loads when it is first used: that in C brings libcurl and some thirty
-- libraries of libcurl's, which take longer than all the rest.

-- Hosts take such functions away from the scripts that they run.
local error, next, package, pairs, require = error, next, package, pairs,
  require

local in_c = { Client = true, open_zip = true, version = true }
local in_lua = { retention = true, mirror = true, progress = true }
local needs_c = { mirror = true, progress = true }

---@class squarecloud
---@field Client fun(o: squarecloud.ClientOptions|string): squarecloud.Client
---@field open_zip fun(path: string): squarecloud.ZipFile?, squarecloud.Error?
---@field version string such as "0.1.0"
---@field retention squarecloud.retention which snapshots to keep
---@field mirror squarecloud.mirror a folder of verified snapshots
---@field progress squarecloud.progress bars for downloads
local square = {}

-- What may not be found later is loaded now, or is told to be missing.
require "cjson" -- the part in C takes it from package.loaded
require "squarecloud.rehearsal" -- and these, which it calls (csrc/scripts.h)
require "squarecloud.waiting"
require "squarecloud.owners"

local CORE, OPEN = "squarecloud.core", "luaopen_squarecloud_core"

-- The file that `require` would load the part in C from; nil when that is not
-- for us to say: it is inside the host, the host searches in its own way, or
-- the path is relative.
local function find_core()
  if not package or not package.loadlib or package.loaded[CORE]
    or package.preload[CORE] or #package.searchers ~= 4
    or package.searchpath(CORE, package.path) then
    return nil
  end
  local path = package.searchpath(CORE, package.cpath)
  return path and path:find "^/" and path
end

local path = find_core()
local loaded, loadlib = package and package.loaded, package and package.loadlib
if not path then require(CORE) end

-- The part in C, loaded as `require` would, whatever the host has made of
-- `package` meanwhile.
local function load_core()
  if not path then return require(CORE) end
  if not loaded[CORE] then
    local open, why = loadlib(path, OPEN)
    if not open then
      error("error loading module '" .. CORE .. "' from file '" .. path
        .. "':\n\t" .. why, 0)
    end
    loaded[CORE] = open(CORE, path)
  end
  return loaded[CORE]
end

return setmetatable(square, {
  __index = function(_, name)
    local value
    if in_c[name] then
      value = load_core()[name]
    elseif in_lua[name] then
      if needs_c[name] then load_core() end
      value = require("squarecloud." .. name)
    end
    if value ~= nil then square[name] = value end
    return value
  end,
  __pairs = function()
    for name in pairs(in_c) do square[name] = square[name] end
    return next, square
  end,
})
