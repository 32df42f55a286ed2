--- Where a file system has no way to rename without replacing and says so in
-- another way than by EINVAL, nothing could be extracted there, while a
-- download came to its name.

local failing = require "spec.support.failing"

local EPERM, EINVAL, EOPNOTSUPP = 1, 22, 95

local SCRIPT = [[
  local helpers = require "spec.support.helpers"
  local square = require "squarecloud"
  local zips = require "spec.support.zips"
  local errno = ...
  local dir <close> = helpers.tmpdir()
  helpers.write_file(dir .. "/a.zip", zips.build {
    { name = "x/one.txt", data = "one" }, { name = "two.txt", data = "two" } })
  local zip <close> = assert(square.open_zip(dir .. "/a.zip"))
  local function extract() return zip:extract(dir .. "/to") end
  print(select(3, shim.call("core", "renameat2", 1, 1000000,
    math.tointeger(errno), extract)))
  print(helpers.read_file(dir .. "/to/x/one.txt"), #helpers.names(dir .. "/to"))
  print(select(3, shim.call("core", "renameat2", 1, 1000000,
    math.tointeger(errno), extract)))
]]

describe("extracting where renameat2 is refused", function()
  for _, errno in ipairs { EPERM, EINVAL, EOPNOTSUPP } do
    it(("with errno %d works, and replaces nothing"):format(errno), function()
      local out, code = failing.run(SCRIPT, { tostring(errno) })
      assert.equal(0, code, out)
      assert.matches("^ok\t2\tnil\none\t2\nok\tnil\t[^:]*: exists: ", out)
    end)
  end
end)
