--- fork in mid-transfer: the parent finishes; in the child the old client
-- raises "not usable after fork", can be closed, collected and ended, and a
-- new client works, whatever the parent's threads held at the moment.

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local lifetimes = require "spec.support.lifetimes"
local server = require "spec.support.server"
local tool = require "spec.support.tool"

-- A download and a call under way; `fork(body)` runs `body` in a child, which
-- then ends with 0, and gives how that went.
local HEAD = lifetimes.PROLOGUE .. [[
local info = assert(client:all_app_snapshots(app))[1]
local bytes = 0
local task = client:spawn(info.download, info, { path = dir,
  progress = function(done) bytes = done end })
local zip = assert(square.open_zip(os.getenv "SMALL_ZIP"))
until_true(function() return bytes > 0 end)

local function fork(body)
  io.stdout:flush()
  local pid = probe.fork()
  if pid > 0 then return pid end
  local ok, why = pcall(body)
  if not ok then
    io.stderr:write("child: ", tostring(why), "\n")
    os.exit(1, true)
  end
end
local function await(pid)
  local how, code = probe.wait(pid, 30)
  if not how then probe.kill(pid, 9) end
  assert(how == "exit" and code == 0, "the child: " .. tostring(how))
end
local function finish()
  local done = assert(task:wait())
  assert(done:test())
  print "the parent finished"
end
]]

-- What the child does, each ending well.
local CHILDREN = {
  ["raise from the old ones' calls"] = [[
    for name, method in pairs {
      account = { client.account, client },
      snapshot = { client.snapshot, client, "a" },
      spawn = { client.spawn, client, print },
      step = { client.step, client, 0 },
      run = { client.run, client, print },
      sleep = { client.sleep, client, 0 },
      pollfd = { client.pollfd, client },
      download = { info.download, info, dir },
      test = { zip.test, zip },
    } do
      local ok, why = pcall(table.unpack(method))
      assert(not ok and tostring(why):find("not usable after fork", 1, true),
        name .. ": " .. tostring(why))
    end
    os.exit(0, true)
  ]],
  ["close"] = [[
    client:close()
    zip:close()
    os.exit(0)
  ]],
  ["collect"] = [[
    client, info, task, zip = nil, nil, nil, nil
    collectgarbage()
    collectgarbage()
    os.exit(0)
  ]],
  ["cancel and close a task"] = [[
    pcall(task.cancel, task)
    pcall(task.wait, task)
    client:close()
    os.exit(0, true)
  ]],
  ["exit"] = "os.exit(0)",
  ["exit, closing the state"] = "os.exit(0, true)",
  ["use a new client"] = [[
    local fresh = new_client()
    assert(fresh:account())
    assert(assert(info and fresh:all_app_snapshots(app))[1]
      :download { path = dir .. "/child", verify = "structure" })
    fresh:run(function() assert(fresh:account()) end)
    os.exit(0, true)
  ]],
  ["use a new client, the old ones gone"] = [[
    client:close()
    client, info, task, zip = nil, nil, nil, nil
    collectgarbage()
    local fresh = new_client()
    assert(fresh:account())
    assert(fresh:run(function() return fresh:account() end))
    os.exit(0, true)
  ]],
  ["fork once more"] = [[
    local fresh = new_client()
    assert(fresh:account())
    local pid = fork(function()
      local ok, why = pcall(fresh.account, fresh)
      assert(not ok and tostring(why):find "not usable after fork")
      assert(new_client():account())
      os.exit(0, true)
    end)
    await(pid)
    assert(fresh:account())
    os.exit(0, true)
  ]],
}

describe("after a fork in mid-transfer", function()
  local dir, s, entry

  before_each(function()
    s = server.shared()
    dir = helpers.tmpdir()
    entry = s:add_snapshot { app = s.apps[1], bytes = downloads.archive(1024) }
    helpers.write_file(dir .. "/small.zip", downloads.archive(64))
  end)
  after_each(function() helpers.remove(dir.path) end)

  local function run(script)
    s:fault { fault = "stall", bytes = 300000, times = 1,
      match = { path = entry.path } }
    local process = lifetimes.start_script(HEAD .. script,
      lifetimes.arguments(s, dir .. "/d"),
      { SMALL_ZIP = dir .. "/small.zip" })
    downloads.wait(function() return process.out():find "forked" end, "fork")
    s:release()
    return process.wait()
  end

  for name, body in pairs(CHILDREN) do
    it("the child can " .. name .. ", the parent finishes", function()
      local why_not = body:find "new_client"
        and tool.cannot "threads in a forked child"
      if why_not then return pending(why_not) end
      local out, err, how, code = run("local pid = fork(function() " .. body
        .. " end)\nprint 'forked' io.stdout:flush()\nawait(pid)\nfinish()")
      assert.equal("", err)
      assert.equal("forked\nthe parent finished\n", out)
      assert.same({ "exit", 0 }, { how, code })
    end)
  end

  it("the parent finishes while the child goes on", function()
    local out, err, how, code = run [[
      local pid = fork(function()
        local deadline = probe.now() + 30
        while not exists(dir .. "/go") do
          assert(probe.now() < deadline, "waited in vain")
        end
        os.exit(0, true)
      end)
      print "forked"
      io.stdout:flush()
      finish()
      local other = assert(info:download { path = dir, filename = "b.zip" })
      assert(other:test())
      io.open(dir .. "/go", "w"):close()
      await(pid)
    ]]
    assert.equal("", err)
    assert.equal("forked\nthe parent finished\n", out)
    assert.same({ "exit", 0 }, { how, code })
  end)

  it("the child's end does not let go of the parent's part", function()
    local out, err = run [[
      await(fork(function()
        client:close()
        client, info, task, zip = nil, nil, nil, nil
        collectgarbage()
        os.exit(0, true)
      end))
      local other <close> = new_client()
      local mine = assert(other:all_app_snapshots(app))[1]
      local _, why = mine:download(dir)
      assert(why.kind == "filesystem", why)
      print "forked"
      io.stdout:flush()
      finish()
    ]]
    assert.equal("", err)
    assert.equal("forked\nthe parent finished\n", out)
  end)

  it("a new client works whatever the threads were at, 200 times",
    function()
      local why_not = tool.cannot "threads in a forked child"
      if why_not then return pending(why_not) end
      local out, err = lifetimes.run(lifetimes.PROLOGUE .. [[
        for i = 1, ]] .. tool.times(200) .. [[ do
          local one = new_client()
          for _ = 1, 4 do one:spawn(one.account, one) end
          one:step(i % 20 / 1000)
          local pid = probe.fork()
          if pid == 0 then
            local fresh = new_client()
            local answer, why = fresh:account()
            if not answer then io.stderr:write(tostring(why), "\n") end
            os.exit(answer and 0 or 1, i % 2 == 0)
          end
          local how, code = probe.wait(pid, 20)
          if not how then
            probe.kill(pid, 9)
            error("hung at " .. i)
          end
          assert(how == "exit" and code == 0, how)
          if i % 2 == 0 then one:close() end
        end
        print "done"
      ]], lifetimes.arguments(s))
      assert.equal("", err)
      assert.equal("done\n", out)
    end)
end)
