--- run, step and sleep: what they give and raise, in and out of tasks, how
-- long they wait, and who hears of errors that nobody waits for.

local socket = require "socket"
local child = require "spec.support.child"
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

describe("run", function()
  before_each(begin)
  after_each(finish)

  it("gives what its function gives", function()
    assert.same(table.pack(nil, 2, nil), table.pack(client:run(function(...)
      client:sleep(0)
      return ...
    end, nil, 2, nil)))
  end)

  it("goes on until no task is left", function()
    local ended = false
    assert.equal("f", client:run(function()
      client:spawn(function()
        client:sleep(0.02)
        client:spawn(function()
          client:sleep(0.02)
          ended = true
        end)
      end)
      return "f"
    end))
    assert.is_true(ended)
    assert.equal(0, client:pending())
  end)

  it("raises what its function raises, the same object", function()
    local object, other = {}, false
    local ok, why = pcall(client.run, client, function()
      client:spawn(function()
        client:sleep(0.02)
        other = true
      end)
      client:sleep(0)
      error(object)
    end)
    assert.is_false(ok)
    assert.equal(object, why)
    assert.is_true(other)
  end)

  it("raises the first error that nobody waited for", function()
    local first = {}
    local ok, why = pcall(client.run, client, function()
      client:spawn(function()
        client:sleep(0.01)
        error "second"
      end)
      client:spawn(error, first)
      collectgarbage()
      collectgarbage()
      return "fine"
    end)
    assert.is_false(ok)
    assert.equal(first, why)
    assert.equal("fine", client:run(function() return "fine" end))
  end)

  it("does not raise an error that somebody waited for", function()
    assert.equal("fine", client:run(function()
      local early = client:spawn(error, "early")
      local late = client:spawn(function()
        client:sleep(0)
        error "late"
      end)
      assert.is_false((pcall(late.wait, late)))
      client:sleep(0.01)
      assert.is_false((pcall(early.wait, early)))
      return "fine"
    end))
  end)

  it("gives nil and an error when its task is closed", function()
    local other <close> = helpers.client(s)
    local result, err = client:run(function()
      client:close()
      other:sleep(0)
      error "never here"
    end)
    assert.is_nil(result)
    assert.equal("closed", err.kind)
  end)
end)

describe("step", function()
  before_each(begin)
  after_each(finish)

  it("gives the number of unfinished tasks", function()
    assert.equal(0, client:step())
    assert.equal(0, client:step(3600))
    local all = {}
    for i = 1, 3 do all[i] = client:spawn(client.sleep, client, 3600) end
    assert.equal(3, client:step(0))
    assert.equal(3, client:pending())
    all[2]:cancel()
    assert.equal(2, client:step(0))
    all[1]:cancel()
    all[3]:cancel()
    assert.equal(0, client:step(0))
  end)

  it("of 0 seconds does not wait", function()
    s:fault { fault = "stall" }
    local task = client:spawn(client.account, client)
    s:wait_requests(function(one) return one.stalled end)
    local began = socket.gettime()
    for _ = 1, 1000 do client:step(0) end
    assert.is_true(socket.gettime() - began < 10)
    assert.equal("running", task.status)
    s:release()
    assert(task:wait())
  end)

  it("waits as long as it is told, and no longer", function()
    local task = client:spawn(client.sleep, client, 3600)
    local began = socket.gettime()
    assert.equal(1, client:step(0.2))
    local took = socket.gettime() - began
    assert.is_true(took >= 0.19, took)
    assert.is_true(took < 10, took)
    task:cancel()
  end)

  it("returns as soon as something has come", function()
    local task = client:spawn(client.account, client)
    local began = socket.gettime()
    while client:step(3600) > 0 do end
    assert.is_true(socket.gettime() - began < 60)
    assert.equal("done", task.status)
  end)

  it("handles at most as many events as it is told", function()
    local done = 0
    for _ = 1, 10 do
      client:spawn(function()
        client:sleep(0)
        done = done + 1
      end)
    end
    for i = 1, 10 do
      client:step(5, 1)
      assert.equal(i, done)
    end
    assert.equal(0, client:pending())
  end)

  it("takes no nonsense", function()
    for _, wrong in ipairs { { -1 }, { 0 / 0 }, { "soon" }, { 0, 0 },
      { 0, -5 }, { 0, 1.5 }, { 0, "some" }, { {} } } do
      assert.is_false((pcall(client.step, client, table.unpack(wrong))))
    end
    for _, wrong in ipairs { -1, 0 / 0, "soon", {} } do
      assert.is_false((pcall(client.sleep, client, wrong)))
    end
    assert.is_false((pcall(client.sleep, client)))
  end)
end)

describe("inside a task", function()
  before_each(begin)
  after_each(finish)

  for _, name in ipairs { "step", "run" } do
    it(name .. " raises", function()
      client:run(function()
        for _ = 1, 2 do
          assert.error_matches(function() client[name](client, print) end,
            name .. ": cannot be called inside a task")
          coroutine.wrap(function()
            assert.error_matches(function() client[name](client, print) end,
              name .. ": cannot be called inside a task")
          end)()
          client:sleep(0)
        end
      end)
    end)
  end
end)

