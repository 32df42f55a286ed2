-- Two snapshots downloaded at once in a host that draws 60 frames a second
-- and must never be held up: a game, a simulation.
--   SQUARE_API_KEY=... lua frame_loop.lua APP_ID APP_ID [FOLDER]
-- For other servers: base_url, snapshots_url, ca_file in the environment.

local socket = require "socket" -- for its clock and sleep; any will do
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

local game = {}

function game.update(_dt)
  return client:step(0) -- handles what has come, and waits for nothing
end

function game.draw() end

local FRAME = 1 / 60
local frames, last, next_frame = 0, socket.gettime(), socket.gettime()
repeat
  local now = socket.gettime()
  local unfinished = game.update(now - last)
  game.draw()
  frames, last, next_frame = frames + 1, now, next_frame + FRAME
  socket.sleep(math.max(next_frame - socket.gettime(), 0))
until unfinished == 0

for _, task in ipairs(all) do task:wait() end -- raises what a task raised
print(frames .. " frames")
client:close()
