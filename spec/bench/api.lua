-- The API's speed as ratios within one run: pairs in turn, medians.
--   lua5.4 spec/bench/api.lua CURL_LOOP
package.path = "./?.lua;" .. package.path

local curl_loop = ...
local server = require "spec.support.server"
local socket = require "socket"
local cjson = require "cjson"

local CALLS, PAIRS = 500, 21 -- short ones: the machine is shared

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

local function show(what, ratio, goal, detail)
  print(("%-44s %6.2f   goal %s   %s"):format(what, ratio, goal, detail))
end

local function timed(work)
  local start = socket.gettime()
  work()
  return socket.gettime() - start
end

local function run(command)
  local pipe = assert(io.popen(command))
  local out = pipe:read "n"
  assert(pipe:close(), command)
  return out
end

local function cpu_ms(code)
  local times = {}
  for i = 1, 9 do
    times[i] = run(([[lua5.4 -e 'local c = os.clock; local s = c()
      %s; io.write((c() - s) * 1000)']]):format(code))
  end
  return median(times)
end

show("require \"squarecloud\", ms", cpu_ms 'require "squarecloud"', "<= 5   ",
  ("with its first client %.1f, libcurl's loading among it"):format(
    cpu_ms 'require "squarecloud".Client "key"'))

local square = require "squarecloud"
local s <close> = server.start()
s:configure { record = false }
local app = s.apps[1]
s:add_snapshot { app = app, bytes = "PK" }

local function compare(what, base, goal)
  local client <close> = square.Client {
    api_key = s.key, base_url = base .. "/v2", snapshots_url = base,
    ca_file = s.ca_file, proxy = "",
  }
  local url = base .. "/v2/apps/" .. app .. "/snapshots"
  local ratios, ours, bare = {}, {}, {}
  assert(client:all_app_snapshots(app))
  for i = 1, PAIRS do
    ours[i] = timed(function()
      for _ = 1, CALLS do assert(client:all_app_snapshots(app)) end
    end)
    bare[i] = run(("%s %s %s %s %d"):format(curl_loop, url, s.key, s.ca_file,
      CALLS))
    ratios[i] = bare[i] / ours[i]
  end
  show(what, median(ratios), goal, ("%d calls/s; bare libcurl %d calls/s")
    :format(CALLS / median(ours) // 1, CALLS / median(bare) // 1))
end

compare("list calls, rate / bare libcurl, plain", s.http, ">= 0.70")
compare("list calls, rate / bare libcurl, TLS", s.https, ">= 0.85")

do
  local client <close> = square.Client {
    api_key = s.key, base_url = s.http_base_url, proxy = "",
  }
  local pipe = assert(io.popen(("curl -s -H 'Authorization: %s' "
    .. "%s/apps/listing-10000/snapshots"):format(s.key, s.http_base_url)))
  local text = pipe:read "a"
  pipe:close()
  local decode = cjson.new().decode
  local ratios, ours, bare = {}, {}, {}
  for i = -3, 31 do -- the first ones let TCP's window and the heap grow
    collectgarbage()
    ours[i] = timed(function()
      assert(#assert(client:all_app_snapshots "listing-10000") == 10000)
    end)
    collectgarbage()
    bare[i] = timed(function() assert(#decode(text).response == 10000) end)
    ratios[i] = ours[i] / bare[i]
  end
  show("10 000 entries, time / bare cjson.decode", median(ratios), "<= 1.50",
    ("%.1f ms, %.1f ms, %d bytes"):format(median(ours) * 1000,
      median(bare) * 1000, #text))
end
