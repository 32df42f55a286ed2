--- A rehearsal left while its download began: the engine found the folder gone
-- and made it again, and there it stayed, empty, under TMPDIR.

local child = require "spec.support.child"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local tasks = require "spec.support.tasks"

describe("a rehearsal left at its first step", function()
  it("leaves no folder", function()
    local s, dir <close> = server.shared(), helpers.tmpdir()
    local out, err = child.run(tasks.PROLOGUE .. [[
      assert(client:snapshot(app))
      local info = assert(client:all_app_snapshots(app))[1]
      for _ = 1, 100 do
        client:spawn(client.rehearse_restore, client, info,
          { consent = true }):cancel()
      end
      assert(client:account()) -- the engine has taken and ended them all
      client:close()
      print "left"
    ]], tasks.arguments(s), { TMPDIR = dir.path })
    assert.equal("", err)
    assert.equal("left\n", out)
    assert.same({}, helpers.names(dir.path))
  end)
end)
