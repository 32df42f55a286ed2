--- A real proxy, tinyproxy, seen from a spec.
--
--   local proxy <close> = Proxy.start()
--   proxy.url            "http://127.0.0.1:<port>"
--   proxy:tunnels()      what it was asked to CONNECT to: "host:port", in order
--
-- Owns the process (a child of this one, behind a shell that ends it when this
-- one is gone, however it went) with its temporary folder. It ends with
-- `stop`, or when the object is closed or collected.

local lfs = require "lfs"
local socket = require "socket"
local helpers = require "spec.support.helpers"

local Proxy = {}
Proxy.__index = Proxy

local START_SECONDS = 10

local CONF = [[
Port %d
Listen 127.0.0.1
Timeout 600
MaxClients 50
LogFile "%s/log"
LogLevel Connect
DisableViaHeader Yes
%s
]]

-- The shell waits for the end of its input, which is ours to close.
local COMMAND = [[
trap '' INT HUP
PATH="${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin"
tinyproxy -d -c '%s/conf' </dev/null >'%s/out' 2>&1 &
cat >/dev/null
kill $!
wait
rm -rf '%s'
]]

--- A port of 127.0.0.1 where nobody listens, for now.
function Proxy.free_port()
  local held = assert(socket.bind("127.0.0.1", 0))
  local _, port = held:getsockname()
  held:close()
  return math.tointeger(tonumber(port))
end

--- Starts one; raises when it does not come up.
-- @param opts port (a free one), user and password (then asked for)
function Proxy.start(opts)
  opts = opts or {}
  local self = setmetatable({ port = opts.port or Proxy.free_port() }, Proxy)
  self.dir = helpers.tmpdir()
  self.url = "http://127.0.0.1:" .. self.port
  local dir = tostring(self.dir)
  helpers.write_file(dir .. "/conf", CONF:format(self.port, dir,
    opts.user and ("BasicAuth %s %s"):format(opts.user, opts.password) or ""))
  self.process = assert(io.popen(COMMAND:format(dir, dir, dir), "w"))
  local deadline = socket.gettime() + START_SECONDS
  repeat
    local probe = socket.tcp()
    local reached = probe:connect("127.0.0.1", self.port)
    probe:close()
    if reached then return self end
    socket.sleep(0.005)
  until socket.gettime() > deadline
  local words = helpers.read_file(dir .. "/out")
  self:stop()
  error("tinyproxy did not start: " .. words, 2)
end

--- What was asked for.
function Proxy:tunnels()
  local list, log = {}, self.dir.path .. "/log"
  if not lfs.attributes(log) then return list end
  for target in helpers.read_file(log):gmatch(
    "Request %(file descriptor %d+%): CONNECT (%S+) HTTP") do
    list[#list + 1] = target
  end
  return list
end

--- Ends the process and removes its folder; a second time does nothing.
function Proxy:stop()
  local process = self.process
  self.process = nil
  if not process then return end
  process:close() -- waits for it
end

Proxy.__close = Proxy.stop
Proxy.__gc = Proxy.stop

return Proxy
