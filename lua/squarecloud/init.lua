-- squarecloud: Square Cloud's snapshots, from Lua.  The face of the module:
-- what is in C (squarecloud.core) and what is in Lua, under one name.  The
-- parts in Lua load when they are first used.

local core = require "squarecloud.core"

local parts = { retention = true, mirror = true, progress = true }

---@class squarecloud
---@field retention squarecloud.retention which snapshots to keep
---@field mirror squarecloud.mirror a folder of verified snapshots
---@field progress squarecloud.progress bars for downloads
local square = {
  Client = core.Client,
  open_zip = core.open_zip,
  version = core.version,
}

return setmetatable(square, {
  __index = function(_, name)
    if not parts[name] then return nil end
    local part = require("squarecloud." .. name)
    square[name] = part
    return part
  end,
})
