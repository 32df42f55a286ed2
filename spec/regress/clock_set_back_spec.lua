-- Between two creates, squaresnap waited for as long as the wall clock had been
-- set back meanwhile.

local child = require "spec.support.child"
local lifetimes = require "spec.support.lifetimes"

-- The command's part, with a session that only notes how long it waits: a real
-- one would wait.
local SCRIPT = [[
  local waits, client = {}, {}
  function client:snapshot() return nil, { kind = "server" } end
  function client:sleep(seconds) waits[#waits + 1] = seconds end
  local function nothing() end
  require "squarecloud.cli.create" { options = { id = { 1, 2, 3, 4, 5, 6 } },
    client = function() return client end, console = { document = nothing },
    application_type = nothing, under_way = nothing, report = nothing }
  print(table.unpack(waits))
]]

describe("a wall clock that is set back between two creates", function()
  it("makes the second wait no longer than the platform's pace", function()
    local out, err = child.run(SCRIPT, {}, { LD_PRELOAD = lifetimes.jump(),
      JUMP_SECONDS = 86400 })
    assert.equal("", err)
    assert.matches("^[\t5]+\n$", out)
  end)
end)
