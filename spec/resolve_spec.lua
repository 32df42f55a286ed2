--- A created snapshot's address names no version: `snapshot:resolve()` finds
-- its entry in the list, and `restore_snapshot(snapshot)` does with that.

local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local waits = require "spec.support.waits"

local s, client, app, database

local function begin()
  s = server.shared()
  s:reset()
  waits.shorten()
  client = helpers.client(s, { retries = 0 })
  app, database = s.apps[1], s.databases[1]
end

local function finish()
  client:close()
  waits.restore()
end

local function gets() return #s:requests { method = "GET" } end

describe("a created snapshot", function()
  local snapshot

  before_each(function()
    begin()
    snapshot = assert(client:snapshot(app))
  end)
  after_each(finish)

  it("has no version, until its entry is asked for", function()
    assert.is_nil(snapshot.version_id)
    assert.equal(0, gets())
    local info = assert(snapshot:resolve())
    assert.equal("squarecloud.SnapshotInfo", getmetatable(info).__name)
    assert.is_truthy(info.version_id)
    assert.equal(1, gets())
    assert.is_true(info == assert(client:all_app_snapshots(app))[1])
    assert.is_nil(snapshot.version_id) -- it stays what it is
  end)

  it("is found though making it took a while", function()
    s:configure { create_ms = 1500 }
    local slow = assert(client:snapshot(s.apps[2]))
    assert.equal(s.apps[2], assert(slow:resolve()).id)
  end)

  it("is told from the one that was listed a moment before it", function()
    local older = assert(client:all_app_snapshots(app))[1]
    local newer = assert(client:snapshot(app))
    local info = assert(newer:resolve())
    assert.is_false(info == older)
    assert.equal(2, #assert(client:all_app_snapshots(app)))
    local nothing, err = snapshot:resolve() -- which both may be, for the first
    assert.is_nil(nothing)
    assert.equal("protocol", err.kind)
    assert.matches("cannot be told which", err.message)
    assert.equal("resolve " .. app, err.operation)
  end)

  it("is not an older one", function()
    s:remove_snapshots { app = app }
    s:add_snapshot { app = app, bytes = "PK", modified = os.time() - 5 }
    local nothing, err = snapshot:resolve()
    assert.is_nil(nothing)
    assert.same({ "pending", false, true }, { err.kind, err.sent,
      err.retryable })
    assert.equal(("resolve %s: pending: the list does not show it yet"):format(
      app), tostring(err))
  end)

  it("of a database has its entry, too", function()
    local made = assert(client:database(database):snapshot())
    assert.equal(database .. "_postgres", assert(made:resolve()).id)
  end)

  it("that has a version is found by that", function()
    s:configure { created_version = true }
    local made = assert(client:snapshot(app))
    assert.is_truthy(made.version_id)
    local info = assert(made:resolve())
    assert.is_true(info == made and made == info)
    assert.equal(made.version_id, info.version_id)
    s:remove_snapshots { app = app }
    assert.equal("pending", select(2, made:resolve()).kind)
  end)

  it("is waited for when told so, and looked for every two minutes", function()
    s:remove_snapshots { app = app }
    s:configure { listing_cache_ms = 600 }
    assert.equal(0, #assert(client:all_app_snapshots(app)))
    local made, told = assert(client:snapshot(app)), {}
    assert.equal("pending", select(2, made:resolve()).kind)
    local info = assert(made:resolve { wait = 20,
      progress = function(...) told[#told + 1] = { ... } end })
    assert.equal(app, info.id)
    assert.is_true(#told >= 1)
    assert.same({ "snapshot", waits.SHORT.look }, told[1])
  end)

  it("cannot be resolved when the list cannot be had", function()
    s:fault { fault = "html", match = { method = "GET" } }
    local nothing, err = snapshot:resolve()
    assert.is_nil(nothing)
    assert.same({ "server", "resolve " .. app, false }, { err.kind,
      err.operation, err.sent })
    s:clear_faults()
    s:fault { fault = "respond", status = 403, code = "MISSING_SCOPE",
      match = { method = "GET" } }
    assert.equal("permission", select(2, snapshot:resolve()).kind)
    assert.equal("permission",
      select(2, snapshot:resolve { wait = 20 }).kind)
  end)

  it("cannot be resolved without the server's time", function()
    client:close()
    client = helpers.client(s, { base_url = s.http_base_url })
    local body = ('{"status":"success","response":{"url":"%s/a/b.zip?c=d",'
      .. '"key":"c=d"}}'):format(s.https)
    s:fault { fault = "raw", times = 1, bytes = ("HTTP/1.1 200 OK\r\n"
      .. "Content-Length: %d\r\n\r\n%s"):format(#body, body) }
    local made = assert(client:snapshot(app))
    local nothing, err = made:resolve()
    assert.is_nil(nothing)
    assert.equal("protocol", err.kind)
    assert.matches("no date", err.message)
    assert.equal(0, gets())
  end)

  it("yields in a task meanwhile", function()
    local order = {}
    s:configure { latency_ms = 200 }
    client:run(function()
      local task = client:spawn(snapshot.resolve, snapshot)
      order[1] = task.status
      assert(task:wait())
    end)
    assert.same({ "running" }, order)
  end)
end)

describe("restoring a created snapshot", function()
  local snapshot, file

  before_each(function()
    begin()
    snapshot = assert(client:snapshot(app))
    file = s:app_dir(app) .. "/main.lua"
    helpers.write_file(file, "changed")
  end)
  after_each(finish)

  local function posts() return #s:requests { pattern = "/restore$" } end

  it("finds its version, and restores that", function()
    local response = assert(client:restore_snapshot(snapshot))
    assert.equal("success", response.status)
    assert.not_equal("changed", helpers.read_file(file))
    assert.equal(1, gets())
    assert.equal(1, posts())
  end)

  it("asks for no list when the version is known", function()
    s:configure { created_version = true }
    local made = assert(client:snapshot(app))
    assert(client:restore_snapshot(made))
    assert.equal(0, gets())
  end)

  it("sends nothing while the list does not show it", function()
    s:remove_snapshots { app = app }
    local nothing, err = client:restore_snapshot(snapshot)
    assert.is_nil(nothing)
    assert.same({ "pending", "restore_snapshot " .. app, false }, { err.kind,
      err.operation, err.sent })
    assert.equal(0, posts())
  end)

  it("nor when it cannot be told which it is", function()
    s:add_snapshot { app = app, bytes = "PK", modified = os.time() + 5 }
    assert.equal("protocol", select(2, client:restore_snapshot(snapshot)).kind)
    assert.equal(0, posts())
  end)

  it("nor when its entry has no version", function()
    s:remove_snapshots { app = app }
    s:add_snapshot { app = app, bytes = "PK", modified = os.time() + 5,
      version_id = false }
    local nothing, err = client:restore_snapshot(snapshot)
    assert.is_nil(nothing)
    assert.equal("protocol", err.kind)
    assert.matches("no version id", err.message)
    assert.equal(0, posts())
  end)

  it("works in a task, by another client", function()
    local other <close> = helpers.client(s)
    local response
    other:run(function() response = other:restore_snapshot(snapshot) end)
    assert.equal("success", response.status)
  end)

  it("takes it alone", function()
    assert.error_matches(function()
      client:restore_snapshot(snapshot, {})
    end, "takes one options table")
  end)
end)

describe("a Snapshot and a SnapshotInfo", function()
  before_each(begin)
  after_each(finish)

  it("are equal by id and version", function()
    s:configure { created_version = true }
    local a, b = assert(client:snapshot(app)), assert(client:snapshot(app))
    local list = assert(client:all_app_snapshots(app))
    assert.is_true(a == list[2] and list[2] == a)
    assert.is_true(b == list[1] and list[1] == b)
    assert.is_false(a == list[1] or list[1] == a)
    s:configure { created_version = false }
    local c = assert(client:snapshot(app))
    for _, info in ipairs(assert(client:all_app_snapshots(app))) do
      assert.is_false(c == info)
    end
  end)
end)
