--- Tasks: what spawn and wait give and raise, and what a task is. The rest is
-- in spec/tasks: run and step, calls, coroutines, cancelling, lifetimes,
-- descriptor.

local socket = require "socket"
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

describe("spawn", function()
  before_each(begin)
  after_each(finish)

  it("runs the function up to its first wait", function()
    local at = "before"
    local task = client:spawn(function(a, b)
      at = a .. b
      client:sleep(0)
      at = "after"
    end, "in", "side")
    assert.equal("inside", at)
    assert.equal("running", task.status)
    assert.equal(1, client:pending())
    task:wait()
    assert.equal("after", at)
    assert.equal("done", task.status)
    assert.equal(0, client:pending())
  end)

  it("gives a finished task when nothing is waited for", function()
    local task = client:spawn(function() return 1 end)
    assert.equal("done", task.status)
    assert.equal(0, client:pending())
    assert.equal(1, task:wait())
  end)

  it("takes a method of the client", function()
    local task = client:spawn(client.snapshot, client, s.apps[1])
    assert.equal("running", task.status)
    assert.equal(s.apps[1], assert(task:wait()).id)
  end)

  it("passes on arguments and results, nils and all", function()
    local task = client:spawn(function(...)
      client:sleep(0)
      return select("#", ...), ...
    end, nil, 1, nil, nil)
    assert.same(table.pack(4, nil, 1, nil, nil), table.pack(task:wait()))
    assert.same({ n = 0 }, table.pack(client:spawn(function() end):wait()))
    local many = {}
    for i = 1, 5000 do many[i] = i end
    assert.same(many, { client:spawn(function(...)
      client:sleep(0)
      return ...
    end, table.unpack(many)):wait() })
  end)

  it("takes a function, nothing else", function()
    for _, wrong in ipairs { 1, "print", {}, setmetatable({},
      { __call = print }), coroutine.create(print) } do
      assert.error_matches(function() client:spawn(wrong) end,
        "spawn: expected a function, got " .. type(wrong))
      assert.error_matches(function() client:run(wrong) end,
        "run: expected a function, got " .. type(wrong))
    end
    assert.error_matches(function() client:spawn() end, "expected a function")
    assert.equal(0, client:pending())
  end)
end)

describe("a task", function()
  before_each(begin)
  after_each(finish)

  it("has a status that can only be read, and no other field", function()
    local task = client:spawn(client.sleep, client, 0)
    assert.matches("^squarecloud%.Task %(running%)", tostring(task))
    assert.has_error(function() task.status = "done" end)
    assert.is_nil(task.unknown)
    assert.is_nil(task.traceback)
    task:wait()
    assert.matches("^squarecloud%.Task %(done%)", tostring(task))
    local fields = {}
    for name, value in pairs(task) do fields[name] = value end
    assert.same({ status = "done" }, fields)
  end)

  it("may be waited for again, in and out of tasks", function()
    local task = client:spawn(function()
      client:sleep(0)
      return "it", 2
    end)
    for _ = 1, 3 do
      assert.same({ "it", 2 }, { task:wait() })
      assert.same({ "it", 2 }, { client:run(task.wait, task) })
      assert.same({ "it", 2 }, { task:wait(0) })
    end
  end)

  it("is waited for by many at once", function()
    local task = client:spawn(function()
      client:sleep(0.01)
      return "news"
    end)
    local heard = {}
    for i = 1, 20 do
      client:spawn(function() heard[i] = task:wait() end)
    end
    assert.equal("news", task:wait())
    assert.equal(0, client:step(0))
    for i = 1, 20 do assert.equal("news", heard[i]) end
  end)

  it("cannot wait for itself", function()
    local task
    task = client:spawn(function()
      client:sleep(0)
      return pcall(task.wait, task)
    end)
    local ok, why = task:wait()
    assert.is_false(ok)
    assert.matches("itself", why, 1, true)
  end)

  it("must not yield by itself", function()
    local log = {}
    local task = client:spawn(function()
      local _ <close> = tasks.closer(log, "inner")
      coroutine.yield "out"
    end)
    assert.equal("failed", task.status)
    assert.equal("inner", tasks.closed(log))
    assert.error_matches(function() task:wait() end, "call coroutine.yield")
  end)

  it("is a coroutine that only the client resumes or ends", function()
    local co
    local task = client:spawn(function()
      co = coroutine.running()
      client:sleep(0.01)
      return "whole"
    end)
    for _ = 1, 3 do
      assert.is_true((coroutine.resume(co, "by hand", 2)))
      assert.equal("running", task.status)
    end
    assert.equal("whole", task:wait())
    assert.equal("dead", coroutine.status(co))
    assert.is_false((coroutine.resume(co)))

    task = client:spawn(function()
      co = coroutine.running()
      client:sleep(3600)
    end)
    coroutine.close(co)
    assert.equal("cancelled", task.status)
    assert.equal("cancelled", select(2, task:wait()).kind)
    assert.equal(0, client:pending())
  end)
end)

