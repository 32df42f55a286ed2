-- A host's signals while a call of ours blocks: they come as ever, its mask
-- stays as it was, and none of the network's (SIGPIPE) comes to it.

local server = require "spec.support.server"
local lifetimes = require "spec.support.lifetimes"

describe("a call that blocks", function()
  local s

  before_each(function()
    s = server.shared()
    s:reset()
  end)

  -- As the kernel has it: the signals that this thread blocks, and that wait.
  local MASKS = [[
    local function masks()
      local text = assert(io.open "/proc/thread-self/status"):read "a"
      return text:match "SigPnd:%s*(%x+)", text:match "SigBlk:%s*(%x+)"
    end
    local function check(before_pending, before_blocked)
      local pending, blocked = masks()
      assert(pending == before_pending and blocked == before_blocked, blocked)
    end
  ]]

  it("leaves the thread's signals as they were, however it ends", function()
    s:fault { fault = "respond", status = 500, times = 1,
      match = { path = "/v2/apps/b" } }
    s:fault { fault = "stall", times = 1, match = { path = "/v2/apps/c" } }
    local out, err = lifetimes.run(lifetimes.PROLOGUE .. MASKS .. [[
      local pending, blocked = masks()
      assert(client:account())
      check(pending, blocked)
      assert(not client:snapshot "b")
      check(pending, blocked)
      local hasty = new_client { retries = 0, timeout = 0.2 }
      assert(not hasty:all_app_snapshots "c")
      check(pending, blocked)
      local lost = new_client { retries = 0, base_url = base_url:gsub(":%d+",
        ":1") }
      assert(not lost:account())
      check(pending, blocked)
      print "done"
    ]], lifetimes.arguments(s))
    assert.equal("", err)
    assert.equal("done\n", out)
  end)

  it("brings no SIGPIPE to a host that would die of it", function()
    s:fault { fault = "reset", match = { path = "/v2/users/me" } }
    local out, err, how, code = lifetimes.start_script(
      lifetimes.PROLOGUE .. MASKS .. [[
      local pending, blocked = masks()
      local lost = new_client { retries = 0 }
      for _ = 1, 20 do
        local ok, why = lost:account()
        assert(not ok and why.kind == "network", why)
        check(pending, blocked)
      end
      print "alive"
    ]], lifetimes.arguments(s), nil, nil,
      { "env", "--default-signal=PIPE" }).wait()
    assert.equal("", err)
    assert.same({ "alive\n", "exit", 0 }, { out, how, code })
  end)

  it("lets a signal of the host's through within a moment", function()
    s:fault { fault = "stall" }
    -- one that waited for the end of the call would come too late
    local _, _, how, code = lifetimes.run(lifetimes.PROLOGUE .. [[
      local patient = new_client { timeout = 3600 }
      probe.alarm(0.02, 15)
      patient:account()
    ]], lifetimes.arguments(s))
    s:release()
    assert.same({ "signal", 15 }, { how, code })
  end)

  it("goes on by itself when the answer takes long", function()
    s:fault { fault = "delay", ms = 400, match = { path = "/v2/users/me" },
      times = 3 }
    local out, err = lifetimes.run(lifetimes.PROLOGUE .. [[
      for _ = 1, 3 do assert(client:account()) end
      assert(client:all_app_snapshots(app)) -- and is taken up again
      print "done"
    ]], lifetimes.arguments(s))
    assert.equal("", err)
    assert.equal("done\n", out)
  end)
end)
