--- Cancelling tasks: at once and for good, whatever the task waits for and
-- whoever waits for it; by itself, by those it spawned, by the closing of its
-- client; and what <close> variables do meanwhile.

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local tasks = require "spec.support.tasks"
local tool = require "spec.support.tool"

local s, client

local function begin()
  s = server.shared()
  client = helpers.client(s)
end

local function finish()
  client:close()
end

-- Waits for the task, twice.
local function assert_ended(kind, task)
  for _ = 1, 2 do
    local result, err = task:wait()
    assert.is_nil(result)
    assert.equal(kind, err.kind)
    assert.is_false(err.retryable)
  end
  assert.equal("cancelled", task.status)
end

describe("cancel", function()
  before_each(begin)
  after_each(finish)

  it("takes effect before it returns", function()
    local log = {}
    local task = client:spawn(function()
      local _ <close> = tasks.closer(log, "outer")
      local _ <close> = tasks.closer(log, "inner")
      client:sleep(3600)
      log[#log + 1] = { "never" }
    end)
    assert.is_nil(task:cancel())
    assert.equal("cancelled", task.status)
    assert.equal("inner outer", tasks.closed(log))
    assert.same({}, { log[1][2], log[2][2] })
    assert.equal(0, client:pending())
    assert_ended("cancelled", task)
    assert.matches("%(cancelled%)", tostring(task))
    client:step(0)
    assert.equal("inner outer", tasks.closed(log))
    assert.is_false(tasks.readable(client))
  end)

  it("again, or of a finished task, does nothing", function()
    local task = client:spawn(client.sleep, client, 3600)
    task:cancel()
    task:cancel()
    assert_ended("cancelled", task)
    task = client:spawn(function() return 1 end)
    task:cancel()
    assert.equal(1, task:wait())
    task = client:spawn(error, "mine", 0)
    task:cancel()
    assert.error_matches(function() task:wait() end, "mine")
  end)

  it("ends the operation: the store is asked no more", function()
    local dir <close> = helpers.tmpdir()
    local url = s:put_file("a.zip", downloads.archive(256))
    s:fault { fault = "stall", bytes = 100 * 1024 }
    local task = client:spawn(client.download, client,
      { url = url, path = dir.path })
    s:wait_requests(function(one) return one.stalled end)
    task:cancel()
    assert_ended("cancelled", task)
    -- the part is put away behind it, so that the next one can begin
    s:clear_faults()
    local zip <close> = assert(client:download { url = url, path = dir.path })
    assert.equal(#downloads.archive(256), zip.bytes)
    assert.same({ "a.zip" }, helpers.names(dir.path))
  end)

  it("before anything was sent sends nothing", function()
    local task
    local other <close> = helpers.client(s, { concurrency = 1 })
    s:fault { fault = "stall" }
    local first = other:spawn(other.account, other)
    s:wait_requests(function(one) return one.stalled end)
    task = other:spawn(other.snapshot, other, s.apps[1])
    task:cancel()
    s:release()
    assert(first:wait())
    assert.same({}, s:requests { method = "POST" })
    assert_ended("cancelled", task)
  end)

  it("of a task that waits leaves the one it waits for", function()
    local inner = client:spawn(client.account, client)
    local outer = client:spawn(inner.wait, inner)
    outer:cancel()
    assert_ended("cancelled", outer)
    assert(inner:wait())
  end)

  it("wakes those who wait for it, in tasks and outside", function()
    local task = client:spawn(client.sleep, client, 3600)
    local heard = {}
    for i = 1, 3 do
      client:spawn(function()
        local _, err = task:wait()
        heard[i] = err.kind
      end)
    end
    client:spawn(function()
      client:sleep(0.01)
      task:cancel()
    end)
    assert_ended("cancelled", task)
    while client:step(1) > 0 do end
    assert.same({ "cancelled", "cancelled", "cancelled" }, heard)
  end)

  it("from outside makes the descriptor readable for those", function()
    local task = client:spawn(client.sleep, client, 3600)
    local waiter = client:spawn(task.wait, task)
    assert.is_false(tasks.readable(client))
    task:cancel()
    assert.is_true(tasks.readable(client))
    assert.equal("running", waiter.status)
    assert.equal(0, client:step(0))
    assert.is_false(tasks.readable(client))
  end)

  it("of one waiter leaves the others", function()
    local task = client:spawn(client.sleep, client, 0.05)
    local waiters = {}
    for i = 1, 3 do waiters[i] = client:spawn(task.wait, task) end
    waiters[2]:cancel()
    assert.is_true(task:wait())
    assert.is_true(waiters[1]:wait())
    assert_ended("cancelled", waiters[2])
    assert.is_true(waiters[3]:wait())
  end)

  it("while its end is on the way: nothing more is resumed", function()
    local after = false
    local task = client:spawn(function()
      client:sleep(0)
      after = true
    end)
    assert.is_true(tasks.readable(client, 10)) -- its event waits
    task:cancel()
    assert.equal(0, client:step(0))
    assert.is_false(after)
    assert_ended("cancelled", task)
  end)

  it("in the same step as its end", function()
    local a, b
    local ran = {}
    a = client:spawn(function()
      client:sleep(0)
      ran[#ran + 1] = "a"
      b:cancel()
    end)
    b = client:spawn(function()
      client:sleep(0)
      ran[#ran + 1] = "b"
      a:cancel()
    end)
    client:sleep(0.05) -- both have come
    assert.equal(0, client:step(0))
    assert.equal(1, #ran)
  end)
end)

describe("a task that cancels", function()
  before_each(begin)
  after_each(finish)

  it("itself goes on to its next wait, and no further", function()
    local at, log = nil, {}
    local task
    task = client:spawn(function()
      local _ <close> = tasks.closer(log, "closed")
      client:sleep(0)
      task:cancel()
      at = task.status .. client:pending()
      client:snapshot(s.apps[1])
      at = "too far"
    end)
    assert_ended("cancelled", task)
    assert.equal("cancelled0", at)
    assert.equal("closed", tasks.closed(log))
    client:sleep(0.05)
    assert.same({}, s:requests()) -- not even begun
  end)

  it("itself and returns, or raises, is cancelled", function()
    for _, last in ipairs { function() return 1 end, error } do
      local task
      task = client:spawn(function()
        client:sleep(0)
        task:cancel()
        return last()
      end)
      assert_ended("cancelled", task)
      assert.equal(0, client:step(0))
    end
  end)

  it("itself in pcall is not caught", function()
    local task, after
    task = client:spawn(function()
      client:sleep(0)
      task:cancel()
      after = pcall(client.sleep, client, 0)
    end)
    assert_ended("cancelled", task)
    assert.is_nil(after)
  end)

  it("the one that spawns it: both stop at their next wait", function()
    local outer
    local log = {}
    client:spawn(function()
      client:sleep(0)
      outer = client:spawn(function()
        local _ <close> = tasks.closer(log, "outer")
        local inner
        client:sleep(0)
        inner = client:spawn(function()
          local _ <close> = tasks.closer(log, "inner")
          outer:cancel()
          log[#log + 1] = { "inner went on" }
          client:sleep(0)
          log[#log + 1] = { "inner again" }
          return "inner"
        end)
        log[#log + 1] = { "outer went on" }
        inner:wait()
        log[#log + 1] = { "never" }
      end)
    end)
    while client:step(1) > 0 do end
    assert_ended("cancelled", outer)
    assert.equal("inner went on outer went on outer inner again inner",
      tasks.closed(log))
  end)

  it("one that it waits for later gets nil and an error", function()
    client:run(function()
      local other = client:spawn(client.sleep, client, 3600)
      other:cancel()
      assert_ended("cancelled", other)
      other = client:spawn(client.sleep, client, 3600)
      client:spawn(function()
        client:sleep(0)
        other:cancel()
      end)
      assert_ended("cancelled", other)
    end)
  end)
end)

describe("a <close> variable of a cancelled task", function()
  before_each(begin)
  after_each(finish)

  -- Cancels a task whose <close> variable runs f; gives what f gave.
  local function closing(f)
    local results
    local task = client:spawn(function()
      local _ <close> = tasks.closer({}, "", function()
        results = table.pack(f())
      end)
      client:sleep(3600)
    end)
    task:cancel()
    assert.equal("cancelled", task.status)
    return table.unpack(results, 1, results.n)
  end

  it("may raise: that ends nothing else", function()
    local log = {}
    local task = client:spawn(function()
      local _ <close> = tasks.closer(log, "outer")
      local _ <close> = tasks.closer(log, "inner", error)
      local _ <close> = tasks.closer(log, "innermost", function()
        error "in vain"
      end)
      client:sleep(3600)
    end)
    task:cancel()
    assert.equal("innermost inner outer", tasks.closed(log))
    assert_ended("cancelled", task)
    assert(client:account())
  end)

  it("may call: that blocks", function()
    assert.equal(s.account_id, closing(function()
      return assert(client:account()).response.user.id
    end))
    assert.is_true(client:run(function()
      return closing(function() return client:sleep(0) end)
    end))
  end)

  it("may spawn, cancel and close", function()
    local other = client:spawn(client.sleep, client, 3600)
    local task = closing(function()
      other:cancel()
      return client:spawn(function()
        client:sleep(0)
        return "spawned"
      end)
    end)
    assert_ended("cancelled", other)
    assert.equal("spawned", task:wait())
    closing(function() client:close() end)
    assert.matches("closed", tostring(client))
  end)

  it("is inside a task: no step, no run, no wait", function()
    local other = client:spawn(client.sleep, client, 3600)
    for _, call in ipairs { client.step, client.run } do
      local ok, why = closing(function() return pcall(call, client, print) end)
      assert.is_false(ok)
      assert.matches("inside a task", why)
    end
    assert.is_false((closing(function() return pcall(other.wait, other) end)))
    other:cancel()
  end)

  it("may cancel one whose <close> variable does, and so on", function()
    local first, count, many = nil, 0, tool.times(20000)
    for _ = 1, many do
      local next_one = first
      first = client:spawn(function()
        local _ <close> = tasks.closer({}, "", function()
          count = count + 1
          if next_one then next_one:cancel() end
        end)
        client:sleep(3600)
      end)
    end
    first:cancel()
    assert.equal(many, count)
    assert.equal(0, client:pending())
  end)

  it("of the failed task itself may cancel it", function()
    local task
    task = client:spawn(function()
      local _ <close> = tasks.closer({}, "", function() task:cancel() end)
      client:sleep(0)
      error "unheard"
    end)
    assert_ended("cancelled", task)
  end)
end)

describe("close of the client", function()
  before_each(begin)
  after_each(finish)

  it("ends its tasks as closed, at once", function()
    local log, all = {}, {}
    for i = 1, 3 do
      all[i] = client:spawn(function()
        local _ <close> = tasks.closer(log, "t" .. i)
        client:account()
        log[#log + 1] = { "never" }
      end)
    end
    local done = client:spawn(function() return "kept" end)
    client:close()
    assert.equal("t1 t2 t3", tasks.closed(log))
    for i = 1, 3 do
      assert.equal("cancelled", all[i].status)
      assert_ended("closed", all[i])
    end
    assert.equal("kept", done:wait())
    all[1]:cancel()
    local other <close> = helpers.client(s)
    assert.equal(0, other:pending())
  end)

  it("in a task of its own ends that at its next wait", function()
    local other <close> = helpers.client(s)
    local log = {}
    local task = client:spawn(function()
      local _ <close> = tasks.closer(log, "closed")
      client:sleep(0)
      client:close()
      assert.is_false((pcall(client.sleep, client, 0)))
      log[#log + 1] = { "went on" }
      other:sleep(0)
      log[#log + 1] = { "never" }
    end)
    assert_ended("closed", task)
    assert.equal("went on closed", tasks.closed(log))
  end)

  it("in run ends run's own task as well", function()
    local other <close> = helpers.client(s)
    local task
    local result, err = client:run(function()
      task = client:spawn(client.sleep, client, 3600)
      client:close()
      return other:sleep(0)
    end)
    assert.is_nil(result)
    assert.equal("closed", err.kind)
    assert_ended("closed", task)
  end)

  it("leaves tasks of other clients that wait for it a way out", function()
    local other <close> = helpers.client(s)
    local task = client:spawn(client.sleep, client, 3600)
    local waiter = other:spawn(function() return select(2, task:wait()).kind
    end)
    client:close()
    assert.is_true(tasks.readable(other, 0))
    assert.equal("closed", waiter:wait())
  end)

  it("as a <close> variable of the task's own works the same", function()
    local _, err = client:spawn(function()
      local mine <close> = helpers.client(s)
      local task = mine:spawn(mine.sleep, mine, 3600)
      mine:sleep(0)
      return task
    end):wait():wait()
    assert.equal("closed", err.kind)
  end)
end)
