--- Ctrl-C: SIGINT to lua5.4 in every kind of blocking call, with the cores
-- busy, raises in Lua within half a second; what is left behind is whole, and
-- the client can go on.

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local lifetimes = require "spec.support.lifetimes"
local server = require "spec.support.server"
local tool = require "spec.support.tool"

-- `arm` on the server; the call is made under pcall, `alarm` seconds before the
-- signal.
local CALLS = {
  ["an API call"] = {
    arm = function(s) s:fault { fault = "stall", skip = 1 } end,
    script = "client:account()",
  },
  ["a retry's wait"] = {
    arm = function(s)
      s:fault { fault = "rate_limited", retry_after = 30, skip = 1 }
    end,
    script = "client:account()",
  },
  ["a retry's wait, at the moment that trace is told of it"] = {
    arm = function(s)
      s:fault { fault = "rate_limited", retry_after = 30, skip = 1 }
    end,
    alarm = 0.03,
    script = "new_client { trace = function() end }:account()",
  },
  ["a download that stands still"] = {
    arm = function(s, entry)
      s:fault { fault = "stall", bytes = 300000,
        match = { path = entry.path } }
    end,
    script = "info:download(dir)",
  },
  ["a download that goes on"] = {
    arm = function(s) s:configure { limit_rate = 100000 } end,
    script = "info:download { path = dir, progress = function() end }",
  },
  ["a name lookup"] = {
    environment = { SLOW_LOOKUP = "5" },
    script = [[new_client { base_url = "https://slow.invalid/v2" }:account()]],
  },
  ["sleep"] = { script = "client:sleep(3600)" },
  ["step"] = { script = [[
    client:spawn(client.sleep, client, 3600)
    client:step(3600)
  ]] },
  ["run"] = { script = "client:run(client.sleep, client, 3600)" },
  ["run with much to do"] = { script = [[
    client:run(function()
      while true do client:sleep(0) end
    end)
  ]] },
  ["wait"] = { script = "client:spawn(client.sleep, client, 3600):wait()" },
}

describe("Ctrl-C in", function()
  local dir, s, entry

  before_each(function()
    s = server.shared()
    dir = helpers.tmpdir()
    entry = s:add_snapshot { app = s.apps[1], bytes = downloads.archive(1024) }
  end)
  after_each(function() helpers.remove(dir.path) end)

  for name, call in pairs(CALLS) do
    it(name .. " raises soon", function()
      if call.arm then call.arm(s, entry) end
      local environment = {}
      for key, value in pairs(call.environment or {}) do
        environment[key] = value
        environment.LD_PRELOAD = lifetimes.slow()
      end
      -- lua's handler of signals stands while lua runs a script
      local out, err, how, code = lifetimes.run(lifetimes.PROLOGUE .. [[
        local info = assert(client:all_app_snapshots(app))[1]
        local _ = info
        probe.burn(2)
        local late = lateness()
        local start = probe.now()
        local ok, why = pcall(function()
          probe.alarm(]] .. (call.alarm or 0.2) .. [[)
          ]] .. call.script .. [[
        end)
        local took = probe.now() - start - ]] .. (call.alarm or 0.2) .. [[

        assert(not ok)
        assert(tostring(why):find("interrupted!", 1, true), why)
        client:close()
        client = new_client()
        print(("took %.3f late %.3f"):format(took,
          math.max(late, lateness())))
      ]], lifetimes.arguments(s, dir .. "/d"), environment)
      assert.equal("", err)
      assert.same({ "exit", 0 }, { how, code })
      -- a quarter of a second, and what two busy threads take of it
      local took, late = out:match "took (%-?[%d.]+) late ([%d.]+)"
      assert.is_true(tonumber(took) < tool.seconds(0.5) + tonumber(late), out)
    end)
  end

  it("a script that catches nothing ends it, saying so", function()
    s:fault { fault = "stall" }
    local process = lifetimes.start_script(lifetimes.PROLOGUE
      .. "client:account()", lifetimes.arguments(s))
    s:wait_requests(function(one) return one.stalled end)
    os.execute("kill -INT " .. process.pid)
    local _, err, how, code = process.wait()
    assert.matches("interrupted!", err, 1, true)
    assert.same({ "exit", 1 }, { how, code })
  end)

  it("a download leaves a part that is gone on with", function()
    s:fault { fault = "stall", bytes = 300000, times = 1,
      match = { path = entry.path } }
    local out, err = lifetimes.run(lifetimes.PROLOGUE .. [[
      local info = assert(client:all_app_snapshots(app))[1]
      local bytes = 0
      local ok, why = pcall(info.download, info, { path = dir,
        progress = function(done)
          local first = bytes == 0 and done > 0
          bytes = done
          if first then probe.alarm(0) end
        end })
      assert(not ok and tostring(why):find("interrupted!", 1, true), why)
      assert(assert(info:download(dir)):test())
      print(bytes)
    ]], lifetimes.arguments(s, dir .. "/d"))
    assert.equal("", err)
    assert.is_true(tonumber(out) > 0)
    assert.equal(1, #helpers.names(dir .. "/d"))
  end)
end)
