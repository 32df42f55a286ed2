--- squarecloud.mirror, as a folder: opening it, wrong use, what it lists and
-- reports, the newest and the plan of a restore. In mirror/: names
-- (layout_spec), verifying and adopting (care_spec), filling it (sync_spec,
-- tasks_spec), emptying it (prune_spec), kills, other processes (crash_spec).

local lfs = require "lfs"
local helpers = require "spec.support.helpers"
local mirrors = require "spec.support.mirrors"
local retention = require "squarecloud.retention"
local square = require "squarecloud"

local DAY = mirrors.DAY
local AT = mirrors.AT

describe("a mirror", function()
  local folder, dir, m

  before_each(function() folder, dir, m = mirrors.begin() end)
  after_each(function() mirrors.finish(folder, m) end)

  local function put(spec) return mirrors.put(dir, spec) end

  ------------------------------------------------------------------ opening

  describe("is opened", function()
    it("in a folder that is made, with those above it", function()
      local made <close> = assert(square.mirror.open(folder .. "/x/y z/m//"))
      assert.equal(folder .. "/x/y z/m", made.dir)
      assert.equal("directory", lfs.attributes(made.dir, "mode"))
      assert.same({}, (made:list()))
    end)

    it("in a folder that is its owner's alone", function()
      assert.equal("rwx------", lfs.attributes(dir, "permissions"))
    end)

    it("but not made when it is told not to", function()
      local none, err = square.mirror.open { dir = folder .. "/none",
        create = false }
      assert.is_nil(none)
      assert.equal("filesystem", err.kind)
      assert.truthy(err.message:find(folder .. "/none", 1, true))
      assert.is_nil(lfs.attributes(folder .. "/none"))
      local there <close> = assert(square.mirror.open { dir = dir,
        create = false })
      assert.equal(dir, there.dir)
    end)

    it("never in a file", function()
      helpers.write_file(folder .. "/file", "text")
      for _, path in ipairs { "/file", "/file/below" } do
        local none, err = square.mirror.open(folder .. path)
        assert.is_nil(none)
        assert.equal("filesystem", err.kind)
      end
      assert.equal("text", helpers.read_file(folder .. "/file"))
    end)

    it("by a relative path, which is made absolute", function()
      local here = lfs.currentdir()
      assert(lfs.chdir(folder.path))
      finally(function() assert(lfs.chdir(here)) end)
      local one <close> = assert(square.mirror.open "relative")
      assert(lfs.chdir(here))
      assert.equal(folder .. "/relative", one.dir)
      put { version = "v" }
      assert.same({}, (one:list()))
    end)
  end)

  it("says what it is", function()
    assert.equal("squarecloud.Mirror (" .. dir .. ")", tostring(m))
    m:close()
    assert.equal("squarecloud.Mirror (" .. dir .. ", closed)", tostring(m))
  end)

  it("raises once it is closed", function()
    m:close()
    m:close()
    for _, call in ipairs { { "list" }, { "sync", {}, {} }, { "prune", {} },
      { "verify" }, { "latest", "a" }, { "restore_plan", "a" },
      { "adopt", "a" } } do
      assert.error_matches(function()
        m[call[1]](m, table.unpack(call, 2))
      end, "the mirror is closed")
    end
  end)

  local WRONG = {
    { "list", {}, nil },
    { "sync", { nil, {} }, "sync: expected a client, got nil" },
    { "sync", { {}, {} }, "sync: one of 'apps', 'databases', 'all'" },
    { "sync", { {}, { all = true, apps = {} } }, "either 'all', or 'apps'" },
    { "sync", { {}, { app = {} } }, "unknown option 'app' %(known: adopt" },
    { "sync", { {}, { apps = "a" } }, "'apps' must be a list of ids, got 'a'" },
    { "sync", { {}, { apps = { 1 } } }, "'apps' must be a list of ids" },
    { "sync", { {}, { apps = { x = "a" } } }, "'apps' must be a list of ids" },
    { "sync", { {}, { all = 1 } }, "'all' must be true or false, got number" },
    { "sync", { {}, { all = true, policy = 1 } }, "'policy' must be a table" },
    { "sync", { {}, { all = true, concurrency = 0 } }, "whole number from 1" },
    { "sync", { {}, { all = true, segments = 17 } }, "number from 1 to 16" },
    { "sync", { {}, { all = true, progress = 1 } }, "must be a function or" },
    { "sync", { {}, { all = true, on_empty = "x" } }, "^%S+: sync: on_empty" },
    { "sync", { {}, "a1" }, "sync: expected a table of options, got string" },
    { "prune", {}, "prune: the policy must be a table, got nil" },
    { "prune", { {}, { dry = true } }, "prune: unknown option 'dry'" },
    { "prune", { {}, { now = "x" } }, "prune: now: \"x\" is not a valid" },
    { "verify", { { aside = true } }, "verify: unknown option 'aside'" },
    { "verify", { { application_type = "x" } }, "\"app\" or \"database\"" },
    { "latest", {}, "latest: option 'id' is missing" },
    { "latest", { "" }, "latest: option 'id' must be an id, got ''" },
    { "restore_plan", { { id = "a", at = "x" } }, "option 'at': \"x\" is not" },
    { "adopt", {}, "adopt: option 'path' is missing" },
    { "adopt", { "/x.zip" }, "adopt: '/x.zip' is not in the folder of" },
    { "adopt", { { path = 1 } }, "adopt: option 'path' must be a string" },
  }
  for i, row in ipairs(WRONG) do
    local method, arguments, message = row[1], row[2], row[3]
    if message then
      it(("raises for wrong use of %s, #%d"):format(method, i), function()
        local ok, why = pcall(function()
          m[method](m, table.unpack(arguments, 1, 2))
        end)
        assert.is_false(ok)
        assert.truthy(tostring(why):find(message), why)
        assert.truthy(why:find "^[^:]*mirror_spec.lua:%d+: ", why)
      end)
    end
  end

  it("raises for a method that is called without it", function()
    assert.error_matches(function() m.list {} end, "expected a mirror")
    assert.error_matches(function() m.close {} end, "expected a mirror")
  end)

  for _, row in ipairs { { {}, "option 'dir' is missing" },
    { { dir = "" }, "option 'dir' is empty" }, { 1, "must be a string" },
    { { dir = "a\0b" }, "contains a NUL" },
    { { path = "x" }, "unknown option 'path' %(known: create, dir, lock%)" },
  } do
    it("raises when it is opened wrongly: " .. row[2], function()
      assert.error_matches(function() square.mirror.open(row[1]) end, row[2])
    end)
  end

  ------------------------------------------------------------------ listing

  describe("lists", function()
    it("nothing when it is empty", function()
      assert.same({ {}, {} }, { m:list() })
    end)

    it("what the filters take, by path", function()
      local path = put { version = "v2", at = AT + DAY }
      put { version = "v1" }
      put { id = "d1_redis", version = "v3", application_type = "database" }
      local entries, problems = m:list()
      assert.same({}, problems)
      assert.same({ "v1", "v2", "v3" }, mirrors.versions(entries))
      assert.same({ id = "a1", version_id = "v2", app_id = "a1",
        application_type = "app", created_at = "2024-06-28T06:23:42Z",
        bytes = #mirrors.archive "v2", path = path .. ".zip" }, entries[2])
      assert.equal("d1", entries[3].app_id)
      assert.equal("math.integer", "math." .. math.type(entries[1].bytes))
      assert.equal(3 * entries[1].bytes, retention.total_size(entries))
      assert.equal("v2", retention.latest(entries).version_id)
      local keep, remove = retention.apply(entries, { keep_last = 1 })
      assert.equal(2, #keep)
      assert.same({ "v1" }, mirrors.versions(remove))
    end)

    it("a JSON without its ZIP as nothing", function()
      os.remove(put { version = "v1" } .. ".zip")
      assert.same({ {}, {} }, { m:list() })
    end)

    it("nothing of a download under way", function()
      local path = put { version = "v1" }
      os.rename(path .. ".zip", path .. ".zip.part")
      helpers.write_file(path .. ".zip.part.meta", "x")
      helpers.write_file(path .. ".json.new", "{")
      assert.same({ {}, {} }, { m:list() })
    end)

    it("no foreign files, wherever they lie", function()
      put { version = "v1" }
      for _, name in ipairs { "/foreign.zip", "/app/foreign.zip", "/notes.txt",
        "/app/a1/notes.txt", "/app/a1/.hidden" } do
        helpers.write_file(dir .. name, "foreign")
      end
      assert(lfs.mkdir(dir .. "/other"))
      helpers.write_file(dir .. "/other/x.zip", "foreign")
      local entries, problems = m:list()
      assert.same({ "v1" }, mirrors.versions(entries))
      assert.same({}, problems)
    end)

    it("a folder that somebody renamed as what its files say", function()
      put { version = "v1" }
      assert(os.rename(dir .. "/app/a1", dir .. "/app/my bot"))
      assert.equal("a1", m:list()[1].id)
    end)

    local NOT_OURS = { "null", "[]", "{}", "5", "not JSON", '{"mirror":1}',
      '{"mirror":"1","id":"a1"}', '{"mirror":0}',
      '{"mirror":1,"id":"a1","created_at":"yesterday","bytes":1,'
        .. '"scope":"applications"}',
      '{"mirror":1,"id":"a1","created_at":"2024-06-27T06:23:42Z","bytes":1.5,'
        .. '"scope":"applications"}',
      '{"mirror":1,"id":"a1","created_at":"2024-06-27T06:23:42Z","bytes":-1,'
        .. '"scope":"applications"}',
      '{"mirror":1,"id":"a1","created_at":"2024-06-27T06:23:42Z","bytes":1,'
        .. '"scope":"apps"}',
      '{"mirror":1,"id":null,"created_at":"2024-06-27T06:23:42Z","bytes":1,'
        .. '"scope":"applications"}',
      ("["):rep(100000), ("x"):rep(100000) }
    for i, json in ipairs(NOT_OURS) do
      it(("a ZIP beside a JSON that is not ours as a problem, #%d"):format(i),
        function()
          local path = put { version = "v1", json = json }
          local entries, problems = m:list()
          assert.same({}, entries)
          assert.same({ { path = path .. ".zip", kind = "foreign",
            message = "the JSON beside it does not belong to the mirror" } },
            problems)
        end)
    end

    local PROBLEMS = {
      { "none", "has no JSON", { json = false } },
      { "none", "is empty", { json = "" } },
      { "none", "is empty", { json = ("\0"):rep(100) } },
      { "newer", "a newer version", { json = '{"mirror":2}' } },
    }
    for i, row in ipairs(PROBLEMS) do
      it(("a ZIP whose JSON does not tell as a problem, #%d"):format(i),
        function()
          row[3].version = "v1"
          local path = put(row[3])
          local entries, problems = m:list()
          assert.same({}, entries)
          assert.equal(path .. ".zip", problems[1].path)
          assert.equal(row[1], problems[1].kind)
          assert.truthy(problems[1].message:find(row[2], 1, true))
          assert.equal(1, #problems)
        end)
    end

    it("a file of another size as damaged", function()
      local path = put { version = "v1" }
      helpers.write_file(path .. ".zip", "PK")
      local entries, problems = m:list()
      assert.same({}, entries)
      assert.equal("damaged", problems[1].kind)
      assert.truthy(problems[1].message:find "has 2 bytes, not %d+")
      assert.equal("v1", problems[1].entry.version_id)
    end)

    it("a symbolic link, a folder or a pipe as no snapshot", function()
      local path = put { version = "v1" }
      os.rename(path .. ".zip", folder .. "/elsewhere.zip")
      lfs.link(folder .. "/elsewhere.zip", path .. ".zip", true)
      assert(lfs.mkdir(dir .. "/app/a1/folder.zip"))
      os.execute(("mkfifo '%s'/app/a1/pipe.zip '%s'/app/a1/pipe.json")
        :format(dir, dir))
      local entries, problems = m:list()
      assert.same({}, entries)
      assert.equal(3, #problems)
      for _, problem in ipairs(problems) do
        assert.equal("foreign", problem.kind)
        assert.equal("it is not a regular file", problem.message)
      end
    end)

    it("the same snapshot twice as one, and a copy", function()
      local path = put { version = "v1" }
      local copy = dir .. "/app/a1/zz"
      for _, ending in ipairs { ".zip", ".json" } do
        helpers.write_file(copy .. ending, helpers.read_file(path .. ending))
      end
      local entries, problems = m:list()
      assert.equal(path .. ".zip", entries[1].path)
      assert.equal(1, #entries)
      assert.same({ { path = copy .. ".zip", kind = "copy",
        message = "it is a copy of " .. path .. ".zip" } }, problems)
    end)

    it("names with control characters safely", function()
      put { id = "a\27[2J", version = "v", json = false }
      local _, problems = m:list()
      assert.equal("none", problems[1].kind)
      put { id = "b", version = "v\27", json = '{"mirror":1,"id":"\\u001b"' }
      for _, problem in ipairs(select(2, m:list())) do
        assert.is_nil(problem.message:find "\27")
      end
    end)

    it("an error when its folder is gone", function()
      helpers.remove(dir)
      local entries, err = m:list()
      assert.is_nil(entries)
      assert.equal("filesystem", err.kind)
      assert.truthy(tostring(err):find(dir, 1, true))
    end)

    it("many", function()
      for i = 1, 500 do
        put { id = "a" .. i % 7, version = "v" .. i, at = AT + i * 3600,
          bytes = "PK" }
      end
      assert.equal(500, #m:list())
      assert.equal(7, #select(2, retention.latest_by_id(m:list())))
    end)
  end)

  ------------------------------------------------------- newest, and a plan

  describe("for scripts", function()
    before_each(function()
      put { version = "v1" }
      put { version = "v3", at = AT + 2 * DAY }
      put { version = "v2", at = AT + DAY }
      put { id = "d1_redis", version = "d", application_type = "database" }
      put { id = "n1", at = AT }
    end)

    it("tells the newest snapshot of an id", function()
      assert.equal("v3", assert(m:latest "a1").version_id)
      assert.equal("v3", assert(m:latest { id = "a1",
        application_type = "app" }).version_id)
      assert.equal("d", assert(m:latest "d1_redis").version_id)
      assert.equal("d", assert(m:latest "d1").version_id)
    end)

    it("says when there is none", function()
      for _, options in ipairs { "nobody", { id = "a1",
        application_type = "database" } } do
        local none, err = m:latest(options)
        assert.is_nil(none)
        assert.equal("not_found", err.kind)
        assert.truthy(tostring(err):find "^latest %w+: not_found: the mirror")
        assert.equal(tostring(err) .. "!", err .. "!")
      end
    end)

    it("plans a restore by the platform while that has the snapshot",
      function()
        local plan = assert(m:restore_plan { id = "a1", now = AT + 3 * DAY })
        assert.equal("platform", plan.how)
        assert.same({ application_type = "app", app_id = "a1",
          snapshot_id = "a1", version_id = "v3" }, plan.restore)
        assert.equal(plan.entry.path, plan.path)
        assert.equal(AT + 32 * DAY, plan.expires_at)
        plan = assert(m:restore_plan { id = "d1", now = AT })
        assert.same({ application_type = "database", app_id = "d1",
          snapshot_id = "d1_redis", version_id = "d" }, plan.restore)
      end)

    it("plans an upload when the platform has dropped it", function()
      local plan = assert(m:restore_plan { id = "a1", now = AT + 32 * DAY })
      assert.equal("upload", plan.how)
      assert.is_nil(plan.restore)
      assert.truthy(plan.reason:find "30 days")
      assert.truthy(lfs.attributes(plan.path))
      assert.equal("upload", assert(m:restore_plan "a1").how)
      plan = assert(m:restore_plan { id = "n1", now = AT })
      assert.equal("upload", plan.how)
      assert.truthy(plan.reason:find "version")
    end)

    it("plans for a moment or a version", function()
      local function version(options)
        options.id, options.now = "a1", AT
        local plan, err = m:restore_plan(options)
        return plan and plan.entry.version_id or err.kind
      end
      assert.equal("v2", version { at = "2024-06-28T06:23:42Z" })
      assert.equal("v1", version { at = AT + DAY - 1 })
      assert.equal("not_found", version { at = AT - 1 })
      assert.equal("v1", version { version_id = "v1" })
      assert.equal("not_found", version { version_id = "v9" })
      assert.equal("not_found", version { version_id = "v3", at = AT })
    end)
  end)
end)
