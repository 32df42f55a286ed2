-- Two snapshots downloaded at once under copas, beside other work.
--   SQUARE_API_KEY=... lua copas.lua APP_ID APP_ID [FOLDER]
-- For other servers: base_url, snapshots_url, ca_file in the environment.

local copas = require "copas"
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

-- To copas the client looks like a socket from which one thing is received:
-- that all tasks are done. Until then it is "timeout", and copas waits for the
-- descriptor.
local done = {
  getfd = function() return client:pollfd() end,
  close = function() end,
}
function done.receive()
  if client:step(0) > 0 then return nil, "timeout" end
  return "done"
end

local all = { client:spawn(back_up, first), client:spawn(back_up, second) }
local finished = false
copas.addthread(function()
  copas.receive(done)
  finished = true
end)

while not finished do copas.step() end
for _, task in ipairs(all) do task:wait() end -- raises what a task raised
client:close()
