-- squarecloud: Square Cloud's snapshots, from Lua.  The face of the module:
-- what is in C (squarecloud.core) and what is in Lua, under one name.  Each
-- part loads when it is first used: that in C brings libcurl and some thirty
-- libraries of libcurl's, which take longer than all the rest.

-- Hosts take such functions away from the scripts that they run.
local next, package, pairs, require = next, package, pairs, require

local in_c = { Client = true, open_zip = true, version = true }
local in_lua = { retention = true, mirror = true, progress = true }

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
local path = package and package.searchpath("squarecloud.core", package.cpath)
if not (path and path:find "^/") then require "squarecloud.core" end

return setmetatable(square, {
  __index = function(_, name)
    local value
    if in_c[name] then
      value = require("squarecloud.core")[name]
    elseif in_lua[name] then
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
