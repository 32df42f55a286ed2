--- Lifetimes: tasks and clients that nobody holds, states that end with tasks
-- running, in any order, and several states in one process. Most of it runs in
-- processes of their own, whose end is looked at.

local child = require "spec.support.child"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local states = require "states_probe"
local tasks = require "spec.support.tasks"

local s

local function begin()
  s = server.shared()
end

-- Runs a script that begins with a client; gives what it printed. It must end
-- well, with nothing on stderr. `plain`: its client has no names to look up.
local function run(body, plain)
  local arguments = tasks.arguments(s)
  if plain then arguments[2] = s.http_base_url end
  local out, err, code = child.run(tasks.PROLOGUE .. body, arguments)
  assert.equal("", err)
  assert.equal(0, code)
  return out
end

-- For such scripts: a value that tells of its closing, and descriptors.
local TOOLS = [[
  local function closer(name)
    return setmetatable({}, { __close = function() print(name) end })
  end
  local function collect()
    for _ = 1, 3 do collectgarbage() end
  end
]]

describe("tasks and their client", function()
  before_each(begin)

  it("are collected together, when both are dropped", function()
    assert.equal("inner\nouter\n0\n", run(TOOLS .. [[
      local other = new_client()
      client:spawn(function()
        local _ <close> = closer "outer"
        local _ <close> = closer "inner"
        client:account()
        print "never"
      end)
      client = nil
      collect()
      print(other:pending())
    ]]))
  end)

  it("hold each other: a task its client", function()
    assert.equal("running\ndone\n", run(TOOLS .. [[
      local task = client:spawn(client.sleep, client, 0.02)
      client = nil
      collect()
      print(task.status)
      task:wait()
      print(task.status)
    ]]))
  end)

  it("hold each other: a client its running tasks", function()
    assert.equal("ran\n0\n", run(TOOLS .. [[
      client:spawn(function()
        client:sleep(0.02)
        print "ran"
      end)
      collect()
      while client:step(1) > 0 do collect() end
      print(client:pending())
    ]]))
  end)

  it("are collected when a task waits for another", function()
    assert.equal("0\n", run(TOOLS .. [[
      local other = new_client()
      local a = client:spawn(client.sleep, client, 3600)
      local b = client:spawn(a.wait, a)
      client:spawn(function() b:wait(3600) end)
      a, b, client = nil, nil, nil
      collect()
      print(other:step(0))
    ]]))
  end)

  it("leave nothing behind, time and again", function()
    assert.equal("same\n", run(TOOLS .. [[
      local function count()
        local n = 0
        for _ in require "lfs".dir "/proc/self/fd" do n = n + 1 end
        return n
      end
      local function drop_all()
        local one = new_client()
        for _ = 1, 10 do
          one:spawn(one.sleep, one, 3600)
          one:spawn(one.account, one)
        end
      end
      local function turn()
        drop_all()
        collect()
      end
      client = nil -- and with it the engine, in each turn
      for _ = 1, 3 do turn() end
      local fds, memory = count(), collectgarbage "count"
      for _ = 1, 100 do turn() end
      local after = count()
      assert(after == fds, after .. " descriptors, not " .. fds)
      after = collectgarbage "count"
      assert(after < memory + 50, after .. " KiB, not " .. memory)
      print "same"
    ]], true))
  end)

  for _, mode in ipairs { "generational", "incremental" } do
    it("survive a busy collector, " .. mode, function()
      assert.equal("200\n", run(TOOLS .. [[
        collectgarbage "]] .. mode .. [["
        if "]] .. mode .. [[" == "incremental" then
          collectgarbage("incremental", 10, 1000, 1)
        end
        local done = 0
        client:run(function()
          for i = 1, 200 do
            local lost = new_client()
            lost:spawn(function()
              local _ <close> = setmetatable({}, { __close = print and
                function() end })
              lost:sleep(i % 3 / 100)
            end)
            lost = nil
            client:spawn(function()
              local text = ("x"):rep(1000) .. i
              client:sleep(i % 5 / 1000)
              done = done + #text // 1000
            end)
          end
        end)
        print(done)
      ]]))
    end)
  end

  it("survive what comes between their loss and their finalizers", function()
    assert.equal("0 true\n", run(TOOLS .. [[
      local finalized, late = 0, false
      local dummy = { __gc = function() finalized = finalized + 1 end }
      for turn = 1, 20 do
        collectgarbage("incremental", 100, 4, 1) -- in the smallest steps
        collectgarbage "stop"
        local lost = new_client()
        local first = finalized
        for _ = 1, 3 do lost:spawn(lost.sleep, lost, 0.001) end
        for _ = 1, 1000 do setmetatable({}, dummy) end -- finalized before
        lost = nil
        repeat collectgarbage("step", 0) until finalized > first
        client:sleep(0.01) -- what the lost tasks slept for has come
        late = late or finalized < first + 1000
        client:step(0)
        collectgarbage "restart"
        collect()
      end
      print(client:pending() .. " " .. tostring(late))
    ]]))
  end)

  -- What a finalizer may do at any time.
  for name, act in pairs {
    ["closes the client"] = "client:close()",
    ["cancels the task"] = "task:cancel()",
    ["calls"] = "pcall(client.account, client)",
    ["spawns"] = "pcall(client.spawn, client, client.sleep, client, 0)",
    ["steps"] = "pcall(client.step, client, 0)",
  } do
    it("survive a finalizer that " .. name, function()
      assert.equal("end\n", run([[
        collectgarbage("incremental", 10, 1000, 1)
        for i = 1, 40 do
          local client, task = new_client()
          task = client:spawn(function()
            for j = 1, 5 do
              local _ = ("x"):rep(i * 100 + j)
              client:sleep(0)
            end
          end)
          local function finalize() ]] .. act .. [[ end
          for _ = 1, i do setmetatable({}, { __gc = finalize }) end
          pcall(client.account, client)
          pcall(client.run, client, function()
            for _ = 1, 5 do client:sleep(0) end
          end)
          pcall(task.wait, task, 1)
          client:close()
        end
        print "end"
      ]]))
    end)
  end
end)

