-- Measures a mirror of 10 000 snapshots (of 100 applications, on this disk):
-- listing it, and a prune's dry run with four rules; seconds, the best of
-- five, each from files that were just written, so in the system's cache.
-- Run from the top folder: lua5.4 spec/bench/mirror.lua

package.path = "./?.lua;" .. package.path

local helpers = require "spec.support.helpers"
local mirrors = require "spec.support.mirrors"
local socket = require "socket"
local square = require "squarecloud"
local zips = require "spec.support.zips"

local COUNT, IDS = 10000, 100
local NOW = 1751000000

local function report(what, figure, goal)
  print(("mirror: %-45s %9.3f s  (goal < %g)%s"):format(what, figure, goal,
    figure < goal and "" or "  MISSED"))
end

local function best_of_five(work)
  local best = math.huge
  for _ = 1, 5 do
    collectgarbage()
    local start = socket.gettime()
    work()
    best = math.min(best, socket.gettime() - start)
  end
  return best
end

local folder <close> = helpers.tmpdir()
local empty = zips.build {}
for i = 1, COUNT do
  mirrors.put(folder.path, { id = ("1d2cdc0d6ebd435c91315c6329d1%04d"):format(
    i % IDS), at = NOW - i // IDS * 86400, bytes = empty,
    version = ("45ec0b49-9af6-445e-a55c-abd7%08x"):format(i) })
end
local m <close> = assert(square.mirror.open(folder.path))

report(COUNT .. " snapshots listed", best_of_five(function()
  assert(#assert(m:list()) == COUNT)
end), 1)

report(COUNT .. " snapshots, a prune's dry run", best_of_five(function()
  local results = assert(m:prune({ keep_last = 3, keep_daily = 7,
    keep_weekly = 4, keep_monthly = 12 }, { dry_run = true, now = NOW }))
  assert(results.planned > 0 and results.kept > 0)
end), 1)
