--- What a hook raised (the interpreter's own, at Ctrl-C) while a mirror read a
-- folder or a JSON was taken for a fault of theirs: the interruption was lost,
-- files were taken for foreign or missing, and a prune went on to remove.

local mirrors = require "spec.support.mirrors"

describe("a hook that raises while a mirror is looked through", function()
  local folder, dir, m

  before_each(function() folder, dir, m = mirrors.begin() end)
  after_each(function() mirrors.finish(folder, m) end)

  -- Lists the mirror where the nth function that is called raises, in a
  -- coroutine, since this one may have a hook that cannot be put back. Whether
  -- one did, and what pcall gave.
  local function interrupt(n)
    local raised = false
    local thread = coroutine.create(pcall)
    debug.sethook(thread, function()
      n = n - 1
      if n > 0 then return end
      debug.sethook()
      raised = true
      error("interrupted!", 0)
    end, "c")
    local _, ok, found = assert(coroutine.resume(thread, m.list, m))
    return raised, ok, found
  end

  it("is what the call raises, wherever that is", function()
    mirrors.put(dir, { version = "v1" })
    mirrors.put(dir, { version = "v2", at = mirrors.AT + 1, json = "{" })
    local n = 1 -- pcall itself
    local raised, ok, found
    repeat
      n = n + 1
      raised, ok, found = interrupt(n)
      if raised then
        assert.same({ n, false, "interrupted!" }, { n, ok, found })
      end
    until not raised
    assert.is_true(ok and n > 50)
    assert.equal(1, #found)
  end)
end)
