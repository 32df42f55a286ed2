-- Row 37 of the faults that a download survives: the wall clock jumps, by
-- years, at every look at it. Every time that we count goes by the clock that
-- never does: nothing ends early, nothing late, no rate is nonsense.

local server = require "spec.support.server"
local helpers = require "spec.support.helpers"
local lifetimes = require "spec.support.lifetimes"
local downloads = require "spec.support.downloads"

local YEARS = 20 * 365 * 86400

-- Over http: in twenty years no certificate of ours is good.
local HEAD = lifetimes.PROLOGUE .. [[
  local first, second = os.time(), os.time()
  assert(math.abs(first - second) > 300000000, "the clock does not jump")
  local client <close> = new_client { base_url = os.getenv "PLAIN" .. "/v2",
    snapshots_url = os.getenv "PLAIN", stall_timeout = 20 }
]]

describe("a wall clock that jumps by years", function()
  local s, dir, entry

  before_each(function()
    s = server.shared()
    s:reset()
    dir = helpers.tmpdir()
    entry = s:add_snapshot { app = s.apps[1], bytes = downloads.archive(1024) }
  end)
  after_each(function() helpers.remove(dir.path) end)

  local function run(script)
    local out, err, how, code = lifetimes.run(HEAD .. script,
      lifetimes.arguments(s, dir.path), { PLAIN = s.http,
        LD_PRELOAD = lifetimes.jump(), JUMP_SECONDS = YEARS })
    assert.equal("", err)
    assert.same({ "exit", 0 }, { how, code })
    return out
  end

  for _, segments in ipairs { 1, 4 } do
    it(("does nothing to a download in %d, slow and cut once"):format(
      segments), function()
      s:fault { fault = "cut", bytes = 100000, times = 1,
        match = { path = entry.path } }
      s:configure { limit_rate = 2000000 }
      local out = run(([[
        local info = assert(client:all_app_snapshots(app))[1]
        local zip = assert(info:download { path = dir, segments = %d,
          filename = "a.zip", progress = function(done, total, rate)
            assert(done <= total and rate >= 0 and rate < 1e9, rate)
          end })
        assert(zip:test())
        print(zip.bytes)
      ]]):format(segments))
      assert.equal(#downloads.archive(1024) .. "\n", out)
      assert.same({ "a.zip" }, helpers.names(dir.path))
    end)
  end

  it("does nothing to waits: of a sleep, a task, a retry", function()
    s:fault { fault = "respond", status = 503,
      match = { path = "/v2/users/me" }, times = 2 }
    s:fault { fault = "stall", match = { path = "/v2/apps/" .. s.apps[1] } }
    assert.equal("slept\ntimeout\ntried again\nnot_found\ntimeout\n", run [[
      local from = probe.now()
      client:sleep(0.1)
      assert(probe.now() - from >= 0.1)
      print "slept"
      local task = client:spawn(client.sleep, client, 600)
      local _, err = task:wait(0.1)
      print(err.kind)
      task:cancel()
      local patient <close> = new_client {
        base_url = os.getenv "PLAIN" .. "/v2", retries = 4 }
      assert(patient:account())
      print "tried again"
      local brief <close> = new_client { retries = 0, timeout = 0.2,
        base_url = os.getenv "PLAIN" .. "/v2" }
      print(select(2, brief:snapshot "nowhere").kind)
      print(select(2, brief:all_app_snapshots(app)).kind)
    ]])
  end)
end)
