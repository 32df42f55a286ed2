--- A Ctrl-C while a rehearsal that had raised was deleting its copy was warned
-- of and went no further: the script went on.

local child = require "spec.support.child"
local downloads = require "spec.support.downloads"
local lifetimes = require "spec.support.lifetimes"
local server = require "spec.support.server"
local tasks = require "spec.support.tasks"

local SCRIPT = tasks.PROLOGUE .. [[
  warn "@on"
  assert(client:snapshot(app))
  local info = assert(client:all_app_snapshots(app))[1]
  print(pcall(client.rehearse_restore, client, info, { consent = true,
    settle = 0, progress = function(step)
      if step ~= "start" then return end
      %s
      error "enough"
    end }))
]]

describe("a Ctrl-C while a rehearsal deletes what it leaves", function()
  it("is what the call raises, and the copy is told of", function()
    local s = server.shared()
    s:fault { fault = "stall", match = { method = "DELETE" } }
    local process = lifetimes.start_script(SCRIPT:format "",
      tasks.arguments(s))
    downloads.wait(function()
      return s:requests(function(request) return request.stalled end)[1]
    end, "the deletion to begin")
    os.execute("kill -INT " .. process.pid)
    local out, err, _, code = process.wait()
    s:release()
    assert.equal(0, code, err)
    assert.matches("^false\t[^\n]*interrupted!\n$", out)
    assert.matches("the copy %x+ is still there: [^\n]*interrupted!", err)
  end)

  it("is told from a client that is closed by then", function()
    local s = server.shared()
    local out, err = child.run(SCRIPT:format "client:close()",
      tasks.arguments(s))
    assert.matches("^false\t[^\n]*enough\n$", out)
    assert.matches("is still there: [^\n]*the client is closed", err)
  end)
end)
