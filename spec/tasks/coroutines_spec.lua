--- Tasks and coroutines: what lies between a task and the call that waits
-- (other tasks, pcall, metamethods, iterators, a user's own generators), and
-- that the call yields where it can and blocks where it cannot.

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

-- Runs f in a task; says whether it got to its end without giving way.
local function blocks(f, ...)
  local task = client:spawn(f, ...)
  local at_once = task.status ~= "running"
  task:wait()
  return at_once
end

local function id_of(account)
  return account.response.user.id
end

describe("tasks in tasks", function()
  before_each(begin)
  after_each(finish)

  it("wait for those they spawned, to any depth", function()
    local function nest(depth)
      if depth == 0 then return id_of(assert(client:account())) end
      return client:spawn(nest, depth - 1):wait()
    end
    assert.equal(s.account_id, client:run(nest, 100))
    assert.equal(s.account_id, client:spawn(nest, 100):wait())
  end)

  it("too deep in one another raise, and all goes on", function()
    local function nest(depth)
      if depth == 0 then return "bottom" end
      return client:spawn(nest, depth - 1):wait()
    end
    local ok, why = pcall(client.run, client, nest, 1000)
    assert.is_false(ok)
    assert.matches("overflow", why)
    assert.equal(0, client:pending())
    assert.equal("bottom", client:run(nest, 50))
  end)

  it("are under way at once", function()
    s:fault { fault = "stall" }
    local a = client:spawn(client.account, client)
    local b = client:spawn(client.all_app_snapshots, client, s.apps[1])
    s:wait_requests(function(one) return one.stalled end, 2)
    s:release()
    assert(a:wait())
    assert(b:wait())
  end)

  it("interleave, each with its own stack", function()
    local log = {}
    local function body(name)
      for i = 1, 3 do
        log[#log + 1] = name .. i
        client:sleep(0)
      end
      return name
    end
    client:run(function()
      local a, b = client:spawn(body, "a"), client:spawn(body, "b")
      assert.equal("b", b:wait())
      assert.equal("a", a:wait())
    end)
    assert.equal(6, #log)
    table.sort(log)
    assert.same({ "a1", "a2", "a3", "b1", "b2", "b3" }, log)
  end)

  it("go on when the one that spawned them is done", function()
    local inner
    local outer = client:spawn(function()
      inner = client:spawn(function()
        client:sleep(0.01)
        return "inner"
      end)
    end)
    assert.equal("done", outer.status)
    assert.equal("inner", inner:wait())
  end)
end)

describe("between a task and its call there may be", function()
  before_each(begin)
  after_each(finish)

  local function call()
    client:sleep(0)
    return id_of(assert(client:account()))
  end

  -- Lua yields across these.
  local object = setmetatable({}, {
    __index = function(_, name) return name .. call() end,
    __add = function() return call() end,
    __call = function() return call() end,
    __lt = function() return call() ~= nil end,
    __concat = function(_, more) return call() .. more end,
  })
  for name, body in pairs {
    pcall = function() return select(2, assert(pcall(call))) end,
    ["pcall in pcall"] = function()
      return select(3, assert(pcall(pcall, call)))
    end,
    xpcall = function() return select(2, assert(xpcall(call, print))) end,
    ["a field"] = function() return object.x:sub(2) end,
    ["an operator"] = function() return object + 1 end,
    ["a called table"] = function() return object() end,
    ["a comparison"] = function() return object < {} and s.account_id end,
    ["a concatenation"] = function() return object .. "" end,
    ["an iterator"] = function()
      local last
      for i in function(_, i) return i < 3 and i + 1 or nil end, nil, 0 do
        last = call()
        assert.is_true(i <= 3)
      end
      return last
    end,
    ["an iterator that waits"] = function()
      local result
      for id in function(_, before) return not before and call() or nil end do
        result = id
      end
      return result
    end,
    ["a <close> variable"] = function()
      local id
      do
        local _ <close> = setmetatable({}, { __close = function()
          id = call()
        end })
      end
      return id
    end,
  } do
    it(name, function()
      local task = client:spawn(body)
      assert.equal("running", task.status)
      assert.equal(s.account_id, task:wait())
    end)
  end

  -- C functions of Lua's own that cannot be left in the middle.
  for name, body in pairs {
    ["table.sort"] = function()
      local id
      table.sort({ 2, 1 }, function(a, b)
        id = call()
        return a < b
      end)
      return id
    end,
    ["string.gsub"] = function() return (("x"):gsub("x", call)) end,
    ["load with a reader"] = function()
      local id
      load(function()
        if not id then id = call() end
      end)
      return id
    end,
    ["tostring"] = function()
      return tostring(setmetatable({}, { __tostring = call }))
    end,
    ["require"] = function()
      package.preload["spec.of.tasks"] = call
      local id = require "spec.of.tasks"
      package.loaded["spec.of.tasks"] = nil
      return id
    end,
  } do
    it(name .. ", and then the call blocks", function()
      local id
      assert.is_true(blocks(function() id = body() end))
      assert.equal(s.account_id, id)
    end)
  end

  it("an error and its handler, the same object", function()
    local object_raised = {}
    client:run(function()
      local ok, why = pcall(function()
        client:sleep(0)
        error(object_raised)
      end)
      assert.is_false(ok)
      assert.equal(object_raised, why)
      client:sleep(0)
    end)
  end)
end)

describe("in a coroutine that is not ours", function()
  before_each(begin)
  after_each(finish)

  it("a call blocks, in a task", function()
    local id
    assert.is_true(blocks(function()
      id = coroutine.wrap(function() return id_of(client:account()) end)()
    end))
    assert.equal(s.account_id, id)
  end)

  it("a call blocks, outside of tasks", function()
    local co = coroutine.create(function() return id_of(client:account()) end)
    assert.same({ true, s.account_id }, { coroutine.resume(co) })
    assert.equal("dead", coroutine.status(co))
  end)

  it("a generator goes on yielding to its own user", function()
    local function ids(n)
      return coroutine.wrap(function()
        for i = 1, n do
          client:sleep(0)
          coroutine.yield(i, id_of(assert(client:account())))
        end
      end)
    end
    local seen = client:run(function()
      local list = {}
      for i, id in ids(3) do
        client:sleep(0)
        list[i] = id
      end
      return list
    end)
    assert.same({ s.account_id, s.account_id, s.account_id }, seen)
  end)

  it("a generator may go from one task to another, and outside", function()
    local next_one = coroutine.wrap(function()
      for i = 1, 3 do
        client:sleep(0)
        coroutine.yield(i)
      end
    end)
    local a = client:spawn(function()
      local got = next_one()
      client:sleep(0)
      return got
    end)
    local b = client:spawn(function()
      client:sleep(0)
      return next_one()
    end)
    assert.equal(1, a:wait())
    assert.equal(2, b:wait())
    assert.equal(3, next_one())
  end)

  it("a blocking call completes its own operation only", function()
    local order = {}
    client:run(function()
      local other = client:spawn(function()
        client:sleep(0)
        order[#order + 1] = "other"
      end)
      coroutine.wrap(function() client:sleep(0.1) end)()
      order[#order + 1] = "blocked"
      assert.equal("running", other.status)
      other:wait()
    end)
    assert.same({ "blocked", "other" }, order)
  end)

  it("wait raises inside a task, and waits outside", function()
    local task = client:spawn(client.sleep, client, 0.01)
    client:run(function()
      coroutine.wrap(function()
        assert.error_matches(function() task:wait() end,
          "coroutine of your own")
      end)()
      assert.is_true(task:wait())
      coroutine.wrap(function() assert.is_true(task:wait()) end)()
    end)
    task = client:spawn(client.sleep, client, 0.01)
    assert.is_true(coroutine.wrap(function() return task:wait() end)())
  end)

  it("a task may be spawned, and run", function()
    local task
    coroutine.wrap(function()
      task = client:spawn(client.account, client)
      coroutine.yield()
    end)()
    collectgarbage()
    assert.equal("running", task.status)
    assert(task:wait())
    local co = coroutine.create(function()
      return client:run(client.account, client)
    end)
    local _, account = assert(coroutine.resume(co))
    assert.equal(s.account_id, id_of(account))
    assert.equal(0, coroutine.wrap(function() return client:step() end)())
  end)

  it("nothing of a scheduler of the user's own is disturbed", function()
    local log, threads = {}, {}
    for i = 1, 3 do
      threads[i] = coroutine.create(function()
        for j = 1, 2 do
          coroutine.yield()
          client:spawn(function()
            client:sleep(0)
            log[#log + 1] = i * 10 + j
          end)
        end
      end)
    end
    repeat
      local alive = false
      for _, co in ipairs(threads) do
        alive = coroutine.resume(co) or alive
      end
      client:step(0)
    until not alive
    while client:step(1) > 0 do end
    table.sort(log)
    assert.same({ 11, 12, 21, 22, 31, 32 }, log)
  end)
end)

describe("two clients", function()
  before_each(begin)
  after_each(finish)

  it("serve one task, and either's step drives both", function()
    local other <close> = helpers.client(s, { base_url = s.http_base_url })
    local task = client:spawn(function()
      other:sleep(0)
      local a = id_of(assert(other:account()))
      client:sleep(0)
      return a, id_of(assert(client:account()))
    end)
    assert.equal(1, other:pending())
    assert.equal(client:pollfd(), other:pollfd())
    while other:step(1) > 0 do end
    assert.same({ s.account_id, s.account_id }, { task:wait() })
  end)

  it("have one queue: run of one waits for the other's tasks", function()
    local other <close> = helpers.client(s)
    local task = other:spawn(other.sleep, other, 0.02)
    client:run(function() end)
    assert.equal("done", task.status)
  end)

  it("closed one in the other's task: its call ends, the task goes on",
    function()
      local other = helpers.client(s)
      s:fault { fault = "stall", match = { path = "/v2/users" } }
      local task = client:spawn(function()
        local result, err = other:account()
        assert.is_nil(result)
        assert.is_false((pcall(other.account, other)))
        return err.kind, client:sleep(0)
      end)
      s:wait_requests(function(one) return one.stalled end)
      assert.is_false(tasks.readable(client))
      other:close()
      assert.equal("running", task.status)
      assert.is_true(tasks.readable(client, 10))
      assert.same({ "closed", true }, { task:wait() })
    end)
end)
