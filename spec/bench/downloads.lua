--- The speed and memory of downloads, as ratios within one run: what is
-- compared takes turns, on fresh files, and medians are shown.
--   lua5.4 spec/bench/downloads.lua FOLDER [MODULES]
-- FOLDER: on a real disk, made and removed. MODULES: a folder with the
-- platform's JavaScript client in node_modules, as `make peers` leaves it.
--
-- Every command here puts the bytes on the disk (`sync -d` after those that
-- do not); `unzip -tqq` does what verify="full" does.
--
-- Environment: BENCH_MIB (1024), BENCH_PAIRS (5), BENCH_SHAPED_MIB (160).
package.path = "./?.lua;" .. package.path

local lfs = require "lfs"
local socket = require "socket"
local archive = require "spec.support.archive"
local peer_command = require "spec.peers.command"
local helpers = require "spec.support.helpers"
local quote = require("spec.support.quote").shell
local server = require "spec.support.server"

local work, modules = ...

local function setting(name, default)
  return math.tointeger(tonumber(os.getenv("BENCH_" .. name) or default))
end

local MIB, PAIRS = setting("MIB", 1024), setting("PAIRS", 5)
local SHAPED_MIB, SHAPED = setting("SHAPED_MIB", 160), 20 * 1000 * 1000
local POLL = 0.02

