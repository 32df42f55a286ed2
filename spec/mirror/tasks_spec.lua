--- A sync in tasks: how much is under way at once, who waits for whom, how it
-- is cancelled, closed, watched and stopped.

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local mirrors = require "spec.support.mirrors"
local server = require "spec.support.server"
local square = require "squarecloud"

local DAY = mirrors.DAY

describe("a sync", function()
  local s, client, folder, dir, m, app, now

  before_each(function()
    s = server.shared()
    client = helpers.client(s)
    folder, dir, m = mirrors.begin()
    app = s.apps[1]
    now = os.time() // DAY * DAY
  end)

  after_each(function()
    client:close()
    mirrors.finish(folder, m)
  end)

  -- A snapshot that is so many days old, with bytes of its own.
  local function add(days)
    s:add_snapshot { app = app, modified = now - days * DAY,
      version_id = ("version-%02d"):format(days),
      bytes = mirrors.archive(days) }
  end

  local function store_requests()
    return #downloads.requests(s)
  end

  -- Waits, in a task of the client's, until the store has been asked.
  local function wait_asked(of, count)
    downloads.wait(function()
      of:sleep(0.005)
      return store_requests() >= count
    end, "requests")
  end

  --------------------------------------------------------------------- tasks

  it("has no more downloads under way at once than it was told", function()
    for days = 1, 6 do add(days) end
    s:fault { fault = "stall", match = { pattern = "versionId" } }
    client:run(function()
      local task = client:spawn(m.sync, m, client, { apps = { app },
        concurrency = 2 })
      for done = 2, 6, 2 do
        wait_asked(client, done)
        for _ = 1, 5 do client:sleep(0.005) end
        assert.equal(done, store_requests())
        s:release()
      end
      assert.equal(6, assert(task:wait()).downloaded)
    end)
  end)

  it("waits in a task without holding up the others", function()
    add(1)
    s:fault { fault = "stall", match = { pattern = "versionId" } }
    client:run(function()
      local task = client:spawn(m.sync, m, client, { apps = { app } })
      wait_asked(client, 1)
      assert.equal("running", task.status)
      s:release()
      assert.equal(1, assert(task:wait()).downloaded)
    end)
  end)

  it("excludes another in the same process, and verify that sets aside",
    function()
      add(1)
      s:fault { fault = "stall", match = { pattern = "versionId" } }
      local second <close> = assert(square.mirror.open(dir .. "/../mirror"))
      client:run(function()
        local task = client:spawn(m.sync, m, client, { apps = { app } })
        wait_asked(client, 1)
        for _, one in ipairs { m, second } do
          for _, call in ipairs { { "sync", client, { apps = { app } } },
            { "prune", { keep_last = 1 } }, { "verify",
            { set_aside = true } } } do
            local none, err = one[call[1]](one, table.unpack(call, 2))
            assert.is_nil(none)
            assert.equal("filesystem", err.kind)
            assert.truthy(err.message:find "changed by another")
          end
          assert.same({}, (one:list()))
          assert(one:verify())
          assert(one:sync(client, { apps = { app }, dry_run = true }))
        end
        s:release()
        assert.equal(1, assert(task:wait()).downloaded)
        assert(second:sync(client, { apps = { app } }))
      end)
    end)

  it("lets go of the mirror when its task is cancelled", function()
    for days = 1, 3 do add(days) end
    s:fault { fault = "stall", match = { pattern = "versionId" } }
    client:run(function()
      local task = client:spawn(m.sync, m, client, { apps = { app } })
      wait_asked(client, 3)
      task:cancel()
      s:clear_faults()
      assert.equal(3, assert(m:sync(client, { apps = { app } })).downloaded)
    end)
    assert.equal(0, client:pending())
  end)

  it("tells what was under way and what was not begun when its client is "
    .. "closed", function()
    for days = 1, 5 do add(days) end
    s:fault { fault = "stall", match = { pattern = "versionId" } }
    local another <close> = helpers.client(s)
    local results
    another:run(function()
      local task = another:spawn(m.sync, m, client, { apps = { app },
        concurrency = 2 })
      wait_asked(another, 2)
      client:close()
      results = assert(task:wait())
    end)
    assert.equal(5, results.skipped)
    assert.equal("closed", results[1].err.kind)
    assert.same({}, (m:list()))
  end)

  ------------------------------------------------------------------ progress

  it("tells a function how far each download is", function()
    for days = 1, 3 do add(days) end
    local last = {}
    assert(m:sync(client, { apps = { app }, progress = function(item, done,
      total, rate)
      assert.equal("number", type(rate))
      last[item.version_id] = { done, total, item.id }
    end }))
    local size = #mirrors.archive(1)
    assert.same({ ["version-01"] = { size, size, app },
      ["version-02"] = { size, size, app },
      ["version-03"] = { size, size, app } }, last)
  end)

  it("ends when that says false, and goes on the next time", function()
    for days = 1, 4 do add(days) end
    local results = assert(m:sync(client, { apps = { app }, concurrency = 1,
      progress = function(item) return item.version_id ~= "version-03" end }))
    assert.same({ "downloaded", "failed", "skipped", "skipped" },
      mirrors.statuses(results))
    assert.equal("cancelled", results[2].err.kind)
    assert.equal(3, assert(m:sync(client, { apps = { app } })).downloaded)
  end)

  it("raises what that raises, and lets go of the mirror", function()
    for days = 1, 4 do add(days) end
    for _, concurrency in ipairs { 1, 3 } do
      local what = {}
      local ok, why = pcall(m.sync, m, client, { apps = { app },
        concurrency = concurrency, progress = function() error(what) end })
      assert.is_false(ok)
      assert.equal(what, why)
    end
    assert.equal(0, client:pending())
    assert.equal(4, assert(m:sync(client, { apps = { app } })).downloaded)
  end)

  it("shows a line for each download", function()
    for days = 1, 3 do add(days) end
    s:fault { fault = "store_error", status = 404, code = "NoSuchKey",
      match = { pattern = "versionId=version%-02" } }
    local text = ""
    local bars <close> = square.progress.new { stream = {
      write = function(stream, bytes)
        text = text .. bytes
        return stream
      end } }
    assert(m:sync(client, { apps = { app }, progress = bars }))
    assert.equal(3, select(2, text:gsub("\n", "")))
    assert.truthy(text:find(os.date("!%Y-%m-%dT%H:%M", now - DAY) .. " " .. app
      .. ": " .. #mirrors.archive(1) .. " B\n", 1, true))
    assert.truthy(text:find(app .. ": failed: not_found\n", 1,
      true))
  end)

  it("ends soon when the mirror is closed", function()
    for days = 1, 3 do add(days) end
    local results = assert(m:sync(client, { apps = { app }, concurrency = 1,
      progress = function() m:close() end }))
    assert.same({ "failed", "skipped", "skipped" },
      mirrors.statuses(results))
    m = assert(square.mirror.open(dir))
    assert.equal(3, assert(m:sync(client, { apps = { app } })).downloaded)
  end)
end)