describe("a state that ends while tasks run", function()
  before_each(begin)

  -- Ways to hold them, and what is printed at the end.
  for name, body in pairs {
    ["in locals"] = [[
      local task = client:spawn(body)
      print(task.status)
    ]],
    ["in globals"] = [[
      C, T = client, client:spawn(body)
      print(T.status)
    ]],
    ["the task alone"] = [[
      T = client:spawn(body)
      client = nil
      print(T.status)
    ]],
    ["the client alone"] = [[
      C = client
      print(client:spawn(body).status)
    ]],
    ["the client closed by a <close> variable"] = [[
      local mine <close> = client
      print(mine:spawn(body).status)
    ]],
    ["with os.exit"] = [[
      T = client:spawn(body)
      print(T.status)
      os.exit(0, true)
    ]],
    ["with a client made before another's task"] = [[
      local second = new_client()
      T = second:spawn(body)
      C = new_client()
      print(T.status)
    ]],
  } do
    it(name .. ": <close> variables are run", function()
      assert.equal("running\nclosed\n", run(TOOLS .. [[
        local function body()
          local _ <close> = closer "closed"
          client:account()
          print "never"
        end
      ]] .. body))
    end)
  end

  for name, body in pairs {
    ["without closing it"] = [[
      client:spawn(client.account, client)
      print "end"
      os.exit(0)
    ]],
    ["in a task"] = [[
      client:run(function()
        client:spawn(client.sleep, client, 3600)
        client:sleep(0)
        print "end"
        os.exit(0, true)
      end)
    ]],
    ["in a task, without closing it"] = [[
      client:run(function()
        client:spawn(client.account, client)
        client:sleep(0)
        print "end"
        os.exit(0)
      end)
    ]],
    ["in a task's <close> variable"] = [[
      local task = client:spawn(function()
        local _ <close> = setmetatable({}, { __close = function()
          print "end"
          os.exit(0, true)
        end })
        client:sleep(3600)
      end)
      task:cancel()
    ]],
    ["in a finalizer of the client's user"] = [[
      local task = client:spawn(client.sleep, client, 3600)
      K = setmetatable({}, { __gc = function()
        pcall(client.account, client)
        task:cancel()
        client:close()
        print "end"
      end })
    ]],
    ["in a finalizer that comes last"] = [[
      local later, task
      K = setmetatable({}, { __gc = function()
        assert(not pcall(later.account, later))
        task:cancel()
        later:close()
        assert(task.status == "cancelled")
        assert(select(2, task:wait()).kind == "closed")
        print "end"
      end })
      later = new_client()
      task = later:spawn(later.sleep, later, 3600)
    ]],
    ["with errors in <close> variables"] = [[
      client:spawn(function()
        local _ <close> = setmetatable({}, { __close = error })
        client:sleep(3600)
      end)
      print "end"
    ]],
    ["with a coroutine that blocked in a task"] = [[
      local co
      client:spawn(function()
        co = coroutine.wrap(function()
          client:account()
          coroutine.yield()
        end)
        co()
        client:sleep(3600)
      end)
      print "end"
    ]],
    ["with a thousand of them"] = [[
      for _ = 1, 1000 do client:spawn(client.sleep, client, 3600) end
      print(client:pending() == 1000 and "end")
    ]],
  } do
    it(name .. ", ends well", function()
      assert.equal("end\n", run(body))
    end)
  end

  it("by an error in run says so, and ends", function()
    local out, err, code = child.run(tasks.PROLOGUE .. TOOLS .. [[
      client:run(function()
        client:spawn(function()
          local _ <close> = closer "closed"
          client:sleep(0.05)
        end)
        error "the end"
      end)
    ]], tasks.arguments(s))
    assert.equal(1, code)
    assert.equal("closed\n", out)
    assert.matches("the end", err, 1, true)
  end)
end)

