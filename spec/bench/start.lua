-- Measures how long squaresnap takes from its start to its first byte, beside
-- the interpreter alone: milliseconds, best and median of 40.
-- Run from the top folder: lua5.4 spec/bench/start.lua

local socket = require "socket"

local TURNS = 40

local COMMANDS = { "lua5.4 -e 'print(1)'", "squaresnap --version",
  "squaresnap --help", "squaresnap completion bash" }

print(("%-28s %8s %8s"):format("start to first byte, ms", "best", "median"))
for _, command in ipairs(COMMANDS) do
  local times = {}
  for i = 1, TURNS do
    local start = socket.gettime()
    local pipe <close> = assert(io.popen("exec " .. command, "r"))
    assert(pipe:read(1))
    times[i] = (socket.gettime() - start) * 1e3
    pipe:read "a"
  end
  table.sort(times)
  print(("%-28s %8.1f %8.1f"):format(command, times[1], times[TURNS // 2]))
end