local function median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local n = #sorted
  return (sorted[(n + 1) // 2] + sorted[n // 2 + 1]) / 2
end

-- The largest memory so far of a process, MiB; nil once it has ended.
local function peak_of(pid)
  local file <close> = io.open(("/proc/%d/status"):format(pid))
  local kib = file and (file:read "a" or ""):match "VmHWM:%s*(%d+)"
  return kib and kib / 1024
end

-- Runs one command; its peak is looked up while it runs.
local function run(command)
  local pipe = assert(io.popen("echo $$; exec " .. command, "r"))
  local pid, peak = pipe:read "n", 0
  while true do
    local now = peak_of(pid)
    if not now then break end
    peak = now
    socket.sleep(POLL)
  end
  local ok = pipe:close()
  if not ok then error("failed: " .. command, 0) end
  return peak
end

-------------------------------------------------------------- the contestants

helpers.remove(work)
assert(lfs.mkdir(work))
local s <close> = server.start()
s:configure { record = false }
local file = work .. "/file.zip"

local big = work .. "/big.zip"
local size = archive.deflated(big, MIB)
local shaped = work .. "/shaped.zip"
archive.deflated(shaped, SHAPED_MIB)
local small = work .. "/small.zip"
archive.deflated(small, 1)

local function put(name, path)
  local url = s:put_file(name, { path = path })
  return { HTTP = url, TLS = url:gsub("^http://[^/]+", s.https1) }
end

local urls, shaped_urls = put("big.zip", big), put("shaped.zip", shaped)
local small_urls = put("small.zip", small)

local function ours(url, verify, segments, small_url)
  return ("lua5.4 spec/bench/download.lua %s %s %s file.zip %s %d %s"):format(
    quote(url), quote(s.ca_file), quote(work), verify, segments,
    small_url and quote(small_url) or "")
end

local function curl(url)
  return ("curl -sS --fail --cacert %s -o %s %s"):format(quote(s.ca_file),
    quote(file), quote(url))
end

local sync, unzip = "sync -d " .. quote(file), "unzip -tqq " .. quote(file)

local function peer()
  s:add_snapshot { app = s.apps[1], path = big }
  return peer_command(s, modules, "spec/bench/peer.cjs", file, s.apps[1])
end

-------------------------------------------------------------------- measuring

-- How many seconds the commands take, one after the other, and the largest
-- peak. The last one's file is gone from the disk before.
local function timed(commands)
  os.remove(file)
  os.execute("sync -f " .. quote(work))
  local peak, start = 0, socket.gettime()
  for _, command in ipairs(commands) do peak = math.max(peak, run(command)) end
  return socket.gettime() - start, peak
end

-- Lets the contestants take turns: { name, commands, to = another's name,
-- goal = text }. Returns them with `seconds`, `ratios`, `peak`.
local function compete(list, pairs_wanted)
  local by_name = {}
  for _, one in ipairs(list) do
    by_name[one.name], one.seconds, one.ratios, one.peak = one, {}, {}, 0
  end
  for i = 1, pairs_wanted do
    for _, one in ipairs(list) do
      local seconds, peak = timed(one.commands)
      one.seconds[i], one.peak = seconds, math.max(one.peak, peak)
    end
    for _, one in ipairs(list) do
      local to = by_name[one.to]
      if to then one.ratios[i] = one.seconds[i] / to.seconds[i] end
    end
  end
  return list
end

local function show(title, list)
  print(("\n%-40s %8s %7s %13s  %-8s %8s"):format(title, "seconds", "ratio",
    "from .. to", "goal", "peak MiB"))
  for _, one in ipairs(list) do
    local ratio, spread = "", ""
    if #one.ratios > 0 then
      table.sort(one.ratios)
      ratio = ("%.2f"):format(median(one.ratios))
      spread = ("%.2f .. %.2f"):format(one.ratios[1], one.ratios[#one.ratios])
    end
    print(("%-40s %8.2f %7s %13s  %-8s %8.1f"):format("  " .. one.name,
      median(one.seconds), ratio, spread, one.goal or "", one.peak))
  end
  io.flush()
end

------------------------------------------------------------------------ runs

print(("downloads: %d MiB, medians of %d; ratio: to the row that is named, in "
  .. "turn with it"):format(size >> 20, PAIRS))

local function unshaped(scheme)
  local url = urls[scheme]
  local plain, checked = "curl && sync", "curl && sync && unzip -tqq"
  local list = {
    { name = plain, commands = { curl(url), sync } },
    { name = "ours, verify=false", to = plain, goal = "<= 0.85",
      commands = { ours(url, "false", 1) } },
    { name = "ours, structure", to = plain,
      commands = { ours(url, "structure", 1) } },
    { name = "ours, verify=false, 4 segments", to = plain,
      commands = { ours(url, "false", 4) } },
    { name = "ours, verify=false, 8 segments", to = plain,
      commands = { ours(url, "false", 8) } },
    { name = checked, commands = { curl(url), sync, unzip } },
    { name = "ours, full", to = checked, goal = "<= 0.60",
      commands = { ours(url, "full", 1) } },
  }
  if scheme == "HTTP" then
    list[#list + 1] = { name = "cp && sync", to = plain,
      commands = { ("cp %s %s"):format(quote(big), quote(file)), sync } }
  elseif modules and lfs.attributes(modules .. "/node_modules") then
    list[#list + 1] = { name = "@squarecloud/api && sync", to = plain,
      commands = { peer(), sync } }
  else
    print "\n(without the JavaScript client: `make peers` installs it)"
  end
  show("over " .. scheme, compete(list, PAIRS))
end

local function shaped_run()
  local url, one = shaped_urls.HTTP, "ours, 1 segment"
  s:configure { limit_rate = SHAPED }
  local list = compete({
    { name = "curl && sync", to = one, commands = { curl(url), sync } },
    { name = one, commands = { ours(url, "false", 1) } },
    { name = "ours, 4 segments", to = one,
      commands = { ours(url, "false", 4) } },
    { name = "ours, 8 segments", to = one, goal = "<= 0.143",
      commands = { ours(url, "false", 8) } },
  }, math.min(PAIRS, 3))
  s:configure { limit_rate = s.null }
  show(("%d MiB, 20 MB/s a connection"):format(SHAPED_MIB), list)
  print(("  8 segments: %.1f times one stream   goal >= 7"):format(
    1 / median(list[4].ratios)))
end

-- "more" is above idle: the engine and TLS up, a small download done.
local function memory()
  print(("\n%-40s %8s %8s %8s %8s  goal <= 4"):format("peak memory, MiB",
    "at start", "idle", "peak", "more"))
  for _, scheme in ipairs { "HTTP", "TLS" } do
    for _, mode in ipairs { "false 1", "structure 1", "full 1", "false 4",
      "false 8", "full 8" } do
      local verify, segments = mode:match "(%S+) (%d)"
      os.remove(file)
      local pipe = assert(io.popen(ours(urls[scheme], verify, segments,
        small_urls[scheme])))
      local begun, idle, peak = pipe:read("n", "n", "n")
      assert(pipe:close())
      local name = ("  %s, verify=%s, segments=%s"):format(scheme, verify,
        segments)
      print(("%-40s %8.1f %8.1f %8.1f %8.1f"):format(name, begun / 1024,
        idle / 1024, peak / 1024, (peak - idle) / 1024))
    end
  end
end

memory()
shaped_run()
unshaped "HTTP"
unshaped "TLS"
helpers.remove(work)
