--- A client closed, collected, or ended with its Lua state or process, while
-- something is under way that would take seconds: an API call, a download, a
-- name lookup, a sync on a slow disk, a ZIP check. It is back within half a
-- second, no thread or descriptor stays, no file under a final name, and the
-- part can be gone on with.

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local lifetimes = require "spec.support.lifetimes"
local server = require "spec.support.server"
local tool = require "spec.support.tool"

local BOUND = tool.seconds(0.5)

-- How to be in the middle of it: `arm` on the server, `script` in the child
-- makes `task` and steps until it is there; `leaves` a part.
local MIDDLES = {
  ["an API call"] = {
    arm = function(s) s:fault { fault = "stall" } end,
    script = [[
      local asked
      client = new_client { trace = function() asked = true end }
      task = client:spawn(client.account, client)
      until_true(function() return asked end)
    ]],
  },
  ["a download"] = {
    arm = function(s, entry)
      s:fault { fault = "stall", bytes = 300000, times = 1,
        match = { path = entry.path } }
    end,
    script = [[
      local bytes = 0
      task = client:spawn(info.download, info, { path = dir,
        progress = function(done) bytes = done end })
      until_true(function() return bytes > 0 end)
    ]],
    leaves = true,
  },
  ["a slow name lookup"] = {
    environment = { SLOW_LOOKUP = "2" },
    script = [[
      client = new_client { base_url = "https://slow.invalid/v2" }
      task = client:spawn(client.account, client)
      until_true(function() return exists(sign) end)
    ]],
  },
  ["a sync on a slow disk"] = {
    environment = { SLOW_SYNC = "2" },
    script = [[
      task = client:spawn(info.download, info, dir)
      until_true(function() return exists(sign) end)
    ]],
    leaves = true,
  },
  ["a ZIP check"] = {
    script = [[
      kept = assert(square.open_zip(os.getenv "LONG_ZIP"))
      task = client:spawn(kept.test, kept)
      client:step(0.05)
    ]],
  },
}

-- How it ends; each prints "took SECONDS", or has the host do so.
local ENDS = {
  ["closed"] = { script = [[
    local start = probe.now()
    client:close()
    print(("took %.3f"):format(probe.now() - start))
    assert(task.status == "cancelled")
    task = nil
  ]] },
  ["collected"] = { script = [[
    local start = probe.now()
    kept, task, info, client = nil, nil, nil, nil
    collectgarbage()
    collectgarbage()
    print(("took %.3f"):format(probe.now() - start))
  ]] },
  ["ended with its Lua state"] = { mode = "close", script = "" },
  ["ended with its process"] = { ends = true, script = [[
    print(("now %.3f"):format(probe.now()))
    os.exit(0)
  ]] },
  ["ended with its state and process"] = { ends = true, script = [[
    print(("now %.3f"):format(probe.now()))
    os.exit(0, true)
  ]] },
}

-- What a machine under load adds; and what is there before anything begins.
local HEAD = lifetimes.PROLOGUE .. [[
local sign = os.getenv "SLOW_SIGN"
print(("late %.3f"):format(lateness()))
local kept, task
client, kept = nil, nil
collectgarbage()
local before, idle = descriptors(), threads()
client = new_client()
local info = assert(client:all_app_snapshots(app))[1]
local _ = sign, info, before, idle
]]

-- Behind the end: all is given back, once what was left to itself is through.
local TAIL = [[
kept, task, info, client = nil, nil, nil, nil
collectgarbage()
collectgarbage()
local deadline = probe.now() + 30
while threads() > idle or descriptors() > before do
  assert(probe.now() < deadline, "something stays")
end
print "nothing stays"
]]

describe("in the middle of", function()
  local dir, zip_dir, s, entry

  lazy_setup(function()
    zip_dir = helpers.tmpdir()
    lifetimes.write_long_zip(zip_dir .. "/long.zip")
  end)
  lazy_teardown(function() helpers.remove(zip_dir.path) end)

  before_each(function()
    s = server.shared()
    dir = helpers.tmpdir()
    entry = s:add_snapshot { app = s.apps[1], bytes = downloads.archive(1024) }
  end)
  after_each(function() helpers.remove(dir.path) end)

  local function took(out, ended)
    local late = tonumber(out:match "late ([%d.]+)")
    local at = out:match "now ([%d.]+)"
    local seconds = at and ended - at
      or tonumber(out:match "took ([%d.]+)" or out:match "closed ([%d.]+)")
    return seconds, BOUND + late
  end

  for middle, how in pairs(MIDDLES) do
    for name, ending in pairs(ENDS) do
      it(middle .. ", " .. name, function()
        local environment = { SLOW_SIGN = dir .. "/sign",
          LONG_ZIP = zip_dir .. "/long.zip" }
        if how.environment then
          environment.LD_PRELOAD = lifetimes.slow()
          for key, value in pairs(how.environment) do
            environment[key] = value
          end
        end
        if how.arm and not how.script:find "info" then
          -- the first request is the listing
          s:fault { fault = "stall", skip = 1 }
        elseif how.arm then
          how.arm(s, entry)
        end
        local plain = not ending.ends and not ending.mode
        local out, err, exit, code, ended = lifetimes.run(HEAD .. how.script
          .. "assert(task.status == 'running')\n" .. ending.script
          .. (plain and TAIL or ""),
          lifetimes.arguments(s, dir .. "/d"), environment, ending.mode)
        local seconds, bound = took(out, ended)
        assert.equal("", err)
        assert.same({ "exit", 0 }, { exit, code })
        assert.is_true(seconds < bound, out)
        if plain then assert.matches("nothing stays", out, 1, true) end
        if ending.mode then
          assert.matches("threads 1 descriptors 0\n$", out)
        end
        if how.leaves then
          local names = table.concat(helpers.names(dir .. "/d"), " ")
          assert.is_nil(names:find "zip$", names)
          assert.is_nil(names:find "zip ", names)
          s:clear_faults()
          s:release()
          local client <close> = helpers.client(s)
          local info = assert(client:all_app_snapshots(s.apps[1]))[1]
          local zip <close> = assert(info:download(dir .. "/d"))
          assert.equal(downloads.archive(1024), helpers.read_file(zip.path))
        end
      end)
    end
  end
end)
