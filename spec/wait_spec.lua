--- `wait = seconds`: what the platform does in the background is waited out.
-- Two minutes are 0.4 s here, a restore's minute is 0.5 s.

local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local waits = require "spec.support.waits"
local waiting = require "squarecloud.waiting"

local s, client, app, database
local times = waiting.times

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

local POST = { method = "POST" }

-- The lists that were asked for, all or since a time.
local function looks(since)
  return s:requests(function(one)
    return one.method == "GET" and one.uri:find "/snapshots$" ~= nil
      and one.time >= (since or 0)
  end)
end

local function fails(kind, is_sent, none, err)
  assert.is_nil(none)
  assert.same({ kind, is_sent }, { err.kind, err.sent }, tostring(err))
  return err
end

local function post_time() return s:requests(POST)[1].time end

describe("the times", function()
  it("are the platform's", function()
    assert.same({ look = 120, patience = 2400, settle = 60, status = 10,
      boot = 0.25, boot_most = 5 }, times)
  end)
end)

describe("waiting for a snapshot", function()
  before_each(begin)
  after_each(finish)

  it("gives the one that a 202 promised", function()
    s:configure { processing_ms = 300 }
    local snapshot = assert(client:snapshot { app_id = app, wait = 20 })
    local list = assert(client:all_app_snapshots(app))
    assert.equal(1, #list)
    assert.is_true(list[1] == snapshot)
    assert.same({ app, app, "app", list[1].created_at, list[1].version_id,
      list[1].url }, { snapshot.app_id, snapshot.id,
      snapshot.application_type, snapshot.created_at, snapshot.version_id,
      snapshot.url })
    local dir <close> = helpers.tmpdir()
    assert.equal(list[1].bytes, assert(snapshot:download(dir.path)).bytes)
    assert.equal(1, #s:requests(POST))
  end)

  it("waits for a database's, through its handle", function()
    s:configure { processing_ms = 100 }
    local snapshot = assert(client:database(database):snapshot { wait = 20 })
    assert.equal("database", snapshot.application_type)
    assert.equal(database, snapshot.app_id)
  end)

  it("looks after two minutes first, then every two", function()
    s:configure { processing_ms = 600 }
    assert(client:snapshot { app_id = app, wait = 20 })
    local seen = looks()
    assert.equal(2, #seen)
    assert.is_true(seen[1].time - post_time() >= times.look - 0.01)
    assert.is_true(seen[2].time - seen[1].time >= times.look - 0.01)
  end)

  it("looks once, at the end, when the time is shorter", function()
    s:configure { processing_ms = 60000 }
    fails("pending", true, client:snapshot { app_id = app, wait = 0.2 })
    assert.equal(1, #looks())
    assert.is_true(looks()[1].time - post_time() >= 0.19)
    s:configure { processing_ms = 1 }
    assert(client:snapshot { app_id = app, wait = 0.2 })
  end)

  it("asks for nothing when there is nothing to wait for", function()
    local snapshot = assert(client:snapshot { app_id = app, wait = 20 })
    assert.is_nil(snapshot.version_id)
    fails("not_found", false, client:snapshot { app_id = "no", wait = 20 })
    assert.equal(0, #looks())
  end)

  it("gives `pending` when the time is up, or is not given", function()
    s:configure { processing_ms = 60000 }
    local err = fails("pending", true, client:snapshot { app_id = app,
      wait = 0.5 })
    assert.same({ "SNAPSHOT_PROCESSING", 202, true }, { err.code,
      err.http_status, err.retryable })
    assert.equal(("snapshot %s: pending: SNAPSHOT_PROCESSING (HTTP 202): the "
      .. "list does not show it after 0.5 s"):format(app), tostring(err))
    assert.equal(2, #looks())
    local at_once = fails("pending", true, client:snapshot(s.apps[2]))
    assert.equal("SNAPSHOT_PROCESSING", at_once.code)
    assert.equal(2, #s:requests(POST))
  end)

  it("does not take one made before the request", function()
    s:configure { processing_ms = 60000 }
    for _, age in ipairs { 3600, 3, 2 } do
      s:add_snapshot { app = app, bytes = "PK", modified = os.time() - age }
    end
    fails("pending", true, client:snapshot { app_id = app, wait = 0.1 })
  end)

  it("does not take what it was shown before, whatever its time", function()
    s:add_snapshot { app = app, bytes = "PK", modified = os.time() + 30,
      version_id = "known" }
    s:add_snapshot { app = app, bytes = "PK", modified = os.time() + 60,
      version_id = false }
    assert.equal(2, #assert(client:all_app_snapshots(app)))
    s:configure { processing_ms = 600 }
    local begun = os.time()
    local snapshot = assert(client:snapshot { app_id = app, wait = 20 })
    assert.not_equal("known", snapshot.version_id)
    assert.equal(3, #assert(client:all_app_snapshots(app)))
    assert.is_true(#looks(begun) >= 2)
  end)

  it("nor what the whole account's list showed it", function()
    s:add_snapshot { database = database, bytes = "PK", version_id = "known",
      modified = os.time() + 30 }
    assert.equal(1, #assert(client:all_snapshots "databases"))
    s:configure { processing_ms = 300 }
    local snapshot = assert(client:database(database):snapshot { wait = 20 })
    assert.not_equal("known", snapshot.version_id)
  end)

  it("takes what it was shown while it waited", function()
    s:configure { processing_ms = 100 }
    waits.shorten { look = 1 }
    client:run(function()
      local task = client:spawn(client.snapshot, client, { app_id = app,
        wait = 20 })
      local info
      repeat
        client:sleep(0.02)
        info = assert(client:all_app_snapshots(app))[1]
      until info
      assert.equal("running", task.status)
      assert.is_true(info == assert(task:wait()))
    end)
  end)

  it("does not choose between two", function()
    s:configure { processing_ms = 100 }
    s:add_snapshot { app = app, bytes = "PK", modified = os.time() + 5 }
    local err = fails("protocol", true, client:snapshot { app_id = app,
      wait = 20 })
    assert.matches("two snapshots [^\n]*cannot be told which", err.message)
    assert.equal("snapshot " .. app, err.operation)
  end)

  it("forgets the oldest of thousands that it was shown", function()
    local entries = {}
    for i = 1, 5000 do
      entries[i] = ('{"name":"%s","size":1,"modified":"%s","key":"versionId=%d'
        .. '"}'):format(app, os.date("!%Y-%m-%dT%H:%M:%SZ", os.time() + i), i)
    end
    s:listing(app, '{"status":"success","response":['
      .. table.concat(entries, ",") .. "]}")
    assert.equal(5000, #assert(client:all_app_snapshots(app)))
    collectgarbage()
    local before = collectgarbage "count"
    for _ = 1, 3 do assert(client:all_app_snapshots(app)) end
    collectgarbage()
    assert.is_true(collectgarbage "count" - before < 200)
  end)

  it("cannot tell without the server's time", function()
    client:close()
    client = helpers.client(s, { base_url = s.http_base_url, retries = 0 })
    local body = '{"status":"error","code":"SNAPSHOT_PROCESSING"}'
    s:fault { fault = "raw", match = POST, bytes =
      ("HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n%s"):format(#body,
        body) }
    local err = fails("protocol", true, client:snapshot { app_id = app,
      wait = 20 })
    assert.matches("no date", err.message)
    assert.equal(0, #looks())
  end)

  it("looks again after a look that failed", function()
    s:configure { processing_ms = 1 }
    s:fault { fault = "html", times = 1, match = { method = "GET" } }
    assert(client:snapshot { app_id = app, wait = 20 })
    assert.equal(2, #looks())
    s:fault { fault = "html", match = { method = "GET" } }
    local err = fails("pending", true, client:snapshot { app_id = app,
      wait = 0.1 })
    assert.matches("after 0.1 s (all_app_snapshots " .. app .. ": server:",
      err.message, 1, true)
  end)

  it("sees past a list that is cached from before", function()
    s:configure { processing_ms = 1, listing_cache_ms = 700 }
    assert.equal(0, #assert(client:all_app_snapshots(app)))
    assert(client:snapshot { app_id = app, wait = 20 })
    assert.is_true(#looks() >= 3)
  end)

  it("tells what is waited for, and until when", function()
    s:configure { processing_ms = 600 }
    local told = {}
    assert(client:snapshot { app_id = app, wait = 20,
      progress = function(...) told[#told + 1] = { ... } end })
    assert.same({ { "snapshot", times.look }, { "snapshot", times.look } },
      told)
    local err = fails("cancelled", true, client:snapshot { app_id = app,
      wait = 20, progress = function() return false end })
    assert.equal("snapshot " .. app, err.operation)
    assert.equal(2, #s:requests(POST))
    local ok, raised = pcall(client.snapshot, client, { app_id = app,
      wait = 20, progress = function() error { mine = true } end })
    assert.is_false(ok)
    assert.is_true(raised.mine)
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

  it("asks for the account's id first, when the key does not tell", function()
    local other <close> = server.start { key = "keywithoutdash",
                                         account_id = s.account_id }
    other:configure { processing_ms = 100 }
    local c <close> = helpers.client(other, { account_id = false })
    local snapshot = assert(c:snapshot { app_id = other.apps[1], wait = 20 })
    assert.is_truthy(snapshot.url:find(other.account_id, 1, true))
    local info = assert(c:all_app_snapshots(other.apps[1]))[1]
    local d <close> = helpers.client(other, { account_id = false })
    assert(d:restore_snapshot { app_id = other.apps[1], snapshot_id = info.id,
      version_id = info.version_id, wait = 20 }) -- that looks in no list
    assert.equal(1, #other:requests { pattern = "/users/me$" })
  end)
end)

describe("what waits", function()
  before_each(begin)
  after_each(finish)

  local function promise() s:configure { processing_ms = 60000 } end

  it("yields in a task", function()
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

  it("blocks in a coroutine that is none of ours, in a task", function()
    s:configure { processing_ms = 1 }
    client:run(function()
      local co = coroutine.wrap(function()
        return client:snapshot { app_id = app, wait = 20 }
      end)
      assert.equal(app, assert(co()).app_id)
    end)
  end)

  it("ends with its task", function()
    promise()
    local task = client:spawn(client.snapshot, client, { app_id = app,
      wait = 20 })
    s:wait_requests(POST)
    task:cancel()
    assert.equal("cancelled", select(2, task:wait()).kind)
    assert.equal(0, client:pending())
    client:sleep(2 * times.look)
    assert.equal(0, #looks())
  end)

  it("ends when its client is closed, in another's task", function()
    promise()
    local other <close> = helpers.client(s)
    local waits_now = false
    local task = other:spawn(client.snapshot, client, { app_id = app,
      wait = 20, progress = function() waits_now = true end })
    while not waits_now do other:step(0.05) end
    client:close()
    local err = fails("closed", true, task:wait(30))
    assert.equal("snapshot " .. app, err.operation)
    assert.equal(0, #looks())
  end)

  it("ends with its client, when that is its task's", function()
    promise()
    local task = client:spawn(client.snapshot, client, { app_id = app,
      wait = 20 })
    s:wait_requests(POST)
    client:close()
    assert.equal("closed", select(2, task:wait()).kind)
  end)

  it("is collected with its client", function()
    promise()
    local c = helpers.client(s)
    local waits_now = false
    local weak = setmetatable({ c:spawn(c.snapshot, c, { app_id = app,
      wait = 20, progress = function() waits_now = true end }) },
      { __mode = "v" })
    while not waits_now do c:step(0.05) end
    c = nil -- luacheck: ignore
    for _ = 1, 3 do collectgarbage() end
    assert.is_nil(weak[1])
  end)
end)

describe("waiting for a restore", function()
  local options, info

  before_each(function()
    begin()
    assert(client:snapshot(app))
    info = assert(client:all_app_snapshots(app))[1]
    options = { app_id = app, snapshot_id = info.id,
      version_id = info.version_id, wait = 20 }
  end)
  after_each(finish)

  local RESTORE = { pattern = "/restore$" }
  local STATUS = { pattern = "/status$" }

  -- The status is so for `count` times (ever), `skip` times from now.
  local function says(running, word, count, skip)
    s:fault { fault = "respond", times = count, skip = skip, match = STATUS,
      json = { status = "success", response = { running = running,
        status = word } } }
  end

  local function restores() return #s:requests(RESTORE) end

  it("is over after a minute, when it runs as before", function()
    local response = assert(client:restore_snapshot(options))
    assert.equal("success", response.status)
    local order, seen = {}, s:requests(function(one)
      return not one.uri:find "snapshots$"
    end)
    for i, one in ipairs(seen) do order[i] = one.uri:match "[^/]*$" end
    assert.same({ "status", "restore", "status" }, order)
    assert.is_true(seen[3].time - seen[2].time >= times.settle - 0.01)
  end)

  it("is so by an entry, a handle, of a database", function()
    assert(info:restore { wait = times.settle })
    local handle = client:app(app)
    assert(handle:restore_snapshot { snapshot_id = info.id,
      version_id = info.version_id, wait = times.settle })
    assert(client:snapshot { app_id = database,
      application_type = "database" })
    local other = assert(client:database(database):all_snapshots())[1]
    assert(other:restore { wait = 20 })
    assert.equal(3, restores())
    assert.equal(2, #s:requests { pattern = "/databases/[^/]+/status$" })
  end)

  it("leaves stopped what was stopped", function()
    s:act({ app = app }, "stop")
    assert.equal("success", assert(client:restore_snapshot(options)).status)
    assert.equal(1, restores())
  end)

  it("goes on until it runs again", function()
    says(false, "starting", 2, 1)
    assert(client:restore_snapshot(options))
    assert.equal(4, #s:requests(STATUS))
    assert.equal(1, restores())
  end)

  it("expects what was about to run to run", function()
    says(false, "restarting", 1)
    assert(client:restore_snapshot(options))
    says(false, "starting", 1)
    says(false, "exited", nil, 1)
    options.wait = 1
    fails("pending", true, client:restore_snapshot(options))
  end)

  it("sends nothing without the status", function()
    for kind, fault in pairs {
      server = { fault = "html" },
      authentication = { fault = "respond", status = 401,
        code = "ACCESS_DENIED" },
    } do
      fault.match, fault.times = STATUS, 1
      s:fault(fault)
      local err = fails(kind, false, client:restore_snapshot(options))
      assert.equal("restore_snapshot " .. app, err.operation)
    end
    for _, body in ipairs { "nonsense", "[]", '{"response":{}}',
      '{"response":{"running":"yes"}}' } do
      s:fault { fault = "body", body = body, times = 1, match = STATUS }
      fails("protocol", false, client:restore_snapshot(options))
    end
    assert.equal(0, restores())
  end)

  it("tells what it cannot make out of the status afterwards", function()
    s:fault { fault = "html", times = 1, skip = 1, match = STATUS }
    assert(client:restore_snapshot(options))
    for _, body in ipairs { "nonsense", '{"response":{"running":"yes"}}' } do
      s:fault { fault = "body", body = body, times = 1, skip = 1,
        match = STATUS }
      fails("protocol", true, client:restore_snapshot(options))
    end
    assert.equal(3, restores())
  end)

  it("gives `pending` when it has not settled in time", function()
    options.wait = 0.1
    local err = fails("pending", true, client:restore_snapshot(options))
    assert.matches("has not settled after 0.1 s$", tostring(err))
    assert.equal(1, #s:requests(STATUS)) -- before the minute it says nothing
    says(false, "exited", nil, 1)
    options.wait = 0.8
    fails("pending", true, client:restore_snapshot(options))
    assert.equal(2, restores())
  end)

  it("comes behind a restore that is under way", function()
    s:begin_restore({ app = app }, 3600000)
    assert.equal("pending", select(2, client:restore_snapshot(info)).kind)
    local handle, told = client:app(app), {}
    local task = client:spawn(handle.restore_snapshot, handle, {
      snapshot_id = info.id, version_id = info.version_id, wait = 20,
      progress = function(what) told[#told + 1] = what end })
    s:wait_requests({ status = 409 }, 1)
    while #s:requests { status = 409 } < 3 do client:step(0.05) end
    s:begin_restore({ app = app }, 0) -- it is over
    assert.equal("success", assert(task:wait()).status)
    local seen = s:requests(RESTORE)
    assert.equal(4, #seen)
    for i = 2, 3 do
      assert.is_true(seen[i + 1].time - seen[i].time >= times.settle - 0.01)
    end
    assert.same({ "earlier restore", "earlier restore", "restore" }, told)
  end)

  it("gives up behind one that does not end", function()
    s:begin_restore({ app = app }, 3600000)
    options.wait = 0.8
    local none, err = client:restore_snapshot(options)
    assert.is_nil(none)
    assert.same({ "RESTORE_IN_PROGRESS", 409 }, { err.code, err.http_status })
    assert.equal(3, restores()) -- the last at the end
    options.progress = function() return false end
    fails("cancelled", false, client:restore_snapshot(options))
  end)

  it("tells what is waited for; false ends that", function()
    local told = {}
    options.progress = function(...) told[#told + 1] = { ... } end
    assert(client:restore_snapshot(options))
    assert.same({ { "restore", times.settle } }, told)
    options.progress = function() return false end
    fails("cancelled", true, client:restore_snapshot(options))
  end)

  it("ends when its client is closed", function()
    local other <close> = helpers.client(s)
    local waits_now = false
    options.progress = function() waits_now = true end
    local task = other:spawn(client.restore_snapshot, client, options)
    while not waits_now do other:step(0.05) end
    client:close()
    fails("closed", true, task:wait(30))
    assert.equal(1, restores())
  end)
end)
