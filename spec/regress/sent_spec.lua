--- `err.sent` was told of the last request of a call only: after a create or a
-- restore that was taken and then waited for, and of one whose client was
-- closed meanwhile, it said that nothing was sent.

local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local waits = require "spec.support.waits"

describe("err.sent", function()
  local s, client, app
  before_each(function()
    s = server.shared()
    s:reset()
    client = helpers.client(s, { retries = 0 })
    app = s.apps[1]
    waits.shorten()
  end)
  after_each(function()
    client:close()
    waits.restore()
    s:reset()
  end)

  local function is_sent(kind, none, err)
    assert.is_nil(none)
    assert.same({ kind, true }, { err.kind, err.sent })
  end

  it("holds while a created snapshot is waited for", function()
    s:configure { processing_ms = 60000 }
    is_sent("pending", client:snapshot { app_id = app, wait = 0.1 })
    for kind, answer in pairs {
      authentication = { status = 403, code = "ACCESS_DENIED" },
      protocol = { body = '{"status":"success","response":5}' },
    } do
      s:fault { fault = "respond", times = 1, match = { method = "GET" },
        status = answer.status, code = answer.code, body = answer.body }
      is_sent(kind, client:snapshot { app_id = app, wait = 20 })
    end
  end)

  it("holds while a restored application is waited for", function()
    assert(client:snapshot(app))
    local info = assert(client:all_app_snapshots(app))[1]
    local options = { app_id = app, snapshot_id = info.id,
      version_id = info.version_id, wait = 20 }
    s:fault { fault = "respond", status = 403, code = "ACCESS_DENIED",
      skip = 1, match = { pattern = "/status$" } }
    is_sent("authentication", client:restore_snapshot(options))
    s:clear_faults()
    options.wait = 0.1
    is_sent("pending", client:restore_snapshot(options))
  end)

  it("does not hold where the action was refused, or is a read", function()
    for _, options in ipairs { { app_id = "none" },
      { app_id = "none", wait = 20 } } do
      local _, err = client:snapshot(options)
      assert.same({ "not_found", false }, { err.kind, err.sent })
    end
    local _, err = client:all_app_snapshots "none"
    assert.same({ "not_found", false }, { err.kind, err.sent })
  end)

  it("holds where the client is closed while an action is under way",
    function()
      local other <close> = helpers.client(s)
      s:fault { fault = "stall", match = { method = "POST" } }
      local task = other:spawn(client.snapshot, client, app)
      s:wait_requests({ method = "POST" }, 1, 30)
      client:close()
      is_sent("closed", task:wait(30))
      s:release()
    end)
end)
