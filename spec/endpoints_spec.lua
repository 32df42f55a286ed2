--- The platform's calls, each in its two forms, for applications and for
-- databases, against the test server: what is asked, what comes back, and
-- that it has happened.

local cjson = require("cjson").new()
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"

local s, client

local function open()
  s = server.shared()
  client = helpers.client(s)
end

local function close() client:close() end

-- The only request since the start, or since the last call.
local seen = 0
local function last_request()
  local all = s:requests()
  assert.equal(seen + 1, #all)
  seen = #all
  return all[#all]
end

-- An address without its key, which only a listed one has a version in.
local function unsigned(url)
  return url:match "^[^?]*"
end

local function begin()
  open()
  seen = 0
end

-- Ids that are data everywhere but in a path, and what a path holds of them.
local HARD = {
  ["a/b"] = "a%2Fb", ["../etc"] = "..%2Fetc", ["a?b=c"] = "a%3Fb%3Dc",
  ["a#b"] = "a%23b", ["100%"] = "100%25", ["%2e%2e"] = "%252e%252e",
  ["a b+c"] = "a%20b%2Bc", ["maçã"] = "ma%C3%A7%C3%A3",
  ["🍎"] = "%F0%9F%8D%8E", ["\xff\xfe"] = "%FF%FE", ["..."] = "...",
  ["A-z_0.9~"] = "A-z_0.9~", ["a&b;c=d:e@f"] = "a%26b%3Bc%3Dd%3Ae%40f",
  ["'\"<>\\^`{|}"] = "%27%22%3C%3E%5C%5E%60%7B%7C%7D",
}

-- application_type, its path, ids of the server, handle
local KINDS = {
  { type = "app", path = "/v2/apps/", folder = "applications",
    ids = function() return s.apps end,
    handle = function(id) return client:app(id) end,
    dir = function(id) return s:app_dir(id) end },
  { type = "database", path = "/v2/databases/", folder = "databases",
    ids = function() return s.databases end,
    handle = function(id) return client:database(id) end,
    dir = function(id) return s:database_dir(id) end },
}

for _, kind in ipairs(KINDS) do
  local function options(more)
    local all = { app_id = kind.ids()[1], application_type = kind.type }
    for name, value in pairs(more or {}) do all[name] = value end
    return all
  end

  describe("creating a snapshot of a " .. kind.type, function()
    before_each(begin)
    after_each(close)

    local function check(snapshot)
      local request = last_request()
      assert.equal("POST", request.method)
      assert.equal(kind.path .. kind.ids()[1] .. "/snapshots", request.uri)
      assert.equal(0, request.body_bytes)
      assert.is_nil(request.headers["content-type"])
      assert.equal("squarecloud.Snapshot", getmetatable(snapshot).__name)
      assert.equal(kind.type, snapshot.application_type)
      assert.equal(kind.ids()[1], snapshot.app_id)
      assert.equal(1, snapshot.url:find(s.https .. "/" .. kind.folder, 1, true))
    end

    it("takes an options table", function()
      check(assert(client:snapshot(options())))
    end)

    it("takes a handle's id", function()
      local handle = kind.handle(kind.ids()[1])
      check(assert(handle:snapshot()))
      check(assert(handle:snapshot {}))
    end)

    it("makes a ZIP of what is there", function()
      local dir <close> = helpers.tmpdir()
      local snapshot = assert(client:snapshot(options()))
      local zip <close> = assert(snapshot:download(dir.path))
      local count = 0
      for name in zip:entries() do
        if name:sub(-1) ~= "/" then
          count = count + 1
          assert.equal(
            helpers.read_file(kind.dir(kind.ids()[1]) .. "/" .. name),
            assert(zip:read(name)))
        end
      end
      assert.is_true(count >= 1)
    end)
  end)

  describe("listing a " .. kind.type .. "'s snapshots", function()
    before_each(begin)
    after_each(close)

    local function check(list)
      local request = last_request()
      assert.equal("GET", request.method)
      assert.equal(kind.path .. kind.ids()[1] .. "/snapshots", request.uri)
      assert.equal(2, #list)
      for _, info in ipairs(list) do
        assert.equal("squarecloud.SnapshotInfo", getmetatable(info).__name)
        assert.equal(kind.type, info.application_type)
      end
    end

    it("takes an options table, or a handle's id", function()
      local id = kind.ids()[1]
      for i = 1, 2 do
        s:add_snapshot { [kind.type] = id, bytes = ("x"):rep(i) }
      end
      check(assert(client:all_app_snapshots(options())))
      check(assert(kind.handle(id):all_snapshots()))
      check(assert(kind.handle(id):all_snapshots {}))
    end)

    it("gives an empty list when there are none", function()
      assert.same({}, assert(client:all_app_snapshots(options())))
      assert.same({}, assert(kind.handle(kind.ids()[1]):all_snapshots()))
    end)

    it("keeps the platform's order", function()
      local times = { 1700000300, 1700000100, 1700000400, 1700000200 }
      local entries = {}
      for i, time in ipairs(times) do
        entries[i] = ('{"name":"n%d","size":%d,"modified":"%s","key":"k=%d"}')
          :format(i, i, os.date("!%Y-%m-%dT%H:%M:%SZ", time), i)
      end
      s:listing(kind.ids()[1], '{"status":"success","response":['
        .. table.concat(entries, ",") .. "]}")
      local list = assert(client:all_app_snapshots(options()))
      assert.equal(#times, #list)
      for i, info in ipairs(list) do
        assert.equal("n" .. i, info.id)
        assert.equal(times[i], math.tointeger(info.timestamp))
      end
    end)

    it("gives addresses that are whole and can be downloaded", function()
      local dir <close> = helpers.tmpdir()
      assert(client:snapshot(options()))
      local info = assert(client:all_app_snapshots(options()))[1]
      local count = #s:requests()
      local url = info.url
      assert.equal(count, #s:requests()) -- reading a field asks nothing
      assert.equal(("%s/%s/%s/%s.zip?%s"):format(s.https, kind.folder,
        s.account_id, info.id, info.key), url)
      local first <close> = assert(info:download(dir.path .. "/a"))
      local second <close> = assert(client:download {
        url = url, path = dir.path .. "/b" })
      local third <close> = assert(client:download { url = url,
        path = dir.path, filename = "c.zip" })
      assert.equal(info.bytes, first.bytes)
      for _, zip in ipairs { second, third } do
        assert.equal(helpers.read_file(first.path),
          helpers.read_file(zip.path))
      end
      for _, request in ipairs(s:requests { pattern = "%.zip" }) do
        assert.is_nil(request.headers.authorization)
        assert.equal(url:sub(#s.https + 1), request.uri)
      end
    end)
  end)

  describe("listing all " .. kind.folder .. "' snapshots", function()
    before_each(begin)
    after_each(close)

    it("takes the scope in a table or alone", function()
      local ids = kind.ids()
      for _, one in ipairs { s.apps[1], s.apps[2] } do
        s:add_snapshot { app = one, bytes = "PK" }
      end
      for _, one in ipairs { s.databases[1], s.databases[2] } do
        s:add_snapshot { database = one, bytes = "PK" }
      end
      for _, argument in ipairs { kind.folder, { scope = kind.folder } } do
        local list = assert(client:all_snapshots(argument))
        assert.equal("/v2/users/snapshots?scope=" .. kind.folder,
          last_request().uri)
        assert.equal(2, #list)
        for i, info in ipairs(list) do
          assert.equal(kind.type, info.application_type)
          assert.equal(1, info.id:find(ids[i], 1, true))
          assert.equal(1, info.url:find(s.https .. "/" .. kind.folder .. "/"
            .. s.account_id .. "/" .. ids[i], 1, true))
        end
      end
    end)
  end)

  describe("restoring a " .. kind.type, function()
    local id, file, before, snapshot, version

    before_each(function()
      begin()
      id = kind.ids()[1]
      snapshot = assert(client:snapshot(options()))
      version = assert(client:all_app_snapshots(options()))[1].version_id
      file = kind.dir(id) .. (kind.type == "app" and "/main.lua"
        or "/dump.sql")
      before = helpers.read_file(file)
      helpers.write_file(file, "changed")
      seen = #s:requests()
    end)
    after_each(close)

    local function check(response, err)
      assert(response, tostring(err))
      assert.equal("squarecloud.Response", getmetatable(response).__name)
      assert.equal("success", response.status)
      assert.equal(before, helpers.read_file(file))
    end

    local function check_request(snapshot_id)
      local request = last_request()
      assert.equal("POST", request.method)
      assert.equal(kind.path .. id .. "/snapshots/restore", request.uri)
      assert.equal("application/json", request.headers["content-type"])
      assert.same({ snapshotId = snapshot_id, versionId = version },
        cjson.decode(request.body))
    end

    it("takes an options table", function()
      check(client:restore_snapshot(options { snapshot_id = id,
        version_id = version }))
      check_request(id)
    end)

    it("takes the snapshot just created", function()
      check(client:restore_snapshot(snapshot))
      seen = seen + 1 -- the list tells its version
      check_request(snapshot.id)
    end)

    it("takes a handle's id", function()
      check(kind.handle(id):restore_snapshot { snapshot_id = snapshot.id,
        version_id = version })
      check_request(snapshot.id)
    end)

    for name, list in pairs {
      ["its own list"] = function()
        return client:all_app_snapshots(options())
      end,
      ["the whole account's list"] = function()
        return client:all_snapshots(kind.folder)
      end,
    } do
      it("takes an entry of " .. name, function()
        local info = assert(list())[1]
        seen = #s:requests()
        check(client:restore_snapshot(info))
        check_request(info.id)
        helpers.write_file(file, "changed")
        check(info:restore())
        check_request(info.id)
      end)
    end

    it("does not restore what has no version id", function()
      s:remove_snapshots { [kind.type] = id }
      s:add_snapshot { [kind.type] = id, bytes = "PK", version_id = false }
      local info = assert(client:all_app_snapshots(options()))[1]
      assert.is_nil(info.version_id)
      local count = #s:requests()
      assert.error_matches(function() info:restore() end, "version id")
      assert.error_matches(function() client:restore_snapshot(info) end,
        "version id")
      assert.equal(count, #s:requests())
      assert.equal("changed", helpers.read_file(file))
    end)

    it("takes any snapshot id and version id as they are", function()
      for value in pairs(HARD) do
        if utf8.len(value) then
          local _, err = client:restore_snapshot(options {
            snapshot_id = value, version_id = value .. "v" })
          assert.equal("not_found", err.kind)
          assert.same({ snapshotId = value, versionId = value .. "v" },
            cjson.decode(last_request().body))
        end
      end
    end)
  end)

  describe("a hard id of a " .. kind.type, function()
    before_each(begin)
    after_each(close)

    for id, encoded in pairs(HARD) do
      it(("is one segment of the path: %s"):format(encoded), function()
        local path = kind.path .. encoded .. "/snapshots"
        local arguments = { app_id = id, application_type = kind.type,
          snapshot_id = "a", version_id = "b" }
        assert.is_nil(client:restore_snapshot(arguments))
        assert.equal(path .. "/restore", last_request().uri)
        arguments.snapshot_id, arguments.version_id = nil, nil
        assert.is_nil(client:snapshot(arguments))
        assert.equal(path, last_request().uri)
        assert.is_nil(client:all_app_snapshots(arguments))
        assert.equal(path, last_request().uri)
        assert.is_nil(kind.handle(id):snapshot())
        assert.equal(path, last_request().uri)
      end)

      it(("works when the platform has it: %s"):format(encoded), function()
        if not utf8.len(id) then return end -- not to be said in JSON
        local add = kind.type == "app" and s.add_app or s.add_database
        add(s, { id = id, files = { ["main.lua"] = "x" } })
        local snapshot, err = client:snapshot { app_id = id,
          application_type = kind.type }
        assert(snapshot, tostring(err))
        assert.equal(id, snapshot.app_id)
        assert.equal(id, snapshot.id)
        local info = assert(kind.handle(id):all_snapshots())[1]
        assert.equal(id, info.id)
        assert.equal(unsigned(snapshot.url), unsigned(info.url))
        assert(info:restore())
        local dir <close> = helpers.tmpdir()
        local zip <close> = assert(info:download(dir.path))
        assert.equal("x", assert(zip:read "main.lua"))
      end)
    end

    it("may be thousands of characters long", function()
      for _, id in ipairs { ("a"):rep(5000), ("é/"):rep(1500) } do
        local result, err = client:snapshot { app_id = id,
          application_type = kind.type }
        assert.is_nil(result)
        assert.is_true(err.http_status == 404 or err.http_status == 400)
        assert.is_true(#tostring(err) < 1000)
        local encoded = id:gsub("[^a]", function(c)
          return ("%%%02X"):format(c:byte())
        end)
        assert.is_true(last_request().uri
          == kind.path .. encoded .. "/snapshots")
      end
    end)
  end)
end

describe("the main argument alone", function()
  before_each(begin)
  after_each(close)

  it("is an application's id", function()
    assert.equal("app", assert(client:snapshot(s.apps[2])).application_type)
    assert.equal("/v2/apps/" .. s.apps[2] .. "/snapshots", last_request().uri)
    assert.equal(1, #assert(client:all_app_snapshots(s.apps[2])))
    assert.equal("/v2/apps/" .. s.apps[2] .. "/snapshots", last_request().uri)
  end)

  it("of all_snapshots may be left out: applications", function()
    for _, arguments in ipairs { {}, { {} }, { { scope = "applications" } } } do
      assert.same({}, assert(client:all_snapshots(table.unpack(arguments))))
      assert.equal("/v2/users/snapshots?scope=applications",
        last_request().uri)
    end
  end)
end)

describe("a database's snapshots named with a suffix", function()
  before_each(begin)
  after_each(close)

  it("keep their name, and the database its id", function()
    local id = s.databases[1]
    local snapshot = assert(client:database(id):snapshot())
    assert.equal(id .. "_postgres", snapshot.id)
    assert.equal(id, snapshot.app_id)
    for _, list in ipairs { assert(client:database(id):all_snapshots()),
      assert(client:all_snapshots "databases") } do
      assert.equal(id .. "_postgres", list[1].id)
      assert.equal(unsigned(snapshot.url), unsigned(list[1].url))
    end
  end)

  it("can be restored by either id", function()
    local id = s.databases[1]
    local version = s:make_snapshot({ database = id }).version_id
    for _, snapshot_id in ipairs { id, id .. "_postgres" } do
      assert(client:database(id):restore_snapshot {
        snapshot_id = snapshot_id, version_id = version })
    end
  end)

  it("restore no database of another engine, but any of the same", function()
    s:make_snapshot { database = s.databases[1] }
    local snapshot = assert(client:database(s.databases[1])
      :all_snapshots())[1]
    s:add_database { id = "twin", type = "postgres" }
    assert(client:database "twin":restore_snapshot {
      snapshot_id = snapshot.id, version_id = snapshot.version_id })
    assert.equal(helpers.read_file(s:database_dir(s.databases[1])
      .. "/dump.sql"), helpers.read_file(s:database_dir "twin" .. "/dump.sql"))
    local result, err = client:database(s.databases[2]):restore_snapshot {
      snapshot_id = snapshot.id, version_id = snapshot.version_id }
    assert.is_nil(result)
    assert.equal("bad_request", err.kind)
    assert.equal("SNAPSHOT_DATABASE_MISMATCH", err.code)
  end)
end)

describe("the account", function()
  before_each(begin)
  after_each(close)

  it("comes with its plan, applications and databases", function()
    for _, arguments in ipairs { {}, { {} } } do
      local response = assert(client:account(table.unpack(arguments)))
      local request = last_request()
      assert.same({ "GET", "/v2/users/me", 0 },
        { request.method, request.uri, request.body_bytes })
      assert.equal("success", response.status)
      assert.equal(200, response.http_status)
      assert.equal(s.account_id, response.response.user.id)
      assert.equal(#s.apps, #response.response.applications)
      assert.equal(s.databases[1], response.response.databases[1].id)
    end
  end)

  it("on the free plan may not be listed", function()
    s:configure { plan = "free" }
    for _, scope in ipairs { "applications", "databases" } do
      local list, err = client:all_snapshots(scope)
      assert.is_nil(list)
      assert.equal("permission", err.kind)
      assert.equal("UPGRADE_REQUIRED", err.code)
      assert.equal(402, err.http_status)
      assert.equal("all_snapshots " .. scope, err.operation)
    end
    assert(client:all_app_snapshots(s.apps[1]))
  end)
end)
