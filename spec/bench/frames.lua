-- A host that draws 60 frames a second while a download runs at full speed
-- over TLS: how long step(0) takes, from the first request of a new engine to
-- the last word (handshake, final sync, ZIP check and rename included), and
-- how much of a blocking download's speed is kept. Pairs in turn.
--   lua5.4 spec/bench/frames.lua [MIB]
package.path = "./?.lua;" .. package.path

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local socket = require "socket"

local MIB = tonumber((...) or 384)
local PAIRS, FRAME = 5, 1 / 60

local function show(what, value, goal, detail)
  print(("%-44s %6.3f   goal %s   %s"):format(what, value, goal, detail))
end

-- The value that this share of the sorted list is not above.
local function quantile(list, share)
  return list[math.max(math.ceil(share * #list), 1)]
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

local s <close> = server.start()
s:configure { record = false }
local dir <close> = helpers.tmpdir()
local large = dir .. "/large.zip"
downloads.write_large(large, MIB)
local size = #helpers.read_file(large)
local url = s:put_file("large.zip", { path = large })
  :gsub("^http://[^/]*", s.https1)

-- A client's first download, whose engine is made for it; gives the seconds.
local function timed(segments, download)
  collectgarbage()
  collectgarbage()
  local client = helpers.client(s)
  local options = { url = url, path = dir.path, segments = segments,
    filename = "copy.zip", progress = function() end }
  local start = socket.gettime()
  local zip <close> = download(client, options)
  local seconds = socket.gettime() - start
  assert(zip.bytes == size)
  client:close()
  os.remove(zip.path)
  return seconds
end

local function blocking(client, options)
  return assert(client:download(options))
end

-- The times of all steps go to `times`, that of the spawn, which starts the
-- engine, to `spawns`: milliseconds.
local function at_60_steps(times, spawns)
  return function(client, options)
    local next_frame = socket.gettime()
    local task = client:spawn(client.download, client, options)
    spawns[#spawns + 1] = (socket.gettime() - next_frame) * 1000
    repeat
      next_frame = next_frame + FRAME
      socket.sleep(math.max(next_frame - socket.gettime(), 0))
      local start = socket.gettime()
      local unfinished = client:step(0)
      times[#times + 1] = (socket.gettime() - start) * 1000
    until unfinished == 0
    return assert(task:wait())
  end
end

for _, segments in ipairs { 1, 8 } do
  local times, spawns, ratios, speeds = {}, {}, {}, {}
  timed(segments, blocking) -- what is read once is in memory then
  for i = 1, PAIRS do
    local bare = timed(segments, blocking)
    local stepped = timed(segments, at_60_steps(times, spawns))
    ratios[i], speeds[i] = bare / stepped, size / stepped / 2 ^ 20
  end
  table.sort(times)
  local name = segments == 1 and "1 segment" or segments .. " segments"
  local count = ("%d steps"):format(#times)
  show("step(0), p50, ms, " .. name, quantile(times, 0.5), "-      ", count)
  show("step(0), p99, ms, " .. name, quantile(times, 0.99), "< 0.100", count)
  show("step(0), max, ms, " .. name, times[#times], "< 1    ", count)
  show("spawn of an engine's first task, ms", median(spawns), "-      ",
    name)
  show("60 steps a second, speed / blocking, " .. name, median(ratios),
    ">= 0.95", ("%.0f MiB/s"):format(median(speeds)))
end
