--- What a hook raised while an answer was decoded (the interpreter's own, at
-- Ctrl-C) was taken for a fault of the answer: the interruption was lost.

local helpers = require "spec.support.helpers"
local server = require "spec.support.server"

-- The module's own functions of cjson, from the registry.
local function find_decoders()
  local found = {}
  for key, value in pairs(debug.getregistry()) do
    if type(key) == "userdata" and type(value) == "function" then
      found[value] = true
    end
  end
  return found
end

describe("a hook that raises while an answer is decoded", function()
  -- In the nth decoding: what a broken answer is decoded again for.
  local function is_raised(s, n)
    local client <close> = helpers.client(s)
    assert(client:all_app_snapshots(s.apps[1]))
    local decoders, raised = find_decoders(), 0
    -- in a coroutine: this one may have a hook that cannot be put back
    local thread = coroutine.create(function()
      return pcall(client.account, client)
    end)
    debug.sethook(thread, function()
      if not decoders[debug.getinfo(2, "f").func] then return end
      raised = raised + 1
      if raised < n then return end
      debug.sethook()
      error("interrupted!", 0)
    end, "c")
    local _, ok, err = coroutine.resume(thread)
    assert.equal(n, raised)
    assert.is_false(ok)
    assert.equal("interrupted!", err)
  end

  it("is what the call raises", function()
    local s = server.shared()
    is_raised(s, 1)
    s:fault { fault = "respond", match = { path = "/v2/users/me" },
      body = [[{"status":"success","response":"\ud800"}]] }
    is_raised(s, 1)
    is_raised(s, 2)
    s:clear_faults()
  end)
end)
