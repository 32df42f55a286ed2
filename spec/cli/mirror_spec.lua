-- squaresnap sync and prune: what they do with a mirror, and what they ask
-- first. The mirror itself has specs of its own.

local lfs = require "lfs"
local command = require "spec.support.command"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local quote = require "spec.support.quote"
local server = require "spec.support.server"

local DAY = 86400

describe("squaresnap", function()
  local s, app, other, database, dir, now
  before_each(function()
    s = server.shared()
    app, other, database = s.apps[1], s.apps[2], s.databases[1]
    dir = helpers.tmpdir()
    now = os.time()
    for day = 1, 4 do
      s:add_snapshot { app = app, bytes = downloads.archive(8),
        version_id = "v" .. day, modified = now - day * DAY }
    end
  end)
  after_each(function() helpers.remove(dir.path) end)

  local function sync(...)
    return command.run(s, { "sync", "--dir", dir .. "/m", ... })
  end
  local function prune(...)
    return command.run(s, { "prune", "--dir", dir .. "/m", ... },
      { key = false })
  end

  local function versions_of(list, status)
    local versions = {}
    for _, one in ipairs(list) do
      if not status or one.status == status then
        versions[#versions + 1] = one.version_id
      end
    end
    return versions
  end

  local function count_files()
    local pipe <close> = assert(io.popen("find " .. quote.shell(dir.path)
      .. " -name '*.zip' | wc -l"))
    return pipe:read "n"
  end

  describe("sync", function()
    it("says once what all its requests wait for", function()
      s:configure { plan = "free", limits = { requests = 4,
        requests_window_ms = 1500, requests_code = "RATE_LIMIT" } }
      local result = command.run(s, { "sync", "--all", "--dir", dir .. "/w" },
        { times = { calls = 1.6 } })
      assert.equal(0, result.code, result.err)
      local told = select(2, result.err:gsub(
        "rate limited by the platform: waiting 2 s\n", ""))
      local refused = #s:requests { status = 429 }
      assert.is_true(told >= 1 and told < refused, result.err)
    end)

    it("downloads everything without rules, soonest to expire first, once",
      function()
        local result = sync(app, "--json")
        assert.equal(0, result.code, result.err)
        assert.same({ "v4", "v3", "v2", "v1" }, versions_of(result:json()))
        for _, one in ipairs(result:json()) do
          assert.equal("downloaded", one.status)
          assert.equal(#downloads.archive(8), lfs.attributes(one.path, "size"))
          assert.is_nil(one.url)
          assert.is_nil(one.key)
        end
        local again = sync(app, "--json")
        assert.equal("[]\n", again.out)
        assert.equal(0, again.code)
        assert.equal(4, #downloads.requests(s))
        assert.equal("nothing new\n", sync(app).err)
      end)

    it("tells a person what it did", function()
      local result = sync(app, "--keep-last", "1", "--no-progress")
      assert.equal(0, result.code)
      assert.matches("^downloaded  %d+%-%d%d%-%d%d %d%d:%d%d  8%.2 KiB  "
        .. dir .. "/m/app/" .. app .. "/[^\n]*_v1%.zip\n$", result.out)
      assert.equal("1 downloaded, 8.2 KiB\n", result.err)
    end)

    it("is silent with -q where all went well, as cron wants it", function()
      local result = sync(app, "-q")
      assert.same({ 0, "", "" }, { result.code, result.out, result.err })
      assert.equal(4, count_files())
      result = prune("--keep-last=1", "-q", "-y")
      assert.same({ 0, "", "" }, { result.code, result.out, result.err })
      assert.equal("[]\n", sync(app, "-q", "--json", "--keep-last=1").out)
      result = sync("nobody", "-q")
      assert.equal("", result.out)
      assert.matches("not_found", result.err)
    end)

    it("downloads what the rules keep", function()
      assert.same({ "v2", "v1" }, versions_of(
        sync(app, "--json", "--keep-daily", "2"):json()))
      assert.same({ "v4", "v3" }, versions_of(
        sync(app, "--json", "--keep-within=3d", "--keep-daily=unlimited")
        :json()))
    end)

    it("takes databases, and the whole account", function()
      s:add_snapshot { database = database, bytes = downloads.archive(8),
        version_id = "d", modified = now - DAY }
      s:add_snapshot { app = other, bytes = downloads.archive(8),
        version_id = "o", modified = now - DAY }
      assert.same({ "d" }, versions_of(
        sync(database, "--database", "--json"):json()))
      assert.equal(5, #sync("--all", "--json", "-j", "2"):json())
      assert.equal(6, count_files())
    end)

    it("with --dry-run only says what it would do, and makes nothing",
      function()
        for _ = 1, 2 do
          local result = sync(app, "-n", "--json", "--keep-last=2")
          assert.equal(0, result.code, result.err)
          assert.same({ "v2", "v1" },
            versions_of(result:json(), "planned"))
          assert.equal(dir .. "/m/app/" .. app,
            result:json()[1].path:match "^(.*)/")
          assert.same({}, helpers.names(dir.path))
        end
        sync(app, "--keep-last=1")
        local plan = sync(app, "-n", "--keep-last=2")
        assert.matches("^planned  [^\n]*_v2%.zip\n$", plan.out)
        assert.equal("1 to download, 8.2 KiB\n", plan.err)
        assert.equal(1, count_files())
      end)

    it("goes on when one fails: exit code 3", function()
      s:fault { fault = "expired", match = { pattern = "versionId=v2" } }
      local result = sync(app, "--json")
      assert.equal(3, result.code)
      assert.same({ "v2" }, versions_of(result:json(), "failed"))
      assert.same({ "v4", "v3", "v1" },
        versions_of(result:json(), "downloaded"))
      assert.matches("expired: [^\n]*; run the same command again", result.err)
      s:clear_faults()
      assert.same({ "v2" }, versions_of(sync(app, "--json"):json()))
    end)

    it("tells an id that nobody has: 3 beside others, 5 alone", function()
      local result = sync(app, "nobody")
      assert.equal(3, result.code)
      assert.matches("nobody: not_found", result.err)
      assert.equal(5, sync("nobody").code)
    end)

    it("says which exit code all failures have in common", function()
      s:fault { fault = "expired", match = { path = "/applications" } }
      assert.equal(8, sync(app).code)
    end)

    it("says where it cannot write: exit code 1", function()
      helpers.write_file(dir .. "/m", "a file")
      local result = sync(app)
      assert.equal(1, result.code)
      assert.matches("^squaresnap: filesystem: [^\n]*" .. dir .. "/m: [^\n]*; "
        .. "fix that, then run it again\n$", result.err)
    end)

    it("says what to do with a file in the way, and gives no advice for Lua",
      function()
        sync(app)
        local zips = {}
        for name in lfs.dir(dir .. "/m/app/" .. app) do
          if name:find "%.zip$" then
            zips[#zips + 1] = dir .. "/m/app/" .. app .. "/" .. name
          end
        end
        table.sort(zips)
        -- one was cut, one is another file, one has lost its JSON
        helpers.write_file(zips[1], "PK")
        helpers.write_file(zips[2], "mine")
        helpers.write_file((zips[2]:gsub("zip$", "json")), "{}")
        os.remove((zips[3]:gsub("zip$", "json")))
        local result = sync(app)
        assert.equal(3, result.code, result.err)
        local lines = {}
        for line in result.err:gmatch "squaresnap: [^\n]*" do
          lines[#lines + 1] = line
        end
        assert.equal(2, #lines)
        assert.matches("integrity: .*; move that file away, then run the same "
          .. "command again$",
          lines[1])
        assert.matches("exists: .*; move that file away, then run the same "
          .. "command again$",
          lines[2])
        assert.matches("1 adopted", result.err)
        assert.is_nil(result.err:find "[{}]")
        assert.equal("mine", helpers.read_file(zips[2]))
      end)

    it("says when another one is at it", function()
      assert.equal(0, sync(app).code)
      local lock = require("squarecloud.core").posix.lock_file(
        dir .. "/m/.mirror.lock")
      local _ <close> = assert(lock)
      for _, result in ipairs { sync(app), prune("--keep-last=1", "-y") } do
        assert.equal(1, result.code)
        assert.matches("^squaresnap: filesystem: [^\n]* is being changed by "
          .. "another process or task [^\n]*; run it again when that has "
          .. "finished\n$", result.err)
      end
    end)

    it("does not advise what it cannot do when a file came broken", function()
      s:remove_snapshots { app = app }
      s:add_snapshot { app = app, modified = now - DAY, version_id = "v",
        bytes = (downloads.archive(8):gsub("000000000000002\n",
          "00000000000beef\n", 1)) }
      local result = sync(app)
      assert.equal(8, result.code)
      assert.matches("integrity: [^\n]*; nothing was kept: run the same "
        .. "command again\n", result.err)
    end)

    it("makes what only its owner may read", function()
      assert.equal(0, os.execute(("umask 0; %s >/dev/null 2>&1"):format(
        command.line(s, { "sync", app, "--dir", dir .. "/m" }))) and 0)
      local pipe <close> = assert(io.popen("find " .. quote.shell(dir
        .. "/m") .. " -type d ! -perm 700 -o -type f ! -perm 600"))
      assert.equal("", pipe:read "a")
      assert.equal(4, count_files())
    end)
  end)

  describe("prune", function()
    before_each(function() assert.equal(0, sync(app).code) end)

    it("removes what the rules do not keep, and tells why the rest stays",
      function()
        local result = prune("--keep-last", "2", "--yes", "--json")
        assert.equal(0, result.code, result.err)
        assert.same({ "v1", "v2" }, versions_of(result:json(), "kept"))
        assert.same({ "v3", "v4" }, versions_of(result:json(), "removed"))
        assert.same({ "last snapshot" }, result:json()[1].reasons)
        assert.equal(2, count_files())
        -- and nothing was asked of the platform
        assert.equal(4, #downloads.requests(s))
        assert.equal(0, #s:requests { method = "POST" })
      end)

    it("tells a person", function()
      local result = prune("--keep-last", "3", "-y")
      assert.matches("\nkept +%d[%d: -]+8%.2 KiB  last snapshot  /[^\n]*\n"
        .. "removed +%d[%d: -]+8%.2 KiB +/[^\n]*_v4%.zip\n$", result.out)
      assert.equal("3 kept, 1 removed, 8.2 KiB\n", result.err)
    end)

    it("with --dry-run removes nothing", function()
      local result = prune("--keep-last", "2", "-n", "--json")
      assert.same({ "v3", "v4" }, versions_of(result:json(), "planned"))
      assert.equal(0, result.code)
      assert.equal(4, count_files())
    end)

    it("gives an empty list as []", function()
      lfs.mkdir(dir .. "/empty")
      local result = command.run(nil, { "--json", "prune", "--keep-last=1",
        "-y", "--dir", dir .. "/empty" })
      assert.equal("[]\n", result.out)
      assert.equal(0, result.code)
    end)

    it("makes no folder: exit code 1", function()
      local result = command.run(nil, { "prune", "--keep-last=1", "-y",
        "--dir", dir .. "/missing" })
      assert.equal(1, result.code)
      assert.is_nil(lfs.attributes(dir .. "/missing"))
    end)

    it("asks on a terminal", function()
      for _, row in ipairs { { "n\n", 1, 4 }, { "\n", 1, 4 }, { "\4", 1, 4 },
        { "\3", 130, 4 }, { "y\n", 0, 2 } } do
        local process = command.terminal(s, { "prune", "--keep-last=2",
          "--dir", dir .. "/m" })
        downloads.wait(function()
          return process.shown():find("Remove these 2 files, 16.4 KiB? [y/N] ",
            1, true)
        end, "the question")
        assert.matches("_v4%.zip\r\n", process.shown())
        process.type(row[1])
        local result = process.wait()
        assert.equal(row[2], result.code, result.out)
        assert.equal(row[3], count_files())
      end
    end)
  end)
end)
