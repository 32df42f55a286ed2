--- Filling a mirror from the platform: what is downloaded and in which order,
-- what is said of it, what fails and what that stops. In tasks, and with
-- progress: tasks_spec.lua; kills and other processes: crash_spec.lua.

local lfs = require "lfs"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local mirrors = require "spec.support.mirrors"
local server = require "spec.support.server"
local square = require "squarecloud"

local DAY = mirrors.DAY

describe("a sync", function()
  local s, client, folder, dir, m, app, other, database, now

  before_each(function()
    s = server.shared()
    client = helpers.client(s)
    folder, dir, m = mirrors.begin()
    app, other, database = s.apps[1], s.apps[2], s.databases[1]
    now = os.time() // DAY * DAY
  end)

  after_each(function()
    client:close()
    mirrors.finish(folder, m)
  end)

  -- A snapshot of `id` that is so many days old, with bytes of its own.
  local function add(days, spec)
    spec = spec or {}
    spec.modified = now - days * DAY
    spec.version_id = spec.version_id or ("version-%02d"):format(days)
    spec.bytes = spec.bytes or mirrors.archive(days)
    if not spec.database then spec.app = spec.app or app end
    return s:add_snapshot(spec)
  end

  local function store_requests()
    return #downloads.requests(s)
  end

  it("brings what is listed, soonest to expire first, with what it is",
    function()
      for _, days in ipairs { 1, 20, 7 } do add(days) end
      local results = assert(m:sync(client, { apps = { app } }))
      assert.same({ "version-20", "version-07", "version-01" },
        mirrors.versions(results))
      assert.same({ "downloaded", "downloaded", "downloaded" },
        mirrors.statuses(results))
      assert.same({ 3, 0, 0, 0, 0 }, { results.downloaded, results.failed,
        results.adopted, results.skipped, results.planned })
      local entries, problems = m:list()
      assert.same({}, problems)
      for i, entry in ipairs(entries) do
        local days = ({ 20, 7, 1 })[i]
        assert.is_true(mirrors.archive(days)
          == helpers.read_file(entry.path))
        assert.equal(os.date("!%Y-%m-%dT%H:%M:%S.000Z", now - days * DAY),
          entry.created_at)
        assert.truthy(entry.etag)
        assert.equal(results[i].path, entry.path)
        assert.equal(results[i].bytes, entry.bytes)
        assert.equal(("%s/app/%s/%s_%s_version-%02d.zip"):format(dir, app, app,
          os.date("!%Y%m%dT%H%M%SZ", now - days * DAY), days), entry.path)
      end
      assert.equal(results.bytes, square.retention.total_size(entries))
    end)

  it("takes what has nothing here first, then that whose newest copy is "
    .. "oldest, in lists and downloads", function()
      add(9, { version_id = "old-9" })
      add(8, { version_id = "db-8", database = database })
      add(7, { app = other, version_id = "other-7" })
      s:add_app { id = "third" }
      assert(m:sync(client, { apps = { app, other },
        databases = { database } }))
      add(3, { app = other, version_id = "other-3" })
      add(2, { version_id = "old-2" })
      add(1, { app = "third", version_id = "third-1" })
      add(4, { database = database, version_id = "db-4" })
      add(6, { app = "third", version_id = "third-6" })
      add(5, { app = other, version_id = "other-5" })
      local wanted = { "third-6", "third-1", "old-2", "db-4", "other-5",
        "other-3" }
      for _, how in ipairs { { all = true },
        { apps = { other, "third", app }, databases = { database } } } do
        how.dry_run, how.concurrency = true, 1
        assert.same(wanted, mirrors.versions(assert(m:sync(client, how))))
      end
      s:configure { plan = "free" } -- no list of the whole account
      local before = #s:requests()
      local results = assert(m:sync(client, { all = true, concurrency = 1 }))
      assert.same(wanted, mirrors.versions(results))
      local listed = {}
      for i, one in ipairs(s:requests()) do
        listed[#listed + 1] = i > before
          and one.uri:match "^/v2/%a+/([^/]+)/snapshots$" or nil
      end
      assert.same({ s.apps[3], "third", s.databases[2], app, database, other },
        listed)
    end)

  it("starves nobody, though it is cut off every night", function()
    local ids = {}
    for i = 1, 6 do
      ids[i] = "many-" .. i
      s:add_app { id = ids[i] }
      add(i, { app = ids[i], version_id = ids[i] .. "-1" })
    end
    local had = {}
    for night = 1, 9 do -- two for each of them
      local left = 2 -- downloads, then it is over
      local results = assert(m:sync(client, { apps = ids, concurrency = 1,
        progress = function(_, done, total)
          if done == total then left = left - 1 end
          return left >= 0
        end }))
      for _, one in ipairs(results) do
        if one.status == "downloaded" then had[one.id] = night end
      end
      for i = 1, 6 do -- and each has a new one in the morning
        add(-night, { app = ids[i], version_id = ids[i] .. "-"
          .. night + 1 })
      end
    end
    for _, id in ipairs(ids) do
      assert.is_true(had[id] and had[id] > 3, id)
    end
  end)

  it("goes on with what it can read of a list, and names the rest", function()
    local whole = '{"name":"%s","size":%d,"modified":"2024-06-27T06:23:4%dZ",'
      .. '"key":"versionId=v%d"}'
    s:listing(app, '{"status":"success","response":['
      .. whole:format(app, 5, 1, 1) .. ',{"name":"' .. app .. '"},'
      .. whole:format(app, 5, 2, 2) .. ",null]}")
    s:listing(other, '{"status":"success","response":[7]}')
    add(1, { database = database })
    local results = assert(m:sync(client, { apps = { app, other },
      databases = { database }, dry_run = true }))
    assert.same({ 3, 1 }, { results.planned, results.failed })
    assert.same({ app .. ": entry 2 (id " .. app .. "): its size is missing "
      .. "or wrong", app .. ": entry 4: it is not an object" },
      results.problems)
    assert.equal("protocol", results[4].err.kind)
    s:listing(app, '{"status":"success","response":[]}')
    assert.is_nil(assert(m:sync(client, { apps = { app } })).problems)
  end)

  it("makes nothing that others may read", function()
    add(1)
    assert(m:sync(client, { apps = { app } }))
    local function walk(path)
      local mode = lfs.attributes(path, "mode")
      assert.equal(mode == "directory" and "rwx------" or "rw-------",
        lfs.attributes(path, "permissions"), path)
      for _, name in ipairs(mode == "directory" and helpers.names(path)
        or {}) do
        walk(path .. "/" .. name)
      end
    end
    walk(dir)
  end)

  it("brings nothing the second time", function()
    for _, days in ipairs { 1, 2, 3 } do add(days) end
    add(4, { version_id = false })
    add(5, { database = database })
    local options = { apps = { app, app }, databases = { database } }
    assert.equal(5, assert(m:sync(client, options)).downloaded)
    local before, asked = mirrors.tree(dir), store_requests()
    assert.same({}, mirrors.statuses(assert(m:sync(client, options))))
    assert.equal(asked, store_requests())
    assert.same(before, mirrors.tree(dir))
    add(0)
    assert.same({ "version-00" },
      mirrors.versions(assert(m:sync(client, options))))
    assert.equal(asked + 1, store_requests())
  end)

  it("brings what the policy keeps of here and there together", function()
    for days = 0, 9 do add(days) end
    local policy = { keep_last = 3 }
    local results = assert(m:sync(client, { apps = { app },
      policy = policy }))
    assert.same({ "version-02", "version-01", "version-00" },
      mirrors.versions(results))
    s:remove_snapshots { app = app }
    add(5)
    assert.equal(0, #assert(m:sync(client, { apps = { app },
      policy = policy })))
    results = assert(m:sync(client, { apps = { app },
      policy = { keep_last = 4 } }))
    assert.same({ "version-05" }, mirrors.versions(results))
  end)

  it("passes the filters' options on, and keeps the newest by default",
    function()
      for days = 5, 9 do add(days) end
      local options = { apps = { app }, dry_run = true, now = now,
        policy = { keep_within = "1d" }, relative_to = "now" }
      assert.same({ "version-05" },
        mirrors.versions(assert(m:sync(client, options))))
      options.on_empty = "error"
      local none, err = m:sync(client, options)
      assert.is_nil(none)
      assert.equal("bad_request", err.kind)
      assert.truthy(tostring(err):find "^sync: bad_request: refusing")
      options.on_empty = "allow"
      assert.equal(0, #assert(m:sync(client, options)))
    end)

  it("is not refused for the sake of what it was not asked about", function()
    mirrors.put(dir, { id = "elsewhere", at = now - 90 * DAY, version = "v" })
    add(0)
    assert.equal(1, #assert(m:sync(client, { apps = { app }, now = now + DAY,
      policy = { keep_within = "5d" }, relative_to = "now",
      on_empty = "error" })))
  end)

  it("brings the whole account, databases apart", function()
    add(1)
    add(2, { app = other })
    add(3, { database = database })
    local results = assert(m:sync(client, { all = true }))
    assert.equal(3, results.downloaded)
    local kinds = {}
    for _, entry in ipairs(m:list()) do
      kinds[entry.application_type .. " " .. entry.app_id] = true
    end
    assert.same({ ["app " .. app] = true, ["app " .. other] = true,
      ["database " .. database] = true }, kinds)
    assert.equal(2, #s:requests { path = "/v2/users/snapshots" })
  end)

  it("brings it one by one where the plan lists no account", function()
    s:configure { plan = "free" }
    add(1)
    add(3, { database = database })
    local results = assert(m:sync(client, { all = true }))
    assert.equal(2, results.downloaded)
    assert.equal(0, results.failed)
    assert.equal(database, assert(m:latest(database)).app_id)
    assert.equal(0, #assert(m:sync(client, { all = true })))
  end)

  it("says only what it would do in a dry run", function()
    for _, days in ipairs { 1, 2 } do add(days) end
    local results = assert(m:sync(client, { apps = { app }, dry_run = true }))
    assert.same({ "planned", "planned" }, mirrors.statuses(results))
    assert.equal(2, results.planned)
    assert.equal(2 * #mirrors.archive(1), results.bytes)
    assert.equal(0, store_requests())
    assert.same({}, helpers.names(dir))
    assert.is_nil(lfs.attributes(results[1].path))
  end)

  ------------------------------------------------------------------ failures

  it("goes on when one download fails", function()
    for days = 1, 4 do add(days) end
    s:fault { fault = "store_error", status = 404, code = "NoSuchKey",
      match = { pattern = "versionId=version%-03" } }
    for _, concurrency in ipairs { 1, 3 } do
      local results = assert(m:sync(client, { apps = { app },
        concurrency = concurrency }))
      local failed = results[concurrency == 1 and 2 or 1]
      assert.equal("failed", failed.status)
      assert.equal("version-03", failed.version_id)
      assert.equal("not_found", failed.err.kind)
      assert.equal(1, results.failed)
      assert.equal(3, #m:list())
    end
    s:clear_faults()
    assert.equal(1, assert(m:sync(client, { apps = { app } })).downloaded)
    assert.equal(4, #m:list())
    assert.equal(8, #helpers.names(dir .. "/app/" .. app))
  end)

  it("leaves nothing of a snapshot of which nothing came", function()
    add(1)
    s:fault { fault = "store_error", status = 404, code = "NoSuchKey",
      match = { pattern = "versionId" } }
    assert.equal(1, assert(m:sync(client, { apps = { app } })).failed)
    assert.same({}, helpers.names(dir .. "/app/" .. app))
  end)

  it("goes on when one listing fails", function()
    add(1)
    local results = assert(m:sync(client, { apps = { "nobody", app } }))
    assert.same({ "downloaded", "failed" }, mirrors.statuses(results))
    assert.equal("nobody", results[2].id)
    assert.equal("not_found", results[2].err.kind)
    assert.is_nil(results[2].path)
  end)

  it("fails when every listing does", function()
    for _, options in ipairs { { apps = { "nobody" } },
      { all = true, concurrency = 1 } } do
      local wrong <close> = helpers.client(s,
        { api_key = s.account_id .. "-x" })
      local none, err = m:sync(options.all and wrong or client, options)
      assert.is_nil(none)
      assert.equal(options.all and "authentication" or "not_found", err.kind)
    end
  end)

  it("asks for nothing when it is asked for nothing", function()
    assert.same({}, mirrors.statuses(assert(m:sync(client, { apps = {} }))))
    assert.equal(0, #s:requests())
  end)

  it("fails before any request for a bad policy", function()
    local none, err = m:sync(client, { apps = { app },
      policy = { keep_dayly = 7 } })
    assert.is_nil(none)
    assert.equal("bad_request", err.kind)
    assert.truthy(err.message:find "unknown policy key 'keep_dayly'")
    assert.equal(0, #s:requests())
  end)

  it("takes no broken archive for a snapshot", function()
    add(1, { bytes = "PK\3\4" .. ("x"):rep(1000) })
    add(2)
    local results = assert(m:sync(client, { apps = { app } }))
    assert.same({ "downloaded", "failed" }, mirrors.statuses(results))
    assert.equal("integrity", results[2].err.kind)
    assert.same({ "version-02" }, mirrors.versions((m:list())))
  end)

  it("says what the disk says", function()
    add(1)
    helpers.write_file(dir .. "/app", "in the way")
    local results = assert(m:sync(client, { apps = { app } }))
    assert.equal("filesystem", results[1].err.kind)
    assert.truthy(results[1].err.message:find(dir .. "/app", 1, true))
    assert.equal("in the way", helpers.read_file(dir .. "/app"))
    assert.equal(0, store_requests())
  end)

  ----------------------------------------------------------- what is in the way

  describe("where something is in the way", function()
    local path, entry

    before_each(function()
      add(1)
      entry = assert(m:sync(client, { apps = { app } }))[1]
      path = entry.path:gsub("%.zip$", "")
    end)

    local function sync(options)
      options = options or {}
      options.apps = { app }
      local results = assert(m:sync(client, options))
      return results[1] or {}
    end

    it("touches no foreign file", function()
      for _, what in ipairs { "zip", "json", "both" } do
        helpers.remove(path .. ".zip")
        helpers.remove(path .. ".json")
        if what ~= "json" then helpers.write_file(path .. ".zip", "mine") end
        if what ~= "zip" then helpers.write_file(path .. ".json", "mine") end
        local before = mirrors.tree(dir)
        for _, adopt in ipairs { false, true } do
          local result = sync { adopt = adopt }
          assert.equal("failed", result.status)
          assert.equal("exists", result.err.kind)
          assert.same(before, mirrors.tree(dir))
        end
      end
    end)

    it("reports a file without its JSON, and adopts it when told to",
      function()
        assert(os.remove(path .. ".json"))
        local asked = store_requests()
        local result = sync()
        assert.equal("failed", result.status)
        assert.truthy(result.err.message:find("use adopt to add it", 1, true))
        assert.is_nil(lfs.attributes(path .. ".json"))
        assert.equal("adopted", sync { adopt = true }.status)
        assert.equal(entry.created_at, m:list()[1].created_at)
        assert.equal(asked, store_requests())
        assert.is_nil(sync().status)
      end)

    it("adopts no file that is broken or of another size", function()
      assert(os.remove(path .. ".json"))
      local bytes = helpers.read_file(path .. ".zip")
      for i, wrong in ipairs { bytes:sub(1, -2), ("x"):rep(#bytes) } do
        helpers.write_file(path .. ".zip", wrong)
        local result = sync { adopt = true }
        assert.equal("failed", result.status)
        assert.equal(i == 1 and "exists" or "integrity", result.err.kind)
        assert.is_nil(result.err.operation)
        assert.is_nil(lfs.attributes(path .. ".json"))
      end
    end)

    it("fetches what is damaged anew once it is set aside", function()
      helpers.write_file(path .. ".zip", "PK")
      local result = sync()
      assert.equal("failed", result.status)
      assert.equal("integrity", result.err.kind)
      assert.truthy(result.err.message:find("set_aside", 1, true))
      assert(m:verify { set_aside = true })
      assert.equal("downloaded", sync().status)
      assert.equal(1, assert(m:verify()).ok)
      assert.equal("PK", helpers.read_file(path .. ".zip.damaged"))
    end)

    it("takes a JSON whose ZIP is gone, or that was torn, for nothing",
      function()
        for _, json in ipairs { false, "", "\0\0\0" } do
          assert(os.remove(path .. ".zip"))
          if json then helpers.write_file(path .. ".json", json) end
          assert.equal("downloaded", sync().status)
          assert.same({ entry.version_id }, mirrors.versions((m:list())))
        end
      end)

    it("finds what lies elsewhere in the mirror", function()
      assert(os.rename(dir .. "/app/" .. app, dir .. "/app/renamed"))
      assert.is_nil(sync().status)
    end)
  end)

  it("removes drafts of its JSON files, and nobody else's", function()
    local path = mirrors.put(dir, { id = "a1", at = now, version = "v1" })
    local alone = dir .. "/app/a1/alone"
    local foreign = dir .. "/app/a1/foreign"
    helpers.write_file(alone .. ".json.new",
      helpers.read_file(path .. ".json"))
    helpers.write_file(foreign .. ".json.new", "{}")
    helpers.write_file(foreign .. "2.json.new", "")
    for _, draft in ipairs { "", helpers.read_file(path .. ".json") } do
      helpers.write_file(path .. ".json.new", draft)
      assert(m:sync(client, { apps = { app } }))
      assert.is_nil(lfs.attributes(path .. ".json.new"))
    end
    assert.same({ "foreign.json.new", "foreign2.json.new" },
      table.move(helpers.names(dir .. "/app/a1"), 3, 4, 1, {}))
    assert.equal(4, #helpers.names(dir .. "/app/a1"))
  end)

  it("removes what is left of downloads that can never be finished",
    function()
      local old = mirrors.put(dir, { id = "a1", at = now - 31 * DAY,
        version = "old" })
      local new = mirrors.put(dir, { id = "a1", at = now - 29 * DAY,
        version = "new" })
      for _, path in ipairs { old, new } do
        assert(os.rename(path .. ".zip", path .. ".zip.part"))
        helpers.write_file(path .. ".zip.part.meta", "x")
      end
      local foreign = dir .. "/app/a1/foreign"
      helpers.write_file(foreign .. ".json", "{}")
      helpers.write_file(foreign .. ".zip.part", "x")
      add(1)
      assert(m:sync(client, { apps = { app } }))
      local left = helpers.names(dir .. "/app/a1")
      assert.same({ "a1_" .. os.date("!%Y%m%dT%H%M%SZ", now - 29 * DAY)
        .. "_new.json" }, { left[1] })
      assert.equal(5, #left)
      assert.truthy(lfs.attributes(new .. ".zip.part"))
      assert.truthy(lfs.attributes(foreign .. ".zip.part"))
    end)

  it("leaves what is left of a download that is listed, whatever the clock "
    .. "says", function()
      add(2)
      add(1)
      local part = mirrors.put(dir, { id = app, at = now - 2 * DAY,
        version = "version-02" })
      assert(os.rename(part .. ".zip", part .. ".zip.part"))
      local results = assert(m:sync(client, { apps = { app },
        policy = { keep_last = 1 }, now = now + 40 * DAY }))
      assert.same({ "version-01" }, mirrors.versions(results))
      assert.truthy(lfs.attributes(part .. ".zip.part"))
      assert.truthy(lfs.attributes(part .. ".json"))
    end)
end)
