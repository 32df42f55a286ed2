-- Backups of many applications from one script: a snapshot of each is created,
-- as fast as the platform takes them (the client keeps that pace), and
-- downloaded, a few at a time, with one line of progress for each.
--   SQUARE_API_KEY=... lua many_apps.lua FOLDER [APP_ID...]
-- Without ids: every application of the account. In the environment:
-- `concurrency` (transfers at once); for other servers base_url,
-- snapshots_url, ca_file.

local square = require "squarecloud"

local folder = assert((...), "which folder?")
local app_ids = { select(2, ...) }
local client <close> = square.Client {
  api_key = os.getenv "SQUARE_API_KEY",
  base_url = os.getenv "base_url",
  snapshots_url = os.getenv "snapshots_url",
  ca_file = os.getenv "ca_file",
  concurrency = math.tointeger(os.getenv "concurrency" or 4),
}

if #app_ids == 0 then
  for i, app in ipairs(assert(client:account()).response.applications) do
    app_ids[i] = app.id
  end
end

local bars <close> = square.progress.new {}
bars:expect(#app_ids)

local succeeded, failed = 0, 0

local function back_up(app_id)
  local snapshot = assert(client:snapshot { app_id = app_id, wait = 2400 })
  local bar = bars:add(app_id)
  local zip, err = snapshot:download {
    path = folder,
    progress = function(...) bar(...) end,
  }
  bar:finish(err and err.kind)
  assert(zip, err):close()
end

client:run(function()
  for _, app_id in ipairs(app_ids) do
    client:spawn(function()
      local ok, err = pcall(back_up, app_id)
      succeeded, failed = succeeded + (ok and 1 or 0), failed + (ok and 0 or 1)
      if not ok then bars:print(app_id .. ": " .. tostring(err)) end
    end)
  end
end)

bars:close()
print(("%d of %d backed up"):format(succeeded, #app_ids))
os.exit(failed == 0, true)
