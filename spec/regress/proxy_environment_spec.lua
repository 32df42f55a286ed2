--- libcurl asked the environment for no_proxy with each request of a client
-- without a proxy, on the engine's thread: a race with a host's setenv.

local failing = require "spec.support.failing"

local SCRIPT = [[
  local helpers = require "spec.support.helpers"
  local server = require "spec.support.server"
  local dir <close> = helpers.tmpdir()
  local s <close> = server.start()
  local client <close> = helpers.client(s)
  local snapshot = assert(client:snapshot(s.apps[1]))
  local asked, _, outcome, ok, err = shim.call("curl", "getenv", 1, 0, 0,
    function()
      assert(client:account())
      local zip <close> = assert(snapshot:download(dir.path))
      return (zip:test())
    end)
  print(asked, outcome, ok, err)
]]

describe("a request without a proxy", function()
  it("asks nothing of the environment", function()
    local out, code = failing.run(SCRIPT)
    assert.equal("0\tok\ttrue\tnil\n", out)
    assert.equal(0, code)
  end)
end)
