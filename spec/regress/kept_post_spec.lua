--- A connection that a POST had made was kept, though a POST always makes its
-- own: each left one more, they died with the server's idle time, and the next
-- GET was sent on a dead one ("Send failure: Broken pipe", then tried again).

local lfs = require "lfs"
local socket = require "socket"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local tasks = require "spec.support.tasks"

-- How many connections to `port` this process has open, dead ones included.
local function open_to(port)
  local mine, count = {}, 0
  for name in lfs.dir "/proc/self/fd" do
    local target = lfs.symlinkattributes("/proc/self/fd/" .. name, "target")
    local inode = target and target:match "^socket:%[(%d+)%]$"
    if inode then mine[inode] = true end
  end
  local pattern = "^%s*%d+: %S+ %x+:(%x+) " .. ("%S+%s+"):rep(6) .. "(%d+)"
  for _, name in ipairs { "tcp", "tcp6" } do
    local file <close> = io.open("/proc/self/net/" .. name)
    for line in file and file:lines() or function() end do
      local remote, inode = line:match(pattern)
      if mine[inode] and tonumber(remote, 16) == port then count = count + 1 end
    end
  end
  return count
end

describe("a connection that a POST made", function()
  for _, listener in ipairs { "http", "https", "https1" } do
    it("is not kept for a GET, over " .. listener, function()
      local s <close> = server.start()
      local port = s.ports[listener]
      local client <close> = helpers.client(s,
        { base_url = s[listener] .. "/v2", retries = 0 })
      for _, app in ipairs(s.apps) do assert(client:snapshot(app)) end
      assert.is_nil((client:snapshot "nobody"))
      -- the server would keep them for longer than this waits
      downloads.wait(function() return open_to(port) == 0 end,
        "the end of the POSTs' connections")
      assert(client:account())
      assert(client:account())
      assert.equal(1, open_to(port))
      local seen = {}
      for _, one in ipairs(s:requests()) do
        seen[#seen + 1] = one.method .. " " .. one.connection_requests
      end
      assert.same({ "POST 1", "POST 1", "POST 1", "POST 1", "GET 1", "GET 2" },
        seen)
    end)
  end

  -- libcurl 8.10 to 8.21 waits for the peer's goodbye under TLS, and forgets
  -- to look at the clock while it does.
  it("is closed where the peer never answers the goodbye", function()
    local s <close> = server.start()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    local client <close> = helpers.client(s,
      { base_url = ("https://127.0.0.1:%s/v2"):format(port), retries = 0 })
    local task = client:spawn(client.snapshot, client, s.apps[1])
    listener:settimeout(0)
    local near = tasks.step_until(client,
      function() return listener:accept() end)
    local far = assert(socket.connect("127.0.0.1", s.ports.https1))
    local function pass_on(from, to)
      from:settimeout(0)
      local all, _, part = from:receive(2 ^ 20)
      to:send(all or part)
    end
    local has_asked
    tasks.step_until(client, function()
      -- a goodbye comes after the request, and goes nowhere
      has_asked = has_asked or #s:requests() == 1
      if not has_asked then pass_on(near, far) end
      pass_on(far, near)
      return task.status ~= "running"
    end)
    assert(task:wait(0))
    downloads.wait(function() return open_to(tonumber(port)) == 0 end,
      "the end of the POST's connection")
    for _, one in ipairs { listener, near, far } do one:close() end
  end)
end)
