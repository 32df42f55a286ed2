--- Runs the test server in the foreground, for a person: prints its addresses
-- and key, ends with Ctrl-C or the end of the input.
--   lua5.4 spec/support/run_server.lua

local root = arg[0]:match("^(.*)/spec/support/[^/]*$") or "."
package.path = root .. "/?.lua;" .. package.path

local socket = require "socket"
local server = require "spec.support.server"
local s <close> = server.start()

print("api          " .. s.base_url)
print("             " .. s.http_base_url)
print("store        " .. s.snapshots_url)
print("             " .. s.http_snapshots_url)
print("CA file      " .. s.ca_file)
print("key          " .. s.key)
print("apps         " .. table.concat(s.apps, " "))
print("databases    " .. table.concat(s.databases, " "))
print("files        " .. s.dir)
print("Ctrl-C ends it.")
io.stdout:flush()

-- Ctrl-C interrupts the waiting, and raises before the next round.
local input = { getfd = function() return 0 end,
  dirty = function() return false end }
pcall(function()
  repeat
    local readable = socket.select({ input }, nil, 0.5)
  until #readable > 0 and not io.read()
end)
