-- squaresnap restore: what is sent, and what has to be said before it is.

local command = require "spec.support.command"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local waits = require "spec.support.waits"

describe("squaresnap restore", function()
  local s, app, database, version
  before_each(function()
    s = server.shared()
    app, database = s.apps[1], s.databases[1]
    version = s:make_snapshot({ app = app }).version_id
    helpers.write_file(s:app_dir(app) .. "/main.lua", "oops\n")
  end)

  local function restore(...)
    return command.run(s, { "restore", app, ... })
  end
  local function restore_json(...)
    return command.run(s, { "--json", "restore", app, ... })
  end

  local function is_restored()
    return helpers.read_file(s:app_dir(app) .. "/main.lua")
      == 'print "hello"\n'
  end

  local function posts()
    local bodies = {}
    for i, one in ipairs(s:requests { method = "POST" }) do
      bodies[i] = { one.uri, one.body }
    end
    return bodies
  end

  it("sends the version that is given as it is, without a look", function()
    local result = restore("--version-id", version, "--yes")
    assert.equal(0, result.code, result.err)
    assert.is_true(is_restored())
    assert.equal(0, #s:requests { method = "GET" })
    local sent = posts()[1]
    assert.equal("/v2/apps/" .. app .. "/snapshots/restore", sent[1])
    assert.same({ snapshotId = app, versionId = version },
      command.decode(sent[2]))
    assert.matches(version, result.out, 1, true)
    assert.matches("about a minute", result.err)
  end)

  it("finds the newest", function()
    s:add_snapshot { app = app, bytes = "no archive", version_id = "old",
      modified = os.time() - 86400 }
    local result = restore_json("--latest", "-y")
    assert.equal(0, result.code, result.err)
    assert.is_true(is_restored())
    local told = result:json()
    assert.equal("success", told.status)
    assert.equal(app, told.app_id)
    assert.equal(version, told.version_id)
    assert.equal(app, told.snapshot_id)
  end)

  it("passes over one without a version", function()
    s:add_snapshot { app = app, bytes = "PK", version_id = false,
      modified = os.time() + 60 }
    assert.equal(version, restore_json("--latest", "-y"):json().version_id)
  end)

  it("restores a database, by its snapshot's own name", function()
    local made = s:make_snapshot { database = database }
    local result = command.run(s, { "--json", "restore", database,
      "--database", "--latest", "-y" })
    assert.equal(0, result.code, result.err)
    assert.equal(database .. "_postgres", result:json().snapshot_id)
    assert.equal(0, command.run(s, { "restore", database, "--database",
      "--version-id", made.version_id, "-y" }).code)
  end)

  it("with --dry-run prints what would be sent, and changes nothing",
    function()
      local url = s.http_base_url .. "/apps/" .. app .. "/snapshots"
      local result = restore("-n", "--version-id", version)
      assert.equal(("POST %s/restore\n"
        .. '{"snapshotId":"%s","versionId":"%s"}\n'):format(url, app, version),
        result.out)
      assert.equal(0, result.code)
      assert.equal(0, #posts())
      assert.same({ dry_run = true, requests = { { method = "POST",
        url = url }, { method = "POST", url = url .. "/restore",
        body = { snapshotId = app, versionId = version } } } },
        restore_json("--dry-run", "--latest", "--snapshot-first"):json())
      assert.equal(0, #posts())
      assert.is_false(is_restored())
      -- and it is what is sent
      restore("--latest", "-y")
      assert.same({ snapshotId = app, versionId = version },
        command.decode(posts()[1][2]))
    end)

  it("needs no key to say what it would send", function()
    local result = command.run(s, { "restore", app, "-n", "--version-id",
      version }, { key = false })
    assert.equal(0, result.code)
    assert.matches("^POST ", result.out)
  end)

  describe("with --snapshot-first", function()
    it("makes a snapshot of what is there, and restores the one before",
      function()
        local result = restore_json("--latest", "-y", "--snapshot-first")
        assert.equal(0, result.code, result.err)
        assert.is_true(is_restored())
        local before = result:json().snapshot_before
        assert.equal(version, result:json().version_id)
        assert.is_nil(before.url)
        -- the way back holds what was there
        assert.equal(0, restore("--version-id", before.version_id, "-y").code)
        assert.equal("oops\n",
          helpers.read_file(s:app_dir(app) .. "/main.lua"))
      end)

    it("waits for one that is made in the background", function()
      s:remove_snapshots { app = app }
      s:add_snapshot { app = app, path = nil, modified = os.time() - 3600,
        bytes = downloads.archive(8), version_id = "v" }
      s:configure { processing_ms = 400 }
      local result = command.run(s, { "--json", "restore", app, "--latest",
        "-y", "--snapshot-first" }, { env = waits.environment() })
      assert.equal(0, result.code, result.err)
      assert.matches("waiting until the platform's list shows it", result.err)
      assert.equal("v", result:json().version_id)
      local uris = {}
      for i, one in ipairs(s:requests()) do uris[i] = one.uri:match "[^/]*$" end
      assert.equal("restore", uris[#uris])
      assert.equal("snapshots", uris[#uris - 1])
      assert.equal(2, #command.run(s, { "--json", "list", app }):json())
    end)

    it("restores nothing when that fails", function()
      s:fault { fault = "respond", status = 429, match = { method = "POST" },
        code = "DAILY_SNAPSHOTS_LIMIT_REACHED" }
      local result = restore("--latest", "-y", "--snapshot-first")
      assert.equal(6, result.code)
      assert.matches("nothing was restored\n$", result.err)
      assert.equal(1, #posts())
      assert.is_false(is_restored())
    end)
  end)

  it("says what to do while a restore is under way", function()
    s:begin_restore({ app = app }, 60000)
    local result = restore("--latest", "-y")
    assert.equal(1, result.code)
    assert.matches("pending: RESTORE_IN_PROGRESS[^\n]*; a restore takes about "
      .. "a minute: wait, then run it again\n$", result.err)
  end)

  it("warns when it may have been carried out", function()
    s:fault { fault = "reset", match = { method = "POST" }, work = true }
    local result = restore("--latest", "-y")
    assert.equal(1, result.code)
    assert.matches("it may have been carried out anyway", result.err)
    assert.equal(1, #posts())
  end)

  it("has nothing to restore without a snapshot: exit code 5", function()
    s:remove_snapshots { app = app }
    local result = restore("--latest", "-y")
    assert.equal(5, result.code)
    assert.matches("`squaresnap create` makes one", result.err)
  end)

  describe("on a terminal", function()
    local function ask(...)
      return command.terminal(s, { "restore", app, ... })
    end

    it("asks for the id to be typed", function()
      local process = ask("--version-id", version)
      process.type(app .. "\n")
      local result = process.wait()
      assert.equal(0, result.code, result.out)
      assert.matches("This replaces what the application " .. app
        .. " holds now with its snapshot " .. version:gsub("%-", "%%-"),
        result.out)
      assert.is_true(is_restored())
    end)

    it("sends nothing for anything else", function()
      for _, answer in ipairs { "yes\n", "\n", app:sub(1, -2) .. "\n",
        app .. " \n", "\4" } do
        local process = ask "--latest"
        downloads.wait(function()
          return process.shown():find("continue:", 1, true)
        end, "the question")
        process.type(answer)
        local result = process.wait()
        assert.equal(1, result.code, result.out)
        assert.matches("not the id; nothing was sent", result.out)
      end
      assert.equal(0, #posts())
      assert.equal(0, #s:requests { method = "GET" })
    end)

    it("ends at a Ctrl-C, with nothing sent", function()
      local process = ask "--latest"
      downloads.wait(function()
        return process.shown():find("continue:", 1, true)
      end, "the question")
      process.type "\3"
      local result = process.wait()
      assert.equal(130, result.code, result.out)
      assert.matches("squaresnap: interrupted\r\n$", result.out)
      assert.equal(0, #posts())
    end)

    it("does not ask with --yes", function()
      local result = ask("--latest", "--yes").wait()
      assert.equal(0, result.code)
      assert.is_nil(result.out:find("Type its id", 1, true))
    end)
  end)
end)
