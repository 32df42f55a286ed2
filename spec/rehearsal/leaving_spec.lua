--- A rehearsal in a task: it yields, and however it is left (cancelled, closed
-- with its client, by an error, by Ctrl-C), the copy is deleted behind it, or
-- somebody is warned. What is on the disk meanwhile, and in memory.

local lfs = require "lfs"
local child = require "spec.support.child"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local tool = require "spec.support.tool"
local lifetimes = require "spec.support.lifetimes"
local rehearsals = require "spec.support.rehearsals"
local tasks = require "spec.support.tasks"

local one, s, client

local function begin()
  one = rehearsals.new()
  s, client = one.server, one.client
end

local function finish()
  s:release()
  client:close()
end

-- Starts a rehearsal in a task; its report is filled as it goes.
local function spawn(more)
  local report = {}
  local options = rehearsals.options(more)
  options.report = report
  return client:spawn(client.rehearse_restore, client, one.info, options),
    report
end

local POST = { method = "POST", pattern = "^/v2/apps$" }
local DELETE = { method = "DELETE" }

describe("in a task, a rehearsal", function()
  before_each(begin)
  after_each(finish)

  it("yields: others go on, and two are under way at once", function()
    s:configure { boot_ms = 300 }
    client:run(function()
      local a, b = spawn(), spawn()
      local ticks = 0
      local ticker = client:spawn(function()
        while true do
          client:sleep(0.01)
          ticks = ticks + 1
        end
      end)
      local first, second = assert(a:wait()), assert(b:wait())
      ticker:cancel()
      assert.is_true(ticks > 5)
      assert.not_equal(first.id, second.id)
      assert.is_true(first.deleted and second.deleted)
    end)
    assert.equal(2, #s:requests(DELETE))
  end)

  -- Where it is when it is cancelled: what keeps it there, how to know; and
  -- what is deleted then.
  local PLACES = {
    ["downloads"] = { fault = { fault = "stall", bytes = 1000,
      match = { pattern = "%.zip" } }, deletes = 0 },
    ["uploads"] = { fault = { fault = "stall", match = POST }, deletes = 0 },
    ["waits"] = { settings = { boot = "never" }, deletes = 1 },
    ["asks"] = { fault = { fault = "stall", match = { pattern = "/status$" } },
      deletes = 1 },
    ["deletes"] = { fault = { fault = "stall", match = DELETE, times = 1 },
      deletes = 2 },
  }
  for title, place in pairs(PLACES) do
    it(("may be cancelled while it %s"):format(title), function()
      if place.settings then s:configure(place.settings) end
      if place.fault then s:fault(place.fault) end
      local task, report = spawn()
      tasks.step_until(client, function()
        if place.settings then return report.status end
        return s:requests(function(request) return request.stalled end)[1]
      end)
      task:cancel()
      -- nothing was waited for
      assert.equal("cancelled", task.status)
      assert.is_false(report.deleted)
      assert.equal(place.deletes > 0 and 1 or 0, client:pending())
      tasks.step_until(client, function() return client:pending() == 0 end)
      assert.equal(place.deletes > 0, report.deleted)
      assert.equal(place.deletes, #s:requests(DELETE))
      for _, request in ipairs(s:requests(DELETE)) do
        assert.equal("/v2/apps/" .. report.id, request.uri)
      end
      assert.equal("cancelled", select(2, task:wait()).kind)
    end)
  end

  it("that is kept is not deleted behind a cancelled one", function()
    s:configure { boot = "never" }
    local task, report = spawn { keep = true }
    tasks.step_until(client, function() return report.status end)
    task:cancel()
    assert.equal(0, client:pending())
    assert.is_true(rehearsals.exists(one, report.id))
  end)

  it("deletes the copy behind an error without holding up anybody",
    function()
      local thrown = {}
      local task, report = spawn { progress = function(step)
        if step == "start" then error(thrown) end
      end }
      tasks.step_until(client, function() return task.status ~= "running" end)
      local ok, raised = pcall(task.wait, task)
      assert.is_false(ok)
      assert.equal(thrown, raised)
      tasks.step_until(client, function() return report.deleted end)
      assert.equal(1, #s:requests(DELETE))
    end)

  it("is finished by run before it returns", function()
    s:configure { boot = "never" }
    local report
    client:run(function()
      local task
      task, report = spawn()
      while not report.status do
        assert.equal("running", task.status)
        client:sleep(0.01)
      end
      task:cancel()
    end)
    assert.is_true(report.deleted)
  end)
end)

-- Scripts of their own: `client`, `info`, `report`, `options`, `dir`.
local SCRIPT = tasks.PROLOGUE .. [[
  warn "@on"
  io.stdout:setvbuf "no"
  local lfs = require "lfs"
  local dir = os.getenv "TMPDIR"
  local info = assert(client:all_app_snapshots(app))[1]
  local report = {}
  local options = { consent = true, settle = 0, report = report }
  local function show()
    for name in lfs.dir(dir) do
      if name:find "^squarecloud%-rehearsal" then
        print("folder", lfs.attributes(dir .. "/" .. name, "permissions"))
        for file in lfs.dir(dir .. "/" .. name) do
          if not file:find "^%.+$" then
            print("file", file:match "%.zip.*$", lfs.attributes(dir .. "/"
              .. name .. "/" .. file, "permissions"))
          end
        end
      end
    end
  end
  -- Waits until the report has a field; by `step`, or in a task by `sleep`.
  local function await(task, field, wait)
    while not report[field] do
      assert(task.status == "running")
      wait(client, 0.05)
    end
  end
  local _ = info, report, options, show, await
]]

describe("a process that rehearses", function()
  local dir
  before_each(function()
    begin()
    dir = helpers.tmpdir()
  end)
  after_each(function()
    local left = helpers.names(dir.path)
    helpers.remove(dir.path)
    finish()
    assert.same({}, left)
  end)

  local function run(script)
    return child.run(SCRIPT .. script, tasks.arguments(s),
      { TMPDIR = dir.path })
  end

  it("has the file in a folder of its own while it comes, and none later",
    function()
      s:fault { fault = "drip", after = 10000, bytes = 4000, every_ms = 200,
        match = { pattern = "%.zip" } }
      local out, err, code = run [[
        local last
        options.progress = function(step, done, total)
          if step ~= last and (step ~= "download" or done < total) then
            last = step
            print(step)
            show()
          end
        end
        print(assert(client:rehearse_restore(info, options)).deleted)
      ]]
      assert.equal(0, code, err)
      assert.equal("download\nfolder\trwx------\nfile\t.zip.part\trw-------\n"
        .. "upload\nstart\ndelete\ntrue\n", out)
      assert.equal("", err)
    end)

  it("warns of the copy when its client is closed", function()
    s:configure { boot = "never" }
    local out, err, code = run [[
      local task = client:spawn(client.rehearse_restore, client, info, options)
      await(task, "status", client.step)
      client:close()
      print(report.id, select(2, task:wait()).kind)
    ]]
    assert.equal(0, code, err)
    local id, kind = out:match "^(%x+)\t(%S+)"
    assert.equal("closed", kind)
    assert.matches("^Lua warning: squarecloud: rehearse_restore " .. one.app
      .. ": the copy " .. id .. " is still there", err)
    assert.equal(0, #s:requests(DELETE))
  end)

  it("warns of the copy that could not be deleted behind it", function()
    s:configure { boot = "never" }
    s:fault { fault = "respond", status = 403, code = "MISSING_SCOPE",
      match = DELETE }
    local out, err, code = run [[
      client:run(function()
        local task = client:spawn(client.rehearse_restore, client, info,
          options)
        await(task, "status", client.sleep)
        task:cancel()
      end)
      print(report.id)
    ]]
    assert.equal(0, code, err)
    assert.matches("the copy " .. out:match "%x+" .. " is still there: "
      .. "delete_app [^\n]*MISSING_SCOPE", err)
  end)

  it("warns when it is left in mid-upload", function()
    s:fault { fault = "stall", match = POST }
    local _, err, code = run [[
      local task = client:spawn(client.rehearse_restore, client, info, options)
      await(task, "bytes", client.step)
      task:cancel()
    ]]
    assert.equal(0, code, err)
    assert.matches("left during the upload: look for an application that "
      .. "you do not recognise", err)
  end)

  it("needs TMPDIR to be there, and says so", function()
    local why_not = tool.cannot "a missing TMPDIR"
    if why_not then return pending(why_not) end
    local missing = dir .. "/missing"
    local out = child.run(SCRIPT .. [[
      print(client:rehearse_restore(info, options))
    ]], tasks.arguments(s), { TMPDIR = missing })
    assert.matches("^nil\trehearse_restore: filesystem: cannot make a folder "
      .. "in " .. missing:gsub("%p", "%%%0") .. ": No such file or directory; "
      .. "no copy was made\n", out)
    assert.same({}, rehearsals.changes(one))
  end)

  it("deletes the copy at a Ctrl-C", function()
    s:configure { boot = "never" }
    local process = lifetimes.start_script(SCRIPT .. [[
      options.progress = function(step)
        if step == "start" then print "waits" end
      end
      print(pcall(client.rehearse_restore, client, info, options))
      print(report.deleted)
    ]], tasks.arguments(s), { TMPDIR = dir.path })
    downloads.wait(function() return process.out():find "waits" end,
      "the copy to be started")
    os.execute("kill -INT " .. process.pid)
    local out, _, _, code = process.wait()
    assert.equal(0, code)
    assert.matches("interrupted!\ntrue\n$", out)
    assert.equal(1, #s:requests(DELETE))
  end)

  it("does not send a file that has become shorter", function()
    -- the second attempt finds it so; only its descriptor still leads to it
    s:fault { fault = "rate_limited", retry_after = 2, times = 1, match = POST }
    local out, err, code = run [[
      client = square.Client { api_key = key, base_url = base_url, proxy = "",
        snapshots_url = snapshots_url, ca_file = ca_file,
        trace = function(t)
          if t.event ~= "retry" then return end
          for fd in lfs.dir "/proc/self/fd" do
            local path = "/proc/self/fd/" .. fd
            local target = lfs.symlinkattributes(path, "target")
            if target and target:find "%.zip %(deleted%)$" then
              io.open(path, "w"):close()
            end
          end
        end }
      print(client:rehearse_restore(info, options))
    ]]
    assert.equal(0, code, err)
    assert.matches("^nil\tupload_app %x+: filesystem: cannot read [^\n]*; no "
      .. "copy was made\n$", out)
    assert.equal(2, #s:requests(POST))
    assert.equal(0, #s:requests(DELETE))
  end)

  it("uploads as much as the platform takes in constant memory", function()
    local why_not = tool.cannot "the memory used"
    if why_not then return pending(why_not) end
    local source = s.dir .. "/large.zip"
    downloads.write_large(source, 95) -- 99.6 MB: it takes 100
    s:add_snapshot { app = s.apps[2], path = source, version_id = "large" }
    local out, err, code = child.run(SCRIPT .. [[
      local function peak()
        for line in io.lines "/proc/self/status" do
          local kib = line:match "^VmHWM:%s*(%d+)"
          if kib then return tonumber(kib) end
        end
      end
      local large = client:all_app_snapshots(select(6, ...))[1]
      assert(client:rehearse_restore(info, options))
      local before = peak()
      local report = assert(client:rehearse_restore(large, options))
      print(peak() - before, report.bytes, report.id)
    ]], { s.key, s.base_url, s.snapshots_url, s.ca_file, s.apps[1],
      s.apps[2] }, { TMPDIR = dir.path })
    assert.equal(0, code, err)
    local kib, bytes, id = out:match "^(%d+)\t(%d+)\t(%x+)"
    assert.is_true(tonumber(kib) < 8 * 1024, kib)
    assert.equal(lfs.attributes(source, "size"), tonumber(bytes))
    assert.is_true((os.execute(("cmp -s '%s' '%s'"):format(source,
      s:uploaded(id)))))
    os.remove(source)
  end)
end)
