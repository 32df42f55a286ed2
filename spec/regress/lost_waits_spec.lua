--- Tasks that somebody else's code takes from under their calls: a progress
-- function that closed the coroutine it was called for, and a finalizer that
-- resumed one at the end of the state, crashed; a finalizer that waited for a
-- task whose call was finalized before it, or that is collected with it, hung;
-- tasks that are taken down one by the other stayed half taken down.

local child = require "spec.support.child"
local server = require "spec.support.server"
local tasks = require "spec.support.tasks"

-- Nobody is ever asked at this address.
local HEAD = [[
  local square = require "squarecloud"
  local function new_client()
    return square.Client { api_key = "a-b", base_url = "http://127.0.0.1:9" }
  end
  local client = new_client()
]]

-- What waits at last is younger than what has the finalizer.
local AT_THE_END = HEAD .. [[
  local waits
  local task = client:spawn(function()
    client:sleep(0)
    waits = true
    client:sleep(3600)
  end)
  K = setmetatable({}, { __gc = function()
    print(%s)
  end })
  while not waits do client:step(1) end
]]

local COLLECTED = HEAD .. [[
  do
    local other = new_client()
    local task = other:spawn(function()
      other:sleep(0.01)
      other:sleep(0.01)
      return "slept"
    end)
    setmetatable({ task, other }, { __gc = function(o)
      local task, other = o[1], o[2]
      print(%s)
    end })
  end
  collectgarbage()
  collectgarbage()
]]

local SCRIPTS = {
  { "waits for a task at the end of the state", AT_THE_END:format
    "select('#', task:wait()), task.status", "2\tcancelled\n" },
  { "runs a task at the end of the state, where another waits",
    AT_THE_END:format "client:run(function() return 'ran' end)", "ran\n" },
  { "waits for a task that is collected with it",
    COLLECTED:format "task:wait()", "slept\n" },
  { "runs a task where another is collected with it", COLLECTED:format
    "other:run(function() return 'ran' end), task.status", "ran\tdone\n" },
  { "resumes a task's coroutine at the end of the state", HEAD .. [[
    client:spawn(function()
      local co = coroutine.running()
      K = setmetatable({}, { __gc = function()
        print(coroutine.resume(co))
      end })
      client:sleep(3600)
    end)
  ]], "true\n" },
}

describe("a finalizer that", function()
  for _, row in ipairs(SCRIPTS) do
    it(row[1], function()
      local out, err, code = child.run(row[2])
      assert.same({ row[3], "", 0 }, { out, err, code })
    end)
  end
end)

describe("a progress function that closes its task's coroutine", function()
  it("cancels the task", function()
    local s = server.shared()
    local out, err, code = child.run(tasks.PROLOGUE .. [[
      local dir = os.tmpname()
      os.remove(dir)
      assert(client:snapshot(app))
      local info = assert(client:all_app_snapshots(app))[1]
      local task = client:spawn(function()
        local co = coroutine.running()
        return info:download { path = dir, progress = function()
          print(coroutine.close(co))
        end }
      end)
      while client:step(1) > 0 do end
      print(task.status, select(2, task:wait()).kind)
      client:close()
      os.execute("rm -rf " .. dir)
    ]], tasks.arguments(s))
    assert.same({ "true\ncancelled\tcancelled\n", "", 0 }, { out, err, code })
  end)
end)

describe("tasks that are taken down one by the other", function()
  -- more than are taken down within each other, so that some have to wait
  it("are all taken down, when the first cancels itself", function()
    local out, err, code = child.run(HEAD .. [[
      local closed, task = 0, {}
      for i = 120, 1, -1 do
        task[i] = client:spawn(function()
          local _ <close> = setmetatable({}, { __close = function()
            closed = closed + 1
            if task[i + 1] then task[i + 1]:cancel() end
          end })
          client:sleep(0)
          if i == 1 then task[1]:cancel() end
          client:sleep(3600)
        end)
      end
      while closed == 0 do client:step(1) end
      print(closed, client:pending())
    ]])
    assert.same({ "120\t0\n", "", 0 }, { out, err, code })
  end)
end)

describe("a finalizer that closes the client of a download just beginning",
  function()
    it("leaves nothing of it behind", function()
      local out, err, code = child.run(HEAD .. [[
        local hits = 0
        for i = 0, 199 do
          local one = new_client()
          collectgarbage()
          collectgarbage "stop"
          setmetatable({}, { __gc = function() one:close() end })
          collectgarbage("incremental", 10, 1000, 1)
          for _ = 1, i do local _ = {} end
          collectgarbage "restart"
          local ok, why = pcall(one.download, one,
            { url = "http://127.0.0.1:9/x.zip", path = "/dev/null/none" })
          if not ok then
            hits = hits + 1
            assert(tostring(why):find("the client is closed", 1, true), why)
          end
          one = nil
          collectgarbage()
          collectgarbage()
        end
        print(hits > 0)
      ]])
      assert.same({ "true\n", "", 0 }, { out, err, code })
    end)
  end)
