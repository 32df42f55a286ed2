-- `wait = seconds`: what the platform does in the background is waited out.

local helpers = require "spec.support.helpers"
local server = require "spec.support.server"

describe("waiting for the platform", function()
  local s, client, app, database
  before_each(function()
    s = server.shared()
    s:reset()
    client = helpers.client(s, { retries = 0 })
    app, database = s.apps[1], s.databases[1]
  end)
  after_each(function() client:close() end)

  it("gives the snapshot that a 202 promised", function()
    s:configure { processing_ms = 300 }
    local snapshot = assert(client:snapshot { app_id = app, wait = 20 })
    local list = assert(client:all_app_snapshots(app))
    assert.equal(1, #list)
    assert.equal(list[1].version_id, snapshot.version_id)
    assert.equal(list[1].id, snapshot.id)
    assert.equal(app, snapshot.app_id)
    assert.equal("app", snapshot.application_type)
    assert.equal(list[1].created_at, snapshot.created_at)
    local dir <close> = helpers.tmpdir()
    assert.equal(list[1].bytes, assert(snapshot:download(dir.path)).bytes)
    assert.equal(1, #s:requests { method = "POST" })
  end)

  it("waits for a database's, through its handle", function()
    s:configure { processing_ms = 100 }
    local snapshot = assert(client:database(database):snapshot { wait = 20 })
    assert.equal("database", snapshot.application_type)
    assert.equal(database, snapshot.app_id)
  end)

  it("does not take an older snapshot for the new one", function()
    s:add_snapshot { app = app, bytes = "PK", modified = os.time() - 3600 }
    s:configure { processing_ms = 200 }
    local snapshot = assert(client:snapshot { app_id = app, wait = 20 })
    local list = assert(client:all_app_snapshots(app))
    assert.equal(2, #list)
    local newest = list[1].timestamp > list[2].timestamp and list[1] or list[2]
    assert.equal(newest.version_id, snapshot.version_id)
  end)

  it("asks for the account's id first, when the key does not tell", function()
    local other <close> = server.start { key = "keywithoutdash",
                                         account_id = s.account_id }
    other:configure { processing_ms = 100 }
    local c <close> = helpers.client(other)
    local snapshot = assert(c:snapshot { app_id = other.apps[1], wait = 20 })
    assert.is_truthy(snapshot.url:find(other.account_id, 1, true))
    local d <close> = helpers.client(other)
    local info = assert(c:all_app_snapshots(other.apps[1]))[1]
    assert(d:restore_snapshot { app_id = other.apps[1], snapshot_id = info.id,
      version_id = info.version_id, wait = 20 }) -- that looks in no list
    assert.equal(1, #other:requests { pattern = "/users/me$" })
  end)

  it("gives `pending` when the time is up, or is not given", function()
    s:configure { processing_ms = 60000 }
    local none, err = client:snapshot { app_id = app, wait = 0.2 }
    assert.is_nil(none)
    assert.equal("pending", err.kind)
    assert.is_true(err.retryable)
    local _, at_once = client:snapshot(s.apps[2])
    assert.equal("pending", at_once.kind)
    assert.equal("SNAPSHOT_PROCESSING", at_once.code)
  end)

  it("waits until a restored application runs again", function()
    assert(client:snapshot(app))
    local info = assert(client:all_app_snapshots(app))[1]
    s:configure { restore_ms = 300 }
    local response = assert(client:restore_snapshot {
      app_id = app, snapshot_id = info.id, version_id = info.version_id,
      wait = 20,
    })
    assert.equal("success", response.status)
    assert.is_true(assert(client:restore_snapshot(info)).status == "success")
  end)

  it("restores behind a restore that is under way", function()
    assert(client:snapshot(app))
    local info = assert(client:all_app_snapshots(app))[1]
    s:begin_restore({ app = app }, 3600000)
    local _, err = client:restore_snapshot(info)
    assert.equal("pending", err.kind)
    local handle = client:app(app)
    local task = client:spawn(handle.restore_snapshot, handle, {
      snapshot_id = info.id, version_id = info.version_id, wait = 20,
    })
    s:wait_requests({ status = 409 }, 2)
    s:begin_restore({ app = app }, 0) -- it is over
    assert.equal("success", assert(task:wait()).status)
  end)

  it("tells what it cannot make out of the status", function()
    assert(client:snapshot(app))
    local info = assert(client:all_app_snapshots(app))[1]
    local options = { app_id = app, snapshot_id = info.id,
      version_id = info.version_id, wait = 20 }
    for _, body in ipairs { "nonsense", "[]", '{"response":{}}',
      '{"response":{"running":"yes"}}' } do
      s:fault { fault = "body", body = body, times = 1,
        match = { pattern = "/status$" } }
      local none, err = client:restore_snapshot(options)
      assert.is_nil(none)
      assert.equal("protocol", err.kind, body)
    end
  end)

  it("yields in a task meanwhile", function()
    s:configure { processing_ms = 200 }
    local order = {}
    client:run(function()
      local a = client:spawn(function()
        assert(client:snapshot { app_id = app, wait = 20 })
        order[#order + 1] = "snapshot"
      end)
      assert(client:account())
      order[#order + 1] = "account"
      a:wait()
    end)
    assert.same({ "account", "snapshot" }, order)
  end)

  it("does not look at the caller's table again", function()
    s:configure { processing_ms = 200 }
    client:run(function()
      local options = { app_id = app, wait = 20 }
      local task = client:spawn(client.snapshot, client, options)
      options.app_id, options.wait = "another", "nonsense"
      assert.equal(app, assert(task:wait()).app_id)
    end)
  end)
end)
