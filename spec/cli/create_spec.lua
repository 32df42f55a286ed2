-- squaresnap create: one, several, with a download; limits and the daily quota.

local command = require "spec.support.command"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local socket = require "socket"
local waits = require "spec.support.waits"

describe("squaresnap create", function()
  local s, app, other, database
  before_each(function()
    s = server.shared()
    app, other, database = s.apps[1], s.apps[2], s.databases[1]
  end)

  local used_up = { fault = "respond", match = { method = "POST" },
    status = 429, code = "DAILY_SNAPSHOTS_LIMIT_REACHED" }

  local function create(...) return command.run(s, { "create", ... }) end
  local function create_json(...)
    return command.run(s, { "--json", "create", ... })
  end

  it("makes a snapshot and names its version, when the answer has one",
    function()
      for _, has_version in ipairs { false, true } do
        s:reset()
        s:configure { created_version = has_version }
        local result = create(app)
        assert.equal(0, result.code)
        assert.equal("", result.err)
        local time, id, version = result.out:match
          "^(%d+%-%d%d%-%d%d %d%d:%d%d)  (%S+)  (%S+)\n$"
        assert.is_truthy(time)
        assert.equal(app, id)
        assert.equal(1, #s:requests()) -- it looks in no list for one
        local listed = command.run(s, { "--json", "list", app }):json()
        assert.equal(has_version and listed[1].version_id or "-", version)
      end
    end)

  it("gives one JSON object a line, without secrets", function()
    local result = create_json(app, other)
    assert.equal(0, result.code)
    local lines = result:json_lines()
    assert.equal(2, #lines)
    for i, id in ipairs { app, other } do
      assert.equal("created", lines[i].status)
      assert.equal(id, lines[i].app_id)
      assert.equal("app", lines[i].application_type)
      assert.is_nil(lines[i].version_id)
      assert.is_string(lines[i].created_at)
      assert.is_nil(lines[i].url)
      assert.is_nil(lines[i].key)
    end
  end)

  it("makes a database's", function()
    local result = create_json(database, "--database")
    assert.equal("database", result:json().application_type)
    assert.equal(1, #s:requests { method = "POST",
      path = "/v2/databases/" .. database .. "/snapshots" })
  end)

  it("with --dry-run prints what would be sent, and sends nothing", function()
    local result = create("-n", app, "a b/ç")
    assert.equal(0, result.code)
    assert.equal(("POST %s/apps/%s/snapshots\n"):format(s.http_base_url, app)
      .. ("POST %s/apps/a%%20b%%2F%%C3%%A7/snapshots\n"):format(
      s.http_base_url), result.out)
    assert.same({ dry_run = true, requests = { { method = "POST",
      url = s.http_base_url .. "/databases/" .. database .. "/snapshots" } } },
      create_json("--dry-run", database, "--database"):json())
    assert.equal(0, #s:requests())
    local default = command.run(nil, { "create", "-n", "x" })
    assert.equal("POST https://api.squarecloud.app/v2/apps/x/snapshots\n",
      default.out)
    -- and it is what is sent
    create "a b/ç"
    assert.equal("/v2/apps/a%20b%2F%C3%A7/snapshots", s:requests()[1].uri)
  end)

  it("says that a snapshot is made in the background", function()
    s:configure { processing_ms = 60000 }
    local result = create(app)
    assert.equal(0, result.code)
    assert.matches("^being made +" .. app, result.out)
    assert.matches("`squaresnap list " .. app .. "` shows it", result.err)
    assert.same({ app_id = app, application_type = "app",
      status = "processing" }, create_json(app):json())
    assert.matches("`squaresnap list " .. database .. " --database` shows it",
      create(database, "--database").err, 1, true)
  end)

  it("quotes an id as a shell reads it", function()
    s:fault { fault = "respond", status = 202, match = { method = "POST" },
      code = "SNAPSHOT_PROCESSING" }
    assert.matches("`squaresnap list 'a b'` shows it", create "a b".err, 1,
      true)
  end)

  it("goes on with the others when one fails: exit code 3", function()
    local result = create_json("nobody", app)
    assert.equal(3, result.code)
    local lines = result:json_lines()
    assert.equal("failed", lines[1].status)
    assert.equal("not_found", lines[1].error.kind)
    assert.equal("APP_NOT_FOUND", lines[1].error.code)
    assert.equal(404, lines[1].error.http_status)
    assert.equal(5, lines[1].error.exit_code)
    assert.equal("created", lines[2].status)
    assert.equal(5, create("nobody", "nothing").code)
  end)

  it("keeps several apart as the platform wants it", function()
    s:configure { limits = { create_account_ms = 1000 } }
    local result = command.run(s, { "create", app, other },
      { times = { pace = 1.2 } })
    assert.equal(0, result.code, result.err)
    assert.equal("", result.err)
    assert.equal(2, #s:requests { method = "POST" })
  end)

  it("says what it waits for when it is refused all the same", function()
    s:configure { limits = { create_account_ms = 2500, retry_after = true } }
    local result = create(app, other)
    assert.equal(0, result.code, result.err)
    assert.matches("^rate limited by the platform: waiting [23] s\n$",
      result.err)
    assert.equal(3, #s:requests { method = "POST" })
    s:reset()
    assert.equal("", command.run(s, { "-q", "create", app, other }).err)
  end)

  it("fails at once with --retries=0", function()
    s:configure { limits = { create_account_ms = 60000, retry_after = true } }
    create(app)
    local result = command.run(s, { "--retries=0", "create", other })
    assert.equal(7, result.code)
    assert.matches("run it again in %d+ s\n$", result.err)
  end)

  it("interrupted while it waits was not sent, and says no other", function()
    s:fault { fault = "rate_limited", retry_after = 60, times = 1 }
    local process = command.start(s, { "create", app })
    while not process.said():find "waiting 60 s" do
      socket.sleep(0.01)
    end
    process.interrupt()
    local result = process.wait()
    assert.equal(130, result.code)
    assert.matches("\nsquaresnap: interrupted\n$", result.err)
    assert.equal(1, #s:requests { method = "POST" })
  end)

  it("has the time it takes, whatever --timeout is", function()
    s:configure { create_ms = 2500 }
    local result = command.run(s, { "--timeout=1", "create", app })
    assert.equal(0, result.code, result.err)
    assert.equal(1, #s:requests { method = "POST" })
  end)

  it("says when the daily quota frees up: exit code 6", function()
    s:fault(used_up)
    -- of 16 (2048 MB), the oldest of the last 24 hours is 20.5 hours old
    local now = os.time()
    for i = 1, 16 do
      s:add_snapshot { app = app, bytes = "PK", version_id = "v" .. i,
        modified = now - 20 * 3600 - 1800 + i * 60 - 60 }
    end
    s:add_snapshot { app = other, bytes = "PK", modified = now - 90000 }
    s:fault { fault = "respond", match = { path = "/v2/users/me" },
      json = { status = "success", response = { user = { id = "u",
      plan = { name = "p", memory = { limit = 2048 } } } } } }
    local result = create(app)
    assert.equal(6, result.code)
    assert.matches("quota: DAILY_SNAPSHOTS_LIMIT_REACHED", result.err)
    assert.matches("the next one is free at " .. os.date("!%Y%%-%m%%-%d "
      .. "%H:%M", now + 3 * 3600 + 1800) .. ", in 3 h\n$", result.err)
    assert.equal(1, #s:requests { method = "POST" })
  end)

  it("says so even when it cannot be found out when", function()
    s:fault(used_up)
    s:fault { fault = "respond", match = { path = "/v2/users" }, status = 400,
      code = "INVALID_ID" }
    local result = create(app)
    assert.equal(6, result.code)
    assert.matches("`squaresnap quota` shows when", result.err)
  end)

  describe("with --download", function()
    local dir
    before_each(function() dir = helpers.tmpdir() end)
    after_each(function() helpers.remove(dir.path) end)

    it("downloads what it made", function()
      local result = create(app, other, "--download", dir .. "/new/backups")
      assert.equal(0, result.code, result.err)
      local names = helpers.names(dir .. "/new/backups")
      assert.equal(2, #names)
      for _, name in ipairs(names) do
        assert.is_truthy(result.out:find(dir .. "/new/backups/" .. name, 1,
          true))
      end
    end)

    it("tells both in JSON", function()
      local lines = create_json(app, "--download", dir.path):json_lines()
      assert.equal("created", lines[1].status)
      assert.equal("downloaded", lines[2].status)
      assert.equal(lines[1].version_id, lines[2].version_id)
      assert.equal(dir .. "/" .. helpers.names(dir.path)[1], lines[2].path)
      assert.equal("integer", math.type(math.tointeger(lines[2].bytes)))
    end)

    it("waits for one that is made in the background", function()
      s:configure { processing_ms = 600 }
      local result = command.run(s, { "create", app, "--download", dir.path },
        { env = waits.environment() })
      assert.equal(0, result.code, result.err)
      assert.matches(app .. ": waiting until the platform's list shows it, 1 "
        .. "min at most\n", result.err, 1, true)
      assert.equal(1, select(2, result.err:gsub("waiting", "")))
      assert.equal(1, #helpers.names(dir.path))
      assert.equal(1, #s:requests { method = "POST" })
    end)

    it("downloads at once what has no version, and looks for none", function()
      s:configure { created_version = s.null }
      local result = create_json(app, "--download", dir.path)
      assert.equal(0, result.code, result.err)
      local lines = result:json_lines()
      assert.is_nil(lines[1].version_id)
      assert.equal("downloaded", lines[2].status)
      assert.equal(0, #s:requests { method = "GET", path = "/v2" })
      assert.matches("  " .. app .. "  %-\n$", create(app).out)
      assert.equal(0, #s:requests { method = "GET", path = "/v2" })
    end)

    -- A line for a shell that is shown between backquotes.
    local function run_shown(text)
      local words = {}
      for word in text:match("`squaresnap (.-)`"):gmatch "%S+" do
        words[#words + 1] = word
      end
      return command.run(s, words)
    end

    for _, id_is in ipairs { "an application", "a database" } do
      it("says what goes on with a download that was cut off: no other "
        .. "snapshot, of " .. id_is, function()
          local id = id_is == "a database" and database or app
          s:configure { created_version = true }
          local words = { "--retries=0", "create", id, "--download",
            dir .. "/b/" }
          if id == database then words[#words + 1] = "--database" end
          s:fault { fault = "cut", bytes = 100, match = {
            pattern = "%.zip?" } }
          local cut = command.run(s, words)
          assert.equal(1, cut.code)
          assert.matches("network: [^\n]*; run `squaresnap download " .. id
            .. "[^`]* %-%-version%-id=%S+ %-o " .. dir .. "/b/[%w_]+%.zip` "
            .. "to resume\n$", cut.err)
          s:clear_faults()
          local again = run_shown(cut.err)
          assert.equal(0, again.code, again.err)
          assert.equal(1, #helpers.names(dir .. "/b"))
          local ranges = downloads.ranges(s)
          assert.equal("bytes=100-", ranges[#ranges]:sub(1, 10))
          assert.equal(1, #s:requests { method = "POST" })
        end)
    end

    it("says so at a Ctrl-C, too", function()
      s:fault { fault = "stall", bytes = 100,
        match = { path = "/applications" } }
      local process = command.start(s, { "create", app, "--download",
        dir.path })
      s:wait_requests(function(one) return one.stalled end)
      process.interrupt()
      local result = process.wait()
      assert.equal(130, result.code)
      assert.matches("interrupted; what was downloaded is kept: run "
        .. "`squaresnap download [^`]*` to resume\n$", result.err)
      s:clear_faults()
      s:release()
      assert.equal(0, run_shown(result.err).code)
      assert.equal(1, #helpers.names(dir.path))
      assert.equal(1, #s:requests { method = "POST" })
    end)

    it("fails with the download's exit code, and says it was made", function()
      s:fault { fault = "expired", match = { path = "/applications" } }
      local result = create(app, "--download", dir.path)
      assert.equal(8, result.code)
      assert.matches(app, result.out)
      assert.matches("expired", result.err)
    end)
  end)
end)