describe("two states in one process", function()
  before_each(begin)

  local START = tasks.PROLOGUE .. [[
    C = client
    T = client:spawn(function()
      local _ <close> = setmetatable({}, { __close = function()
        CLOSED = true
      end })
      return assert(client:account()).response.user.id
    end)
    return T.status, client:pollfd()
  ]]

  local function start()
    local state = states.new()
    return state, state:run(START, table.unpack(tasks.arguments(s)))
  end

  it("have an engine and a queue each", function()
    s:fault { fault = "stall" }
    local a, a_status, a_fd = start()
    local b, b_status, b_fd = start()
    assert.equal("running running", a_status .. " " .. b_status)
    assert.not_equal(a_fd, b_fd)
    s:wait_requests(function(one) return one.stalled end, 2)
    s:release()
    assert.equal(s.account_id, b:run "return T:wait()")
    assert.equal("running", a:run "return T.status")
    assert.equal(s.account_id, a:run "return T:wait()")
    a:close()
    b:close()
  end)

  it("end in any order, with tasks running", function()
    for _, order in ipairs { "ab", "ba" } do
      s:fault { fault = "stall", times = 2 }
      local all = { a = (start()), b = (start()) }
      s:wait_requests(function(one) return one.stalled end, 2)
      local first, last = all[order:sub(1, 1)], all[order:sub(2, 2)]
      first:close()
      s:release()
      assert.equal(s.account_id, last:run "return T:wait()")
      assert.is_true(last:run "return CLOSED")
      last:close()
      s:reset()
    end
  end)

  it("may be inside one another", function()
    local client <close> = helpers.client(s)
    local inner, id
    local task = client:spawn(function()
      client:sleep(0)
      inner = states.new()
      id = inner:run(tasks.PROLOGUE .. [[
        return client:run(function()
          return assert(client:account()).response.user.id
        end)
      ]], table.unpack(tasks.arguments(s)))
      client:sleep(0)
      inner:close()
      return assert(client:account()).response.user.id
    end)
    assert.equal(s.account_id, task:wait())
    assert.equal(s.account_id, id)
  end)

  it("come and go beside one that stays", function()
    local client <close> = helpers.client(s)
    local task = client:spawn(client.sleep, client, 3600)
    for i = 1, 20 do
      local state, status = start()
      assert.equal("running", status)
      if i % 2 == 0 then state:run "return T:wait()" end
      state:close()
    end
    assert(client:account())
    assert.equal("running", task.status)
    assert.equal(1, client:step(0))
  end)
end)
