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
  it("is what the call raises", function()
    local s = server.shared()
    local client <close> = helpers.client(s)
    assert(client:account())
    local decoders, raised = find_decoders(), 0
    -- in a coroutine: this one may have a hook that cannot be put back
    local thread = coroutine.create(function()
      return pcall(client.account, client)
    end)
    debug.sethook(thread, function()
      if decoders[debug.getinfo(2, "f").func] then
        debug.sethook()
        raised = raised + 1
        error("interrupted!", 0)
      end
    end, "c")
    local _, ok, err = coroutine.resume(thread)
    assert.equal(1, raised)
    assert.is_false(ok)
    assert.equal("interrupted!", err)
    assert(client:account())
  end)
end)
