-- squaresnap rehearse: what has to be said before, what is sent, and what is
-- told of the copy, however it ends.

local command = require "spec.support.command"
local downloads = require "spec.support.downloads"
local server = require "spec.support.server"

local DELETE = { method = "DELETE" }

describe("squaresnap rehearse", function()
  local s, app, version
  before_each(function()
    s = server.shared()
    app = s.apps[1]
    version = s:make_snapshot({ app = app }).version_id
  end)

  local function rehearse(...)
    return command.run(s, { "rehearse", app, "--settle", "0", ... })
  end
  local function rehearse_json(...)
    return command.run(s, { "--json", "rehearse", app, "--settle", "0", ... })
  end

  local function uploads()
    return #s:requests { method = "POST", pattern = "^/v2/apps$" }
  end

  it("uploads a copy, waits until it runs, and deletes it", function()
    local result = rehearse("--latest", "--yes")
    assert.equal(0, result.code, result.err)
    local id = s:requests(DELETE)[1].uri:match "[^/]*$"
    assert.equal(1, uploads())
    assert.equal(1, #s:requests(DELETE))
    assert.matches("^%d[^\n]*  " .. app .. "  " .. version:gsub("%-", "%%-")
      .. "  " .. id .. "  deleted\n$", result.out)
    for _, said in ipairs { "waiting until the copy runs", "deleting the copy",
      "the copy ran after %d+ s and was deleted" } do
      assert.matches(app .. ": " .. said .. "\n", result.err)
    end
  end)

  it("tells a program", function()
    local result = rehearse_json("--version-id", version, "-y")
    assert.equal(1, #result:json_lines())
    local told = result:json()
    assert.equal("ran", told.status)
    assert.equal("running", told.copy_status)
    assert.is_true(told.deleted)
    assert.equal(app, told.app_id)
    assert.equal(version, told.version_id)
    assert.matches(told.copy_id, s:requests(DELETE)[1].uri, 1, true)
    for _, step in ipairs { "download", "upload", "start", "delete" } do
      assert.is_true(told.seconds[step] >= 0)
    end
    assert.is_nil(told.url)
    assert.is_nil(told.key)
  end)

  it("keeps the copy when told so", function()
    local result = rehearse("--latest", "--yes", "--keep")
    assert.equal(0, result.code, result.err)
    assert.matches("  kept\n$", result.out)
    assert.matches("it keeps running", result.err)
    assert.equal(0, #s:requests(DELETE))
  end)

  it("sends nothing without --yes, on a terminal or not: exit code 2",
    function()
      local before = #s:requests()
      for _, result in ipairs { rehearse "--latest",
        rehearse("--version-id", version, "--keep"),
        command.terminal(s, { "rehearse", app, "--latest" }).wait() } do
        assert.equal(2, result.code)
        assert.matches("needs --yes: the copy boots with the original's "
          .. "secrets, and may talk to the same database; nothing was sent",
          result.err .. result.out, 1, true)
      end
      assert.equal(2, rehearse("--yes").code)
      assert.equal(before, #s:requests())
    end)

  it("with --dry-run prints what would be sent, and changes nothing",
    function()
      local before = #s:requests { method = "POST" }
      local url = s.http_base_url .. "/apps"
      local result = rehearse("-n", "--latest")
      assert.equal(0, result.code, result.err)
      assert.equal(("POST %s\nDELETE %s/<id of the copy>\n"):format(url, url),
        result.out)
      assert.same({ dry_run = true, requests = { { method = "POST",
        url = url } } }, rehearse_json("-n", "--latest", "--keep"):json())
      assert.equal(before, #s:requests { method = "POST" })
      assert.equal(5, rehearse("-n", "--version-id", "nothing").code)
    end)

  -- Exit code, and what is said, when something goes wrong.
  local FAILURES = {
    ["a version nobody has"] = { 5, "shows which versions there are",
      words = { "--version-id", "nothing" } },
    ["an upload that is refused"] = { 4, "; no copy was made", uploads = 1,
      fault = { fault = "respond", status = 403, code = "MISSING_SCOPE",
        match = { method = "POST" } } },
    ["an upload that may have been carried out"] = { 1, "a copy may have been "
      .. "made anyway: look for an application that you do not recognise; "
      .. "look in the platform's dashboard", uploads = 1,
      fault = { fault = "reset", match = { method = "POST" }, work = true } },
    ["a copy that never runs"] = { 1, "timeout: not done within 4 seconds, "
      .. "it is starting; the copy %s was deleted\n", uploads = 1, deletes = 1,
      words = { "--latest", "--timeout", "4" },
      settings = { boot = "never" } },
    ["a copy that crashes"] = { 1, "started and ended (exited); the copy %s "
      .. "was deleted\n", uploads = 1, deletes = 1,
      settings = { boot = "fails" } },
    ["a copy that cannot be deleted"] = { 4, "the copy %s is still there; look "
      .. "in the platform's dashboard and delete it\n", uploads = 1,
      deletes = 1, fault = { fault = "respond", status = 403, match = DELETE,
        code = "PERMISSION_DENIED" } },
    ["a broken archive"] = { 8, "; no copy was made",
      bytes = "PK\3\4 no archive" },
  }
  for title, case in pairs(FAILURES) do
    it("tells what became of the copy: " .. title, function()
      if case.settings then s:configure(case.settings) end
      if case.fault then s:fault(case.fault) end
      if case.bytes then
        s:add_snapshot { app = app, bytes = case.bytes, version_id = "newest",
          modified = os.time() + 60 }
      end
      local words = { "--yes", table.unpack(case.words or { "--latest" }) }
      local result = rehearse_json(table.unpack(words))
      assert.equal(case[1], result.code, result.err)
      local told = result.out ~= "" and result:json() or {}
      local sent = s:requests(DELETE)
      for _, request in ipairs(sent) do
        assert.equal("/v2/apps/" .. told.copy_id, request.uri)
      end
      assert.matches(case[2]:format(told.copy_id), result.err, 1, true)
      assert.equal(case.uploads or 0, uploads())
      assert.equal(case.deletes or 0, #sent)
      if case.uploads then
        assert.equal("failed", told.status)
        assert.equal(case[1], told.error.exit_code)
      end
    end)
  end

  it("rehearses no database", function()
    local result = command.run(s, { "rehearse", s.databases[1], "--latest",
      "--yes" })
    assert.equal(5, result.code)
    assert.equal(2, command.run(s, { "rehearse", s.databases[1], "--database",
      "--latest", "--yes" }).code)
    assert.equal(0, uploads())
  end)

  it("shows a bar of each transfer, and never the key", function()
    s:add_snapshot { app = app, bytes = downloads.archive(4096),
      version_id = "large", modified = os.time() + 60 }
    local result = command.terminal(s, { "-v", "rehearse", app, "--settle",
      "0", "--latest", "--yes" }, { columns = 120 }).wait()
    assert.equal(0, result.code, result.out)
    for _, step in ipairs { "download ", "upload " } do
      assert.matches(step .. app .. "  4%.0 MiB", result.out)
    end
    assert.is_nil(result.out:find(s.key, 1, true))
    assert.is_nil(result.out:find("Signature=", 1, true))
  end)

  describe("interrupted", function()
    local function interrupt(ready, ...)
      local process = command.start(s, { "rehearse", app, "--latest", "--yes",
        ... })
      ready()
      process.interrupt()
      local result = process.wait()
      assert.equal(130, result.code, result.err)
      return result.err
    end

    local function wait_for_status()
      s:wait_requests({ pattern = "/status$" }, 1, 20)
    end

    it("deletes the copy and says so", function()
      s:configure { boot = "never" }
      local said = interrupt(wait_for_status)
      local sent = s:requests(DELETE)
      assert.equal(1, #sent)
      assert.matches("interrupted; the copy " .. sent[1].uri:match "[^/]*$"
        .. " was deleted\n$", said)
    end)

    it("says that it could not", function()
      s:configure { boot = "never" }
      s:fault { fault = "respond", status = 403, code = "PERMISSION_DENIED",
        match = DELETE }
      assert.matches("interrupted; the copy %x+ is still there: look in the "
        .. "platform's dashboard and delete it\n$", interrupt(wait_for_status))
    end)

    it("says that it was kept", function()
      s:configure { boot = "never" }
      assert.matches("interrupted; the copy %x+ was kept\n$",
        interrupt(wait_for_status, "--keep"))
      assert.equal(0, #s:requests(DELETE))
    end)

    it("in mid-upload says what may be there", function()
      s:fault { fault = "stall", match = { pattern = "^/v2/apps$" } }
      assert.matches("interrupted; it was being uploaded: look in the "
        .. "platform's dashboard for an application that you do not "
        .. "recognise\n$",
        interrupt(function()
          s:wait_requests(function(one) return one.stalled end, 1, 20)
        end))
    end)

    it("before that says that there is no copy", function()
      s:fault { fault = "stall", bytes = 1000, match = { pattern = "%.zip" } }
      assert.matches("interrupted; no copy was made\n$",
        interrupt(function()
          s:wait_requests(function(one) return one.stalled end, 1, 20)
        end))
      assert.equal(0, uploads())
    end)
  end)
end)
