--- A progress or trace function that forks, in a child that goes on: the call
-- that it came from raises there. It hung instead, inside run, and where a
-- caller was about to drive its own request; a rehearsal's child removed the
-- folder that its parent was downloading to, or its trace function was told of
-- what its parent had asked.

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local lifetimes = require "spec.support.lifetimes"
local server = require "spec.support.server"

local HEAD = lifetimes.PROLOGUE .. [[
local pid
local function once() if not pid then pid = probe.fork() end end
local function check(f)
  local ok, why = pcall(f)
  if pid == 0 then
    os.exit(not ok and tostring(why):find("not usable after fork", 1, true)
      and 0 or 1)
  end
  local how, code = probe.wait(pid, 30)
  if not how then probe.kill(pid, 9) end
  print(ok or why, how, code)
end
]]

local SCRIPTS = {
  ["a trace function, before the next request"] = [[
    local armed
    local traced = new_client { trace = function()
      if armed then once() end
    end }
    traced:spawn(traced.account, traced)
    probe.wait(probe.pid(), 0.3) -- it has come, and is not taken
    armed = true
    check(function() assert(client:account()) end)
  ]],
  ["a trace function, with more to be told: that is the parent's"] = [[
    local told = 0
    local traced = new_client { trace = function()
      if pid == 0 then told = told + 1 end
      once()
    end }
    for _ = 1, 2 do traced:spawn(traced.account, traced) end
    check(function()
      local ok, why = pcall(traced.run, traced, function() end)
      assert(told == 0, "told what is the parent's")
      if not ok then error(why, 0) end
    end)
  ]],
  ["a progress function, inside run"] = [[
    check(function()
      client:run(function()
        assert(client:download { url = os.getenv "URL", path = dir,
          progress = once })
      end)
    end)
  ]],
  ["a progress function of a rehearsal, whose parent waits for it"] = [[
    local how, code
    local function fork_and_wait(step, done, total)
      if pid or step ~= "download" or done == total then return end
      pid = probe.fork()
      if pid ~= 0 then how, code = probe.wait(pid, 30) end
    end
    local info = assert(client:all_app_snapshots(app))[1]
    local ok, report, err = pcall(client.rehearse_restore, client, info,
      { consent = true, settle = 0, progress = fork_and_wait })
    if pid == 0 then
      os.exit(not ok and tostring(report):find("not usable after fork", 1, true)
        and 0 or 1)
    end
    print(ok and report and report.deleted or err, how, code)
  ]],
  ["a trace function, inside run"] = [[
    local traced = new_client { trace = once }
    check(function()
      traced:run(function()
        assert(traced:download { url = os.getenv "URL", path = dir })
      end)
    end)
  ]],
}

describe("a fork in", function()
  local s, dir
  before_each(function()
    s = server.shared()
    dir = helpers.tmpdir()
  end)
  after_each(function()
    s:reset()
    helpers.remove(dir.path)
  end)

  for name, script in pairs(SCRIPTS) do
    it(name, function()
      local url = s:put_file("d.zip", downloads.archive(512))
      s:add_snapshot { app = s.apps[1], bytes = downloads.archive(512) }
      s:configure { limit_rate = 200000 }
      local out, err = lifetimes.run(HEAD .. script,
        lifetimes.arguments(s, dir), { URL = url })
      assert.equal("", err)
      assert.equal("true\texit\t0\n", out)
    end)
  end
end)
