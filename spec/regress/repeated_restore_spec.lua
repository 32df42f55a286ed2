--- A restore with `wait` that was answered 202 was sent six times in four
-- seconds: what said that it was under way was taken for a refusal.

local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local waits = require "spec.support.waits"

local RESTORE = { pattern = "/restore$" }

describe("a restore that is waited for", function()
  local s, client, options

  before_each(function()
    s = server.shared()
    waits.shorten { settle = 0.2 }
    client = helpers.client(s, { retries = 3 })
    options = { app_id = s.apps[1], snapshot_id = "s", version_id = "v",
      wait = 1 }
  end)
  after_each(function()
    client:close()
    waits.restore()
  end)

  local ANSWERS = {
    { 202, "SNAPSHOT_PROCESSING" }, { 202, "RESTORE_IN_PROGRESS" },
    { 202, "SOMETHING_ELSE" }, { 200, "RESTORE_IN_PROGRESS" },
    { 500, "SNAPSHOT_RESTORE_FAILED" }, { 502, "INTERNAL_SERVER_ERROR" },
    { 503, "CLUSTER_MAINTENANCE_TRY_LATER" }, { 504, "RESTORE_IN_PROGRESS" },
    { 409, "SOMETHING_ELSE" }, { 404, "SNAPSHOT_NOT_FOUND" },
    { 400, "INVALID_VERSION_ID" },
  }
  for _, answer in ipairs(ANSWERS) do
    it(("is sent once: %d %s"):format(answer[1], answer[2]), function()
      s:fault { fault = "respond", status = answer[1], code = answer[2],
        match = RESTORE }
      local nothing, err = client:restore_snapshot(options)
      assert.is_nil(nothing)
      assert.equal("table", type(err))
      assert.equal(1, #s:requests(RESTORE))
    end)
  end

  for _, fault in ipairs { "reset", "html", "empty_reply" } do
    it("is sent once: " .. fault, function()
      s:fault { fault = fault, match = RESTORE }
      local _, err = client:restore_snapshot(options)
      assert.is_true(err.sent, tostring(err))
      assert.equal(1, #s:requests(RESTORE))
    end)
  end

  it("that is taken is sent once, and so is what is created", function()
    s:configure { processing_ms = 100 }
    waits.shorten { settle = 0.2, look = 0.2 }
    assert(client:snapshot { app_id = s.apps[1], wait = 20 })
    local info = assert(client:all_app_snapshots(s.apps[1]))[1]
    assert(info:restore { wait = 20 })
    assert.equal(2, #s:requests { method = "POST" })
  end)
end)
