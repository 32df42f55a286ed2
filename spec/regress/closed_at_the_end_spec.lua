--- At the end of a state a waiting call is finalized before it is closed; the
-- task did not hear of a coroutine.close in between, and when it was cancelled
-- from a <close> variable its coroutine was reset while it ran.

local child = require "spec.support.child"

describe("a task whose coroutine a finalizer closes", function()
  it("is cancelled before its <close> variables run", function()
    local out, err, code = child.run [[
      local square = require "squarecloud"
      local client = square.Client { api_key = "k", proxy = "",
        base_url = "http://127.0.0.1:9" }
      local task, co
      task = client:spawn(function()
        co = coroutine.running()
        local _ <close> = setmetatable({}, { __close = function()
          io.write(task.status)
          task:cancel()
          local a, b = {}, {}
          print(math.type(#a), #b, task.status)
        end })
        -- kept until the state ends, and finalized before the task
        Finalizer = setmetatable({}, { __gc = function()
          print(coroutine.close(co))
        end })
        client:sleep(100)
      end)
    ]]
    assert.equal("cancelledinteger\t0\tcancelled\ntrue\n", out, err)
    assert.equal("", err)
    assert.equal(0, code)
  end)
end)
