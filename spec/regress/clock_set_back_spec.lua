-- Between two creates, squaresnap waited for as long as the wall clock had been
-- set back meanwhile.

local command = require "spec.support.command"
local lifetimes = require "spec.support.lifetimes"
local server = require "spec.support.server"

describe("a wall clock that is set back between two creates", function()
  it("makes the second wait no longer than the platform's pace", function()
    local s = server.shared()
    s:reset()
    local result = command.run(s, { "create", s.apps[1], s.apps[2] }, {
      times = { pace = 0.5 }, env = { LD_PRELOAD = lifetimes.jump(),
        JUMP_SECONDS = 86400 } })
    assert.equal(0, result.code, result.err)
    local posts = s:requests { method = "POST" }
    local apart = posts[2].time - posts[1].time
    assert.is_true(apart >= 0.4 and apart < 60, apart)
  end)
end)
