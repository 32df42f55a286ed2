-- Two snapshots downloaded at once under luv (libuv), beside other work.
--   SQUARE_API_KEY=... lua luv.lua APP_ID APP_ID [FOLDER]
-- For other servers: base_url, snapshots_url, ca_file in the environment.

local square = require "squarecloud"
local uv = require "luv"

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

local poll = uv.new_poll(client:pollfd())
local function step()
  if client:step(0) > 0 then return end
  poll:stop()
  poll:close(function() client:close() end)
end
poll:start("r", step)
step() -- perhaps nothing waits, and the descriptor will never be readable

local timer, ticks = uv.new_timer(), 0 -- anything else that the loop does
timer:start(10, 10, function()
  ticks = ticks + 1
  print("tick " .. ticks)
  if ticks == 3 then timer:close() end
end)

uv.run()
for _, task in ipairs(all) do task:wait() end -- raises what a task raised