describe("sleep", function()
  before_each(begin)
  after_each(finish)

  it("blocks outside a task, and yields inside", function()
    local began = socket.gettime()
    assert.is_true(client:sleep(0.1))
    assert.is_true(socket.gettime() - began >= 0.09)
    local task = client:spawn(client.sleep, client, 0.1)
    assert.equal("running", task.status)
    assert.is_true(task:wait())
  end)

  it("ends in the order of the times", function()
    local order = {}
    client:run(function()
      for _, i in ipairs { 3, 1, 2 } do
        client:spawn(function()
          client:sleep(i * 0.1)
          order[#order + 1] = i
        end)
      end
    end)
    assert.same({ 1, 2, 3 }, order)
  end)
end)

describe("an error that nobody waits for", function()
  before_each(begin)
  after_each(finish)

  local UNHEARD = "a task failed and nobody waited for it: "

  -- What a script with a client warns of, without the beginnings.
  local function warnings(body)
    local out, err, code = child.run("warn '@on'\n" .. tasks.PROLOGUE .. body,
      tasks.arguments(s))
    assert.equal(0, code, out .. err)
    local found = {}
    for line in err:gmatch "Lua warning: ([^\n]*)" do
      found[#found + 1] = line:gsub("^squarecloud: ", ""):gsub(UNHEARD, "")
    end
    return found, err
  end

  it("is warned of by step, once", function()
    local found, err = warnings [[
      client:spawn(error, "at once", 0)
      client:spawn(function() client:sleep(0) error("later", 0) end)
      while client:step(1) > 0 do end
      client:step(0)
    ]]
    assert.same({ "at once", "later" }, found)
    assert.matches(UNHEARD, err, 1, true)
  end)

  it("is not warned of when somebody waited", function()
    assert.same({}, (warnings [[
      local t = client:spawn(error, "heard")
      pcall(t.wait, t)
      t = client:spawn(function() client:sleep(0) error("heard") end)
      client:spawn(function() pcall(t.wait, t) end)
      while client:step(1) > 0 do end
      client:close()
    ]]))
  end)

  it("is warned of beside the one that run raises", function()
    assert.same({ "second", "third" }, (warnings [[
      local ok, why = pcall(client.run, client, function()
        for _, text in ipairs { "first", "second", "third" } do
          client:spawn(error, text, 0)
        end
      end)
      assert(not ok and why == "first")
    ]]))
    assert.same({ "other" }, (warnings [[
      local ok, why = pcall(client.run, client, function()
        client:spawn(error, "other", 0)
        error("own", 0)
      end)
      assert(not ok and why == "own")
    ]]))
  end)

  it("is warned of when its client is dropped, or the state ends", function()
    assert.same({ "dropped" }, (warnings [[
      client:spawn(error, "dropped", 0)
      client = nil
      collectgarbage()
      collectgarbage()
    ]]))
    assert.same({ "at the end" }, (warnings [[
      client:spawn(error, "at the end", 0)
    ]]))
  end)

  it("may be any object, even one that cannot be shown", function()
    assert.same({ "nil", "an error that cannot be shown",
      "an error that cannot be shown", "false" }, (warnings [[
      client:spawn(error)
      client:spawn(error, setmetatable({}, { __tostring = error }))
      client:spawn(error, setmetatable({}, { __tostring = function()
        return {}
      end }))
      client:spawn(error, false)
      client:step(0)
    ]]))
  end)
end)

describe("Ctrl-C", function()
  before_each(begin)
  after_each(finish)

  -- What the script waits in, and how the interpreter ends.
  for name, body in pairs {
    ["run with nothing to do"] = [[
      client:run(function() client:sleep(3600) end)
    ]],
    ["run with much to do"] = [[
      client:run(function()
        for _ = 1, 300 do
          client:spawn(function() while true do client:sleep(0) end end)
        end
      end)
    ]],
    ["wait"] = [[
      client:spawn(client.sleep, client, 3600):wait()
    ]],
    ["wait while others are busy"] = [[
      for _ = 1, 300 do
        client:spawn(function() while true do client:sleep(0) end end)
      end
      client:spawn(client.sleep, client, 3600):wait()
    ]],
    ["a long step"] = [[
      client:spawn(client.sleep, client, 3600)
      client:step(3600)
    ]],
    ["sleep"] = "client:sleep(3600)",
  } do
    it("gets out of " .. name, function()
      local began = socket.gettime()
      local _, err, code = child.run(tasks.PROLOGUE .. [[
        -- os.execute would have it ignored until the shell's end; and this
        -- is waited for at the end, so that no other process gets it
        local alarm = io.popen "sleep 0.3; kill -INT $PPID"
      ]] .. body, tasks.arguments(s))
      assert.equal(1, code)
      assert.matches("interrupted!", err, 1, true)
      assert.is_true(socket.gettime() - began < 30)
    end)
  end
end)
