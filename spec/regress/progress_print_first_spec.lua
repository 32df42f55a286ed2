--- On a terminal, a line printed before the first bar was added raised
-- "attempt to perform arithmetic on a nil value (field 'width')"; in a trace
-- function that turned tracing off.

local terminal = require "spec.support.terminal"

describe("progress on a terminal", function()
  it("prints a line before there is a bar", function()
    local bytes = terminal.run [[
      local bars <close> = require("squarecloud.progress").new {
        stream = io.stderr }
      bars:print "first of all"
      bars:add("a"):finish()
    ]]
    assert.matches("first of all", bytes, 1, true)
    assert.is_nil(bytes:find("attempt to", 1, true))
  end)
end)
