-- Two snapshots downloaded at once in a loop of one's own around luasocket's
-- select, beside other sockets.
--   SQUARE_API_KEY=... lua select.lua APP_ID APP_ID [FOLDER]
-- For other servers: base_url, snapshots_url, ca_file in the environment.

local socket = require "socket"
local square = require "squarecloud"

local client = square.Client {
  api_key = os.getenv "SQUARE_API_KEY",
  base_url = os.getenv "base_url",
  snapshots_url = os.getenv "snapshots_url",
  ca_file = os.getenv "ca_file",
}
local first, second, folder = ...

-- In a task: what would block yields instead.
local function back_up(app_id)
  local list = assert(client:all_app_snapshots(app_id))
  local zip <close> = assert(list[1]:download(folder or "."))
  print(("%s: %d bytes"):format(zip.path, zip.bytes))
end

local all = { client:spawn(back_up, first), client:spawn(back_up, second) }

local listener = assert(socket.bind("127.0.0.1", 0)) -- what else there is

while client:pending() > 0 do
  local readable = socket.select({ client, listener }, nil)
  if readable[listener] then listener:accept():close() end
  if readable[client] then client:step(0) end
end

for _, task in ipairs(all) do task:wait() end -- raises what a task raised
listener:close()
client:close()
