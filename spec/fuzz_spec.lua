-- What the fuzz targets state holds over the corpus that is kept with them:
-- seeds, and each input that once broke something. make fuzz looks for more.

local lfs = require "lfs"
local helpers = require "spec.support.helpers"

local CORPUS = "spec/fuzz/corpus/"

local function count_files(target)
  local n = 0
  for _ in pairs(helpers.names(CORPUS .. target)) do n = n + 1 end
  return n
end

describe("every fuzz target", function()
  it("holds over its corpus", function()
    local folder <close> = helpers.tmpdir()
    local pipe = io.popen(("sh spec/fuzz/replay.sh %s 2>&1")
      :format(tostring(folder)))
    local out = pipe:read "a"
    assert.is_true(pipe:close(), out)
    for name in lfs.dir "spec/fuzz" do
      local target = name:match "^(.*)_fuzz%.c$"
      if target then
        local n = out:match("%f[%w]" .. target .. " (%d+)\n")
        assert.are.equal(count_files(target), math.tointeger(tonumber(n)))
      end
    end
  end)
end)
