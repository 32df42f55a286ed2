--- The one descriptor: readable exactly while there is something to step for,
-- whatever calls come between; and what happens while a host does not step.

local lfs = require "lfs"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local tasks = require "spec.support.tasks"

local s, client

local function begin()
  s = server.shared()
  client = helpers.client(s)
end

local function finish()
  client:close()
end

local function stalled(one)
  return one.stalled
end

describe("the descriptor", function()
  before_each(begin)
  after_each(finish)

  it("is what an event loop asks for", function()
    local fd = client:pollfd()
    assert.equal("integer", math.type(fd))
    assert.equal(fd, client:getfd())
    assert.equal("r", client:events())
    assert.same({ n = 1 }, table.pack(client:timeout()))
    local other <close> = helpers.client(s)
    assert.equal(fd, other:pollfd())
    assert(client:account())
    assert.equal(fd, client:pollfd())
  end)

  it("is not readable when there is nothing", function()
    assert.is_false(tasks.readable(client))
    assert(client:account())
    assert.is_false(tasks.readable(client))
    client:run(client.account, client)
    assert.is_false(tasks.readable(client))
    assert.equal("x", client:spawn(function() return "x" end):wait())
    assert.is_false(tasks.readable(client))
  end)

  it("is not readable while all wait", function()
    s:fault { fault = "stall" }
    local account = client:spawn(client.account, client)
    local sleep = client:spawn(client.sleep, client, 3600)
    local waits = client:spawn(sleep.wait, sleep)
    s:wait_requests(stalled)
    client:step(0)
    assert.is_false(tasks.readable(client, 0.3))
    assert.equal(3, client:step(0))
    assert.is_false(tasks.readable(client))
    s:release()
    assert.is_true(tasks.readable(client, 10))
    assert.is_true(tasks.readable(client)) -- until somebody steps
    tasks.step_until(client, function() return account.status == "done" end)
    assert.is_false(tasks.readable(client))
    sleep:cancel()
    assert.is_true(tasks.readable(client))
    assert.equal(0, client:step(0))
    assert.equal("done", waits.status)
    assert.is_false(tasks.readable(client))
  end)

  it("wakes a host a few times for a request, not more", function()
    local task = client:spawn(client.account, client)
    local times = 0
    while task.status == "running" do
      assert.is_true(tasks.readable(client, 10))
      client:step(0)
      times = times + 1
    end
    assert.is_true(times <= 3, times)
  end)

  it("stays readable while a bounded step leaves something", function()
    for _ = 1, 5 do client:spawn(client.sleep, client, 0) end
    client:sleep(0.05)
    for left = 4, 1, -1 do
      assert.is_true(tasks.readable(client))
      assert.equal(left, client:step(0, 1))
    end
    assert.is_true(tasks.readable(client))
    assert.equal(0, client:step(0, 1))
    assert.is_false(tasks.readable(client))
  end)

  it("stays readable behind a blocking call, which resumes nobody", function()
    local resumed = 0
    for _ = 1, 3 do
      client:spawn(function()
        client:sleep(0)
        resumed = resumed + 1
      end)
    end
    for _ = 1, 3 do
      client:sleep(0.02)
      assert(client:account())
      assert.equal(0, resumed)
      assert.is_true(tasks.readable(client))
    end
    assert.equal(0, client:step(0))
    assert.equal(3, resumed)
    assert.is_false(tasks.readable(client))
  end)

  it("stays readable behind a blocking call that fails, or raises", function()
    local dir <close> = helpers.tmpdir()
    local url = s:put_file("a.zip", downloads.archive(64))
    local task = client:spawn(client.sleep, client, 0)
    client:sleep(0.02)
    assert.is_nil((client:all_app_snapshots "nobody"))
    assert.is_true(tasks.readable(client))
    assert.has_error(function()
      client:download { url = url, path = dir.path, progress = error }
    end, nil)
    assert.is_true(tasks.readable(client))
    assert.equal(0, client:step(0))
    assert.equal("done", task.status)
  end)

  it("stays readable behind a call that blocked in a task", function()
    local other
    client:spawn(function()
      other = client:spawn(client.sleep, client, 0)
      coroutine.wrap(function() client:sleep(0.05) end)()
    end)
    assert.equal("running", other.status)
    assert.is_true(tasks.readable(client))
    assert.equal(0, client:step(0))
    assert.is_false(tasks.readable(client))
  end)

  it("is readable for wait's sake when a time is up", function()
    local sleep = client:spawn(client.sleep, client, 3600)
    local waits = client:spawn(sleep.wait, sleep, 0.02)
    assert.is_true(tasks.readable(client, 10))
    client:step(0)
    assert.equal("done", waits.status)
    assert.is_false(tasks.readable(client))
    sleep:cancel()
    assert.is_false(tasks.readable(client))
  end)

  it("is readable for trace records, and those are read", function()
    local records = {}
    local traced <close> = helpers.client(s, { trace = function(record)
      records[#records + 1] = record.event
    end })
    s:fault { fault = "stall" }
    local task = traced:spawn(traced.account, traced)
    assert.is_true(tasks.readable(traced, 10))
    traced:step(0)
    assert.same({ "request" }, records)
    assert.is_false(tasks.readable(traced))
    s:wait_requests(stalled)
    s:release()
    tasks.step_until(traced, function() return task.status == "done" end)
    assert.same({ "request", "response" }, records)
    assert.is_false(tasks.readable(traced))
  end)

  it("is not readable for what was closed", function()
    local other = helpers.client(s)
    s:fault { fault = "stall" }
    for _ = 1, 3 do other:spawn(other.account, other) end
    s:wait_requests(stalled, 3)
    other:close()
    s:release()
    assert.is_false(tasks.readable(client, 0.1))
  end)
end)

describe("while the host does not step", function()
  before_each(begin)
  after_each(finish)

  it("progress is merged, and the download goes on", function()
    local dir <close> = helpers.tmpdir()
    local bytes, part = downloads.archive(4096), dir .. "/a.zip.part"
    local url = s:put_file("a.zip", bytes)
    s:fault { fault = "limit_rate", bytes_per_second = 4 * 1024 * 1024 }
    local calls, last = 0, nil
    local task = client:spawn(client.download, client, { url = url,
      path = dir.path, segments = 1, progress = function(done, total)
        calls = calls + 1
        last = { done, total }
      end })
    downloads.wait(function()
      return lfs.attributes(part, "size") == #bytes
    end, "the last byte")
    assert.equal(0, calls)
    -- one of what came before, perhaps one more of the last byte
    local zip <close> = assert(task:wait())
    assert.is_true(calls <= 2, calls)
    assert.same({ #bytes, #bytes }, last)
    assert.is_true(zip:test())
  end)

  it("all that can end ends", function()
    local done = {}
    client:close()
    client = helpers.client(s, { concurrency = 1 })
    for i = 1, 20 do
      client:spawn(function()
        assert(client:account())
        done[#done + 1] = i
      end)
    end
    s:wait_requests(function(one) return one.finished end, 20)
    assert(client:account()) -- in its turn: the last answer has been taken
    assert.equal(0, #done)
    assert.equal(0, client:step(0))
    assert.equal(20, #done)
  end)
end)

describe("in a task, a progress function", function()
  local dir, url

  before_each(function()
    begin()
    dir = helpers.tmpdir()
    url = s:put_file("a.zip", downloads.archive(256))
  end)
  after_each(function()
    finish()
    helpers.remove(dir.path)
  end)

  local function download(progress)
    return client:spawn(client.download, client,
      { url = url, path = dir.path, progress = progress })
  end

  it("is called, to the last byte", function()
    local last
    local zip <close> = assert(download(function(done, total)
      last = { done, total }
    end):wait())
    assert.same({ zip.bytes, zip.bytes }, last)
  end)

  it("raises out of the call, the same object, which the task may catch",
    function()
      local object = {}
      local task = client:spawn(function()
        local ok, why = pcall(client.download, client, { url = url,
          path = dir.path, progress = function() error(object) end })
        client:sleep(0)
        return ok, why
      end)
      local ok, why = task:wait()
      assert.is_false(ok)
      assert.equal(object, why)
      task = download(function() error(object) end)
      ok, why = pcall(task.wait, task)
      assert.is_false(ok)
      assert.equal(object, why)
    end)

  it("cancels by false", function()
    local zip, err = download(function() return false end):wait()
    assert.is_nil(zip)
    assert.equal("cancelled", err.kind)
  end)

  it("may not yield, nor call back", function()
    local task
    local other = client:spawn(client.sleep, client, 3600)
    for name, act in pairs {
      ["yield"] = coroutine.yield,
      account = function() client:account() end,
      spawn = function() client:spawn(print) end,
      run = function() client:run(print) end,
      step = function() client:step(0) end,
      sleep = function() client:sleep(0) end,
      pending = function() client:pending() end,
      pollfd = function() client:pollfd() end,
      cancel = function() task:cancel() end,
      ["cancel of another"] = function() other:cancel() end,
      wait = function() other:wait(0) end,
      close = function() client:close() end,
    } do
      task = download(act)
      local ok, why = pcall(task.wait, task)
      assert.is_false(ok, name)
      assert.matches(name == "yield" and "yield" or "progress or trace",
        tostring(why))
    end
    assert.equal("running", other.status)
    other:cancel()
  end)
end)

describe("in a task, a trace function", function()
  before_each(begin)
  after_each(finish)

  it("may not call back, and is turned off when it raises", function()
    local why, calls = nil, 0
    local traced
    traced = helpers.client(s, { trace = function()
      calls = calls + 1
      local ok
      ok, why = pcall(traced.spawn, traced, print)
      assert(not ok)
      error "enough"
    end })
    traced:run(function()
      assert(traced:account())
      assert(traced:account())
    end)
    assert.matches("progress or trace", why, 1, true)
    assert.equal(1, calls)
    traced:close()
  end)
end)