describe("wait with a time", function()
  before_each(begin)
  after_each(finish)

  it("gives up, and the task goes on", function()
    local sleep = client:spawn(client.sleep, client, 3600)
    local task = client:spawn(function()
      sleep:wait()
      return "late"
    end)
    for _, seconds in ipairs { 0, 0.02 } do
      local result, err = task:wait(seconds)
      assert.is_nil(result)
      assert.equal("timeout", err.kind)
      assert.equal("running", task.status)
    end
    sleep:cancel()
    assert.equal("late", task:wait(3600))
  end)

  it("gives up in a task as well", function()
    local task = client:spawn(client.sleep, client, 3600)
    local result, err = client:spawn(task.wait, task, 0.01):wait()
    assert.is_nil(result)
    assert.equal("timeout", err.kind)
    assert.equal("wait", err.operation)
    task:cancel()
  end)

  it("is not kept when the task is done before", function()
    local task = client:spawn(client.sleep, client, 0.01)
    local began = socket.gettime()
    assert.is_true(task:wait(60))
    assert.is_true(socket.gettime() - began < 30)
    assert.is_false(tasks.readable(client, 0))
  end)

  it("takes no nonsense", function()
    local task = client:spawn(client.sleep, client, 0)
    for _, wrong in ipairs { -1, 0 / 0, "soon", {}, false } do
      assert.is_false((pcall(task.wait, task, wrong)))
    end
    assert.is_true(task:wait(math.huge))
  end)
end)

describe("an error in a task", function()
  before_each(begin)
  after_each(finish)

  local function failing(object)
    return client:spawn(function()
      client:sleep(0)
      error(object, 0)
    end)
  end

  it("comes out of every wait, the same object", function()
    for _, object in ipairs { {}, "text", 7, print,
      setmetatable({}, { __tostring = error }) } do
      local task = failing(object)
      for _ = 1, 2 do
        local ok, why = pcall(task.wait, task)
        assert.is_false(ok)
        assert.is_true(rawequal(object, why))
        ok, why = pcall(client.run, client, task.wait, task)
        assert.is_false(ok)
        assert.is_true(rawequal(object, why))
      end
      assert.equal("failed", task.status)
    end
    local task = failing(nil)
    assert.same({ false, nil }, { pcall(task.wait, task) })
  end)

  it("leaves its traceback", function()
    local function guilty_function()
      client:sleep(0)
      error "here"
    end
    local task = client:spawn(function()
      guilty_function()
      return 1
    end)
    assert.is_nil(task.traceback)
    pcall(task.wait, task)
    assert.matches("stack traceback", task.traceback, 1, true)
    assert.matches("guilty_function", task.traceback, 1, true)
    assert.matches("task_spec%.lua:%d+", task.traceback)
  end)

  it("from before the first wait does not come out of spawn", function()
    local task = client:spawn(error, "at once", 0)
    assert.equal("failed", task.status)
    assert.error_matches(function() task:wait() end, "at once")
  end)

  it("is seen by the body's <close> variables", function()
    local log, object = {}, {}
    local task = client:spawn(function()
      local _ <close> = tasks.closer(log, "outer")
      local _ <close> = tasks.closer(log, "inner")
      client:sleep(0)
      error(object)
    end)
    assert.is_false((pcall(task.wait, task)))
    assert.same({ { "inner", object }, { "outer", object } }, log)
  end)

  it("gives way to what a <close> variable raises, as in Lua", function()
    local task = client:spawn(function()
      local _ <close> = tasks.closer({}, "", function() error("second", 0) end)
      client:sleep(0)
      error("first", 0)
    end)
    assert.same({ false, "second" }, { pcall(task.wait, task) })
    task = client:spawn(function()
      local _ <close> = tasks.closer({}, "", function() error("only", 0) end)
      client:sleep(0)
      return 1
    end)
    assert.same({ false, "only" }, { pcall(task.wait, task) })
  end)
end)
