--- Progress fell silent behind the first line where a script's own `write` or
-- `flush` returned nothing; over a file that was closed it raised.

local progress = require "squarecloud.progress"

describe("progress on a stream of a script's own", function()
  local stream, count

  before_each(function()
    count = 0
    stream = { flush = function() return true end }
    function stream:write() -- luacheck: ignore 212
      count = count + 1
      return true
    end
  end)

  local function write_three_lines(file)
    local bars <close> = progress.new { stream = file or stream }
    bars:add "a":finish()
    bars:print "more"
    bars:print "and more"
  end

  -- What write and flush may return, and how many lines it goes on for.
  local RETURNS = {
    ["nothing"] = { 3, table.pack() },
    ["nil"] = { 3, table.pack(nil) },
    ["a number"] = { 3, table.pack(5) },
    ["false"] = { 1, table.pack(false) },
    ["nil and why"] = { 1, table.pack(nil, "No space left on device", 28) },
  }
  for title, row in pairs(RETURNS) do
    for _, name in ipairs { "write", "flush" } do
      it(("writes %d of 3 lines when %s returns %s"):format(row[1], name,
        title), function()
          local before = stream[name]
          stream[name] = function(...)
            before(...)
            return table.unpack(row[2], 1, row[2].n)
          end
          write_three_lines()
          assert.equal(row[1], count)
        end)
    end
  end

  for _, name in ipairs { "write", "flush" } do
    it("raises what its functions raise: " .. name, function()
      local thrown = {}
      stream[name] = function() error(thrown) end
      local ok, raised = pcall(write_three_lines)
      assert.is_false(ok)
      assert.equal(thrown, raised)
    end)
  end

  it("that is a closed file writes nothing", function()
    local file = assert(io.tmpfile())
    file:close()
    write_three_lines(file)
  end)
end)
