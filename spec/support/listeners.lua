--- Sockets on loopback that the test server needs beside nginx: ports that are
-- free, and listeners that never accept. Owns nothing: the caller closes.

local socket = require "socket"

local listeners = {}

local function port_of(listener)
  return math.tointeger(tonumber((select(2, listener:getsockname()))))
end

--- Whether this machine has IPv6's loopback.
function listeners.has_ipv6()
  local probe = socket.tcp6 and socket.tcp6()
  local bound = probe and probe:bind("::1", 0)
  if probe then probe:close() end
  return bound ~= nil
end

--- Free ports, one per name: all are held at once, so none comes twice.
function listeners.free_ports(names)
  local held, ports = {}, {}
  for i, name in ipairs(names) do
    held[i] = assert(socket.bind("127.0.0.1", 0))
    ports[name] = port_of(held[i])
  end
  for _, one in ipairs(held) do one:close() end
  return ports
end

--- A listener that takes connections and says nothing, and its port.
function listeners.silent()
  local listener = assert(socket.bind("127.0.0.1", 0, 64))
  return listener, port_of(listener)
end

--- A listener whose queue is full, so that further connections hang in the
-- handshake: the sockets that make it so, and its port.
function listeners.black_hole()
  local listener = assert(socket.bind("127.0.0.1", 0, 0))
  local held, port = { listener }, port_of(listener)
  for _ = 1, 4 do
    local one = socket.tcp()
    one:settimeout(0)
    one:connect("127.0.0.1", port)
    held[#held + 1] = one
  end
  return held, port
end

return listeners
