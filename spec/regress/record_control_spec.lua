-- Found by fuzzing: a part's record with control characters in its lines was
-- believed, though none like it is ever written.

local probe = require "store_probe"
local helpers = require "spec.support.helpers"

local function sealed(text)
  local h = 0xcbf29ce484222325
  for i = 1, #text do h = (h ~ text:byte(i)) * 0x100000001b3 end
  return ("%ssum %016x\n"):format(text, h)
end

describe("a record with a control character", function()
  local whole = 'squarecloud part 1\nobject /a%s\netag "e%s"\ntotal 4\n'
    .. "piece 0 0 4\n"

  it("is not believed", function()
    assert.is_table(probe.parse(sealed(whole:format("", ""))))
    assert.is_nil((probe.parse(sealed(whole:format("\17", "")))))
    assert.is_nil((probe.parse(sealed(whole:format("", "\t")))))
    local found = helpers.read_file "spec/fuzz/corpus/record/control_characters"
    assert.is_nil((probe.parse(sealed(found:sub(2)))))
  end)
end)
