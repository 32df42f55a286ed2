-- squarecloud: Square Cloud's snapshots, from Lua.  The face of the module:
-- what is in C (squarecloud.core) and what is in Lua, under one name.  Each
-- part loads when it is first used: that in C brings libcurl and some thirty
-- libraries of libcurl's, which take longer than all the rest.

local require = require -- hosts take it away
require "cjson" -- so that the part in C finds it then

local in_c = { Client = true, open_zip = true, version = true }
local in_lua = { retention = true, mirror = true, progress = true }

---@class squarecloud: squarecloud.core
---@field version string such as "0.1.0"
---@field retention squarecloud.retention which snapshots to keep
---@field mirror squarecloud.mirror a folder of verified snapshots
---@field progress squarecloud.progress bars for downloads
local square = {}

return setmetatable(square, {
  __index = function(_, name)
    if in_c[name] then
      square[name] = require("squarecloud.core")[name]
    elseif in_lua[name] then
      square[name] = require("squarecloud." .. name)
    end
    return rawget(square, name)
  end,
  __pairs = function()
    for name in pairs(in_c) do square[name] = square[name] end
    return next, square
  end,
})
