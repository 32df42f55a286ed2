-- Two snapshots downloaded at once under cqueues, beside other work.
--   SQUARE_API_KEY=... lua cqueues.lua APP_ID APP_ID [FOLDER]
-- For other servers: base_url, snapshots_url, ca_file in the environment.

local cqueues = require "cqueues"
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

local loop = cqueues.new()

loop:wrap(function()
  local a, b = client:spawn(back_up, first), client:spawn(back_up, second)
  while client:step(0) > 0 do
    cqueues.poll(client) -- the client is pollable as it is
  end
  a:wait()
  b:wait()
  cqueues.cancel(client:pollfd()) -- before a descriptor is closed
  client:close()
end)

loop:wrap(function() -- anything else that the loop does meanwhile
  for i = 1, 3 do
    cqueues.sleep(0.01)
    print("tick " .. i)
  end
end)

assert(loop:loop())
