--- Hosts that close themselves up behind `require "squarecloud"`: the part in C
-- was searched for when it was first used, where `package` led by then; a
-- rehearsal asked for the globals `require`, `pcall` and others, and one that
-- was cancelled left its copy running.

local child = require "spec.support.child"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local tasks = require "spec.support.tasks"
local waits = require "spec.support.waits"

local CPATH = helpers.absolute(package.cpath)

describe("what is in C", function()
  local CLOSED = {
    ["no path is left"] = [[package.cpath, package.path = "", ""]],
    ["no searcher is left"] = [[package.searchers = nil]],
    ["nothing of package is left"] = [[
      for name in pairs(package) do package[name] = nil end]],
    ["another file is nearer now"] = [[
      assert(require "lfs".chdir(...))]],
  }
  for title, close in pairs(CLOSED) do
    it("is found as it was when " .. title, function()
      local dir <close> = helpers.tmpdir()
      assert(require "lfs".mkdir(dir .. "/squarecloud"))
      helpers.write_file(dir .. "/squarecloud/core.so", "not the one")
      local out, err = child.run([[
        local square, require = require "squarecloud", require
        ]] .. close .. [[
        assert(square.Client "key"):close()
        print(require "squarecloud.core".Client == square.Client)
      ]], { dir.path }, { LUA_CPATH = "./?.so;" .. CPATH })
      assert.equal("true\n", out, err)
    end)
  end

  it("is the host's own where the host searches itself", function()
    local out, err = child.run([[
      table.insert(package.searchers, 2, function(name)
        if name ~= "squarecloud.core" then return nil end
        return function(...)
          print(...)
          return { version = "the host's" }
        end, "somewhere"
      end)
      local square = require "squarecloud"
      package.searchers = nil
      print(square.version)
    ]], {}, { LUA_CPATH = CPATH })
    assert.equal("squarecloud.core\tsomewhere\nthe host's\n", out, err)
  end)
end)

describe("a rehearsal in a host that took its globals away", function()
  local s

  before_each(function() s = server.shared() end)

  -- Runs a script with `client`, `info`, `report`, `options`, in which nothing
  -- else is global but `print`.
  local function run(script)
    return child.run(tasks.PROLOGUE .. [[
      assert(client:snapshot(app))
      local info = assert(client:all_app_snapshots(app))[1]
      local report = {}
      local options = { consent = true, settle = 0.1, report = report }
      local print, globals = print, _G
      warn "@on"
      for name in pairs(globals) do globals[name] = nil end
    ]] .. script, tasks.arguments(s), { LUA_CPATH = CPATH })
  end

  it("is one as anywhere", function()
    local out, err = run [[
      print(client:rehearse_restore(info, options) == report, report.deleted)
    ]]
    assert.equal("true\ttrue\n", out, err)
  end)

  it("fails as anywhere", function()
    s:configure { boot = "never" }
    local out, err = run [[
      options.timeout = 1
      local nothing, why = client:rehearse_restore(info, options)
      print(nothing, why.kind, why.rehearsal == report, why)
    ]]
    assert.matches("^nil\ttimeout\ttrue\trehearse_restore %x+: timeout: not "
      .. "done within 1 seconds, it is starting; the copy %x+ was deleted\n$",
      out, 1, nil, err)
  end)

  for _, deletion in ipairs { "done", "refused" } do
    it("deletes its copy when cancelled: " .. deletion, function()
      s:configure { boot = "never" }
      if deletion == "refused" then
        s:fault { fault = "respond", status = 403, code = "MISSING_SCOPE",
          match = { method = "DELETE" } }
      end
      local out, err = run [[
        local task = client:spawn(client.rehearse_restore, client, info,
          options)
        while not report.status and task.status == "running" do
          client:step(0.05)
        end
        task:cancel()
        while client:pending() > 0 do client:step(0.05) end
        print(report.deleted)
      ]]
      assert.equal(deletion == "done" and "true\n" or "false\n", out, err)
      assert.matches(deletion == "done" and "^$"
        or "^Lua warning: squarecloud: rehearse_restore %x+: the copy %x+ is "
        .. "still there: delete_app [^\n]*MISSING_SCOPE[^\n]*\n$", err)
      assert.equal(1, #s:requests { method = "DELETE" })
    end)
  end
end)

describe("what is waited for in a host that took its globals away", function()
  it("comes as anywhere, and whose it is is asked", function()
    local s = server.shared()
    s:configure { processing_ms = 300 }
    s:add_workspace { owner = "0a1b", applications = { { id = "theirs" } } }
    s:add_snapshot { app = "theirs", bytes = "PK" }
    local out, err = child.run(tasks.PROLOGUE .. [[
      client = square.Client { api_key = key, base_url = base_url, proxy = "",
        snapshots_url = snapshots_url, ca_file = ca_file }
      local print, globals = print, _G
      for name in pairs(package) do package[name] = nil end
      for name in pairs(globals) do globals[name] = nil end
      local made = client:snapshot { app_id = app, wait = 30 }
      local info = made:resolve()
      print(made == info, info:restore { wait = 5 }.status)
      print(client:restore_snapshot(made).status)
      print(client:all_app_snapshots "theirs"[1].url:match "/0a1b/")
    ]], tasks.arguments(s), waits.environment { look = 0.6 })
    assert.equal("true\tsuccess\nsuccess\n/0a1b/\n", out, err)
  end)
end)
