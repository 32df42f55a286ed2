-- make minutes: what every spec shortens, once at the platform's own length:
-- the first look for a snapshot that is made in the background (2 minutes), a
-- restore that settles (1 minute), a pause that a limit asks for without saying
-- how long (1 minute). It prints a line for each.

package.path = "./?.lua;" .. package.path
local socket = require "socket"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local times = require "spec.support.times"

times.set(nil) -- the platform's
local s <close> = server.start()

-- Runs `f` and says what took how long; it has to take `least` seconds, and not
-- half a minute more.
local function took(what, least, f)
  local begin = socket.gettime()
  f()
  local seconds = socket.gettime() - begin
  assert(seconds >= least and seconds < least + 30,
    ("%s took %.1f s instead of %d"):format(what, seconds, least))
  print(("minutes: %s: %.1f s"):format(what, seconds))
end

local app, other = s.apps[1], s.apps[2]
local client <close> = helpers.client(s)
assert(client:snapshot(other)) -- to be restored
s:configure { processing_ms = 1000 }

client:run(function()
  local tasks = {
    client:spawn(took, "a snapshot made in the background", 120, function()
      local made = assert(client:snapshot { app_id = app, wait = 600 })
      assert(made.version_id == assert(client:all_app_snapshots(app))[1]
        .version_id)
    end),
    client:spawn(took, "a restore", 60, function()
      assert(client:restore_snapshot { app_id = other, snapshot_id = other,
        version_id = assert(client:all_app_snapshots(other))[1].version_id,
        wait = 600 })
    end),
  }
  for _, task in ipairs(tasks) do task:wait() end
end)
assert(#s:requests { method = "POST" } == 3, "a POST was sent twice")

s:fault { fault = "rate_limited", code = "RATE_LIMIT", times = 1,
  match = { method = "GET" } }
took("a limit's pause", 60, function()
  assert(client:all_app_snapshots(app))
end)
