--- Downloads onto file systems that refuse a call (network file systems, some
-- sandboxes): they are whole all the same, and the trace says what was done
-- instead. More of how: base/part_spec.lua.

local failing = require "spec.support.failing"

local EINVAL, ENOLCK = 22, 37

-- Downloads with every call of that name refused; prints the error if any, what
-- the trace told of the file, and what is in the folder then.
local SCRIPT = [[
  local helpers = require "spec.support.helpers"
  local server = require "spec.support.server"
  local what, errno = ...
  local dir <close> = helpers.tmpdir()
  local s <close> = server.start()
  local client <close> = helpers.client(s, { trace = function(one)
    if one.event == "file" then print(one.detail) end
  end })
  local snapshot = assert(client:snapshot(s.apps[1]))
  local _, _, outcome, zip, err = shim.call("core", what, 1, 1000000,
    math.tointeger(errno), function()
      return snapshot:download { path = dir.path, filename = "a.zip" }
    end)
  print(outcome, err or assert(zip:test()))
  zip:close()
  print(table.concat(helpers.names(dir.path), " "))
]]

describe("a download where the file system refuses", function()
  for _, row in ipairs {
    { "flock", ENOLCK, "no flock here: locked by a file" },
    { "renameat2", EINVAL, "no renameat2 here: named by a link" },
    { "fsync", EINVAL, "the folder cannot be synced here" },
  } do
    local what, errno, told = table.unpack(row)
    it(what .. " is whole, and the trace tells of it", function()
      local out, code = failing.run(SCRIPT, { what, tostring(errno) })
      assert.equal(told .. "\nok\ttrue\na.zip\n", out)
      assert.equal(0, code)
    end)
  end
end)
