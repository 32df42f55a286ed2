--- The test server itself, driven with the command `curl`: that its routes
-- answer as the platform does, and that each fault is what it says it is.

local cjson = require "cjson"
local lfs = require "lfs"
local socket = require "socket"
local curl_command = require "spec.support.curl"
local fault_cases = require "spec.support.fault_cases"
local helpers = require "spec.support.helpers"
local quote = require("spec.support.quote").shell
local server = require "spec.support.server"

local read, shell = curl_command.read, curl_command.shell

describe("the test server", function()
  local s, work, archive, app, store_path

  setup(function()
    s = server.start()
    work = os.tmpname()
    os.remove(work)
    assert(lfs.mkdir(work))
    archive = work .. "/one.zip"
    assert.equal(0, (shell(("cd %s && zip -q %s a.txt"):format(
      quote(s:app_dir(s.apps[3])), quote(archive)))))
  end)

  teardown(function()
    s:stop()
    os.execute("rm -rf " .. quote(work))
  end)

  before_each(function()
    s:reset()
    app = s.apps[1]
  end)

  local function curl(url, ...)
    return curl_command.run(s.ca_file, work, url, ...)
  end

  --- A call of the API over plain HTTP (`over`: another base) with the key.
  local function api(method, path, over, ...)
    local seen = curl((over or s.http_base_url) .. path, "-X", method,
      "-H", "Authorization: " .. s.key, ...)
    local ok, json = pcall(cjson.decode, seen.body)
    seen.json = ok and json or nil
    return seen
  end

  local function code_of(seen)
    return seen.status, seen.json and seen.json.code
  end

  local function create(kind, id)
    return api("POST", ("/%s/%s/snapshots"):format(kind, id)).json.response
  end

  local function restore(kind, id, body)
    return api("POST", ("/%s/%s/snapshots/restore"):format(kind, id), nil,
      "-d", body)
  end

  local function restore_body(id, version)
    return cjson.encode { snapshotId = id, versionId = version }
  end

  local function list(path)
    return api("GET", path or ("/apps/" .. app .. "/snapshots")).json.response
  end

  -- Addresses are signed anew at each listing; the version stays.
  local function version_of(entry)
    return entry.key:match("versionId=(.*)$") or "none"
  end

  describe("answers the API:", function()
    it("says who I am, over each protocol", function()
      for _, base in ipairs { s.base_url, s.http_base_url, s.https1 .. "/v2" }
      do
        local me = api("GET", "/users/me", base).json.response
        assert.equal(s.account_id, me.user.id)
        assert.equal(3, #me.applications)
        assert.equal(2, #me.databases)
      end
      assert.equal("2", api("GET", "/users/me", s.base_url).version)
      assert.equal("1.1", api("GET", "/users/me", s.base_url, "--http1.1")
        .version)
      assert.equal("1.1", api("GET", "/users/me", s.https1 .. "/v2").version)
    end)

    it("refuses another key and none", function()
      local seen = curl(s.http_base_url .. "/users/me", "-H",
        "Authorization: Bearer " .. s.key)
      assert.equal(401, seen.status)
      assert.equal("ACCESS_DENIED", cjson.decode(seen.body).code)
      assert.equal(401, curl(s.http_base_url .. "/users/me").status)
    end)

    it("creates a real ZIP that is listed and can be fetched", function()
      local made = create("apps", app)
      local path = work .. "/made.zip"
      os.execute(("cp %s %s"):format(quote(work .. "/body"), quote(path)))
      local seen = curl(made.url)
      assert.equal(200, seen.status)
      assert.equal("bytes", seen.headers["accept-ranges"])
      os.rename(work .. "/body", path)
      assert.equal(0, (shell("unzip -tqq " .. quote(path))))
      local _, names = shell("unzip -Z1 " .. quote(path))
      for _, name in ipairs { "main.lua", "logs/", "data/avatar.bin",
        "data/deep/er/still/note.txt", "configuração/maçã 🍎.txt" } do
        assert.truthy(("\n" .. names):find("\n" .. name .. "\n", 1, true), name)
      end
      local listed = list()
      assert.equal(1, #listed)
      assert.equal(app, listed[1].name)
      assert.equal(#seen.body, listed[1].size)
      assert.equal("none", version_of(made))
      assert.truthy(listed[1].key:find("versionId=", 1, true))
      assert.truthy(listed[1].modified:find(
        "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$"))
    end)

    it("lists newest first, per application, database and account", function()
      s:configure { created_version = true }
      local first, second = create("apps", app), create("apps", app)
      create("apps", s.apps[2])
      local database = create("databases", s.databases[1])
      assert.same({ version_of(second), version_of(first) },
        { version_of(list()[1]), version_of(list()[2]) })
      assert.equal(3, #list "/users/snapshots")
      assert.equal(3, #list "/users/snapshots?scope=applications")
      local databases = list "/users/snapshots?scope=databases"
      assert.equal(version_of(database), version_of(databases[1]))
      assert.equal(s.databases[1] .. "_postgres", databases[1].name)
      assert.equal(0, #list("/apps/" .. s.apps[3] .. "/snapshots"))
      assert.same({ 400, "INVALID_SCOPE" },
        { code_of(api("GET", "/users/snapshots?scope=x")) })
    end)

    it("makes no snapshot when zip fails, and says so", function()
      assert(lfs.rmdir(s.dir .. "/store"))
      local seen = api("POST", "/apps/" .. app .. "/snapshots")
      assert.same({ 500, "SNAPSHOT_FAILED", "zip failed, see error.log" },
        { seen.status, seen.json.code, seen.json.message })
      assert.matches("zip I/O error", read(s.dir .. "/error.log"))
      assert.same({}, list())
    end)

    it("restores: the folder is as it was", function()
      local dir = s:app_dir(app)
      local version = s:make_snapshot({ app = app }).version_id
      local before = read(dir .. "/data/avatar.bin")
      os.remove(dir .. "/data/avatar.bin")
      local file = assert(io.open(dir .. "/new.txt", "w"))
      file:close()
      local seen = restore("apps", app, restore_body(app, version))
      assert.equal('{"status":"success"}', seen.body)
      assert.equal(before, read(dir .. "/data/avatar.bin"))
      assert.is_nil(read(dir .. "/new.txt"))
      assert.equal("directory", lfs.attributes(dir .. "/logs", "mode"))
    end)

    it("restores a database under both names, into any of its engine",
      function()
        local id, other = s.databases[1], ("d"):rep(32)
        s:add_database { id = other, type = "postgres" }
        local body
        for _, name in ipairs { id, id .. "_postgres" } do
          body = restore_body(name, version_of(s:add_snapshot {
            database = id, path = archive }))
          assert.equal(200, restore("databases", id, body).status)
        end
        assert.equal(200, restore("databases", other, body).status)
        assert.equal("a\n", read(s:database_dir(other) .. "/a.txt"))
        assert.same({ 400, "SNAPSHOT_DATABASE_MISMATCH" },
          { code_of(restore("databases", s.databases[2], body)) })
      end)

    it("creates a database, shows and deletes it", function()
      local made = api("POST", "/databases", nil, "-d", cjson.encode {
        name = "mine", memory = 512, type = "mongo", version = "7" })
        .json.response
      assert.truthy(made.connection_url:find(made.password, 1, true))
      local seen = api("GET", "/databases/" .. made.id)
      assert.is_nil(seen.body:find(made.password, 1, true))
      local one = seen.json.response
      assert.same({ "mine", 512, "mongo", s.account_id },
        { one.name, one.ram, one.type, one.owner })
      assert.is_true(api("GET", "/databases/" .. made.id .. "/status")
        .json.response.running)
      assert.equal(200, api("DELETE", "/databases/" .. made.id).status)
      assert.same({ 404, "DATABASE_NOT_FOUND" },
        { code_of(api("GET", "/databases/" .. made.id)) })
      assert.same({ 400, "MISSING_PARAMETERS" },
        { code_of(api("POST", "/databases", nil, "-d", '{"name":"x"}')) })
    end)

    it("stops, starts and restarts", function()
      s:configure { boot_ms = 60000 }
      local function status()
        local one = api("GET", "/apps/" .. app .. "/status").json.response
        assert.equal(one.status == "running", one.running)
        local brief = api("GET", "/apps/status").json.response[1]
        assert.same({ app, one.running, one.running },
          { brief.id, brief.running, brief.cpu ~= nil })
        return one.status
      end
      assert.equal("running", status())
      for _, case in ipairs { { "start", "running" }, { "stop", "exited" },
        { "start", "starting" }, { "restart", "restarting" } } do
        local seen = api("POST", ("/apps/%s/%s"):format(app, case[1]))
        assert.equal('{"status":"success"}', seen.body)
        assert.equal(case[2], status())
      end
      s:configure { boot_ms = s.null }
      s:act({ app = app }, "restart")
      assert.equal("running", status())
    end)

    it("commits a ZIP and a plain file, and keeps what is there", function()
      local dir = s:app_dir(app)
      local function commit(file, query)
        return api("POST", ("/apps/%s/commit%s"):format(app, query or ""), nil,
          "-F", "file=" .. file)
      end
      assert.equal('{"status":"success"}', commit("@" .. archive).body)
      assert.equal("a\n", read(dir .. "/a.txt"))
      assert.equal(30000, #read(dir .. "/data/avatar.bin"))
      assert.equal(200, commit("@" .. archive .. ";filename=x.txt",
        "?path=new/one").status)
      assert.equal(read(archive), read(dir .. "/new/one/x.txt"))
      for file, code in pairs {
        ["text;filename=x.zip"] = "INVALID_FILE",
        ["text;filename=a/b"] = "INVALID_FILENAME",
        text = "INVALID_FILENAME" } do
        assert.same({ 400, code }, { code_of(commit(file)) })
      end
      assert.same({ 400, "INVALID_PATH" },
        { code_of(commit("@" .. archive, "?path=a/../..")) })
      s:configure { limits = { commit_ms = 60000 } }
      assert.same({ 429, "KEEP_CALM" }, { code_of(commit("@" .. archive)) })
      s:configure { upload_limit = #read(archive) - 1, limits = {} }
      assert.same({ 413, "PAYLOAD_TOO_LARGE" },
        { code_of(commit("@" .. archive)) })
    end)

    it("knows workspaces: the applications are their owner's", function()
      s:add_workspace { name = "ours", owner = "0a" .. s.account_id,
        group = "view", applications = { { id = "theirs", ram = 512 } } }
      local one = api("GET", "/workspaces").json.response[1]
      assert.same({ "ours", "0a" .. s.account_id, "theirs", "view" },
        { one.name, one.owner, one.applications[1].id, one.members[2].group })
      local made = create("apps", "theirs")
      assert.truthy(made.url:find("/applications/0a" .. s.account_id
        .. "/theirs.zip?", 1, true))
      assert.equal(200, curl(made.url).status)
      local listed = list "/apps/theirs/snapshots"
      local function get(account)
        return curl(("%s/applications/%s/theirs.zip?%s"):format(s.http,
          account, listed[1].key)).status
      end
      assert.same({ 200, 403 }, { get("0a" .. s.account_id),
        get(s.account_id) })
      assert.equal(3, #api("GET", "/users/me").json.response.applications)
      assert.same({}, list "/users/snapshots")
    end)

    it("refuses what is not there or not right", function()
      local id = ("0"):rep(32)
      local cases = {
        { api("POST", "/apps/" .. id .. "/snapshots"), 404, "APP_NOT_FOUND" },
        { api("GET", "/databases/" .. id .. "/snapshots"), 404,
          "DATABASE_NOT_FOUND" },
        { api("GET", "/apps/a%2Fb/snapshots"), 400, "INVALID_ID" },
        { restore("apps", app, restore_body(app, "none")), 404,
          "SNAPSHOT_NOT_FOUND" },
        { restore("apps", app, "{"), 400, "INVALID_JSON_BODY" },
        { restore("apps", app, "{}"), 400, "MISSING_PARAMETERS" },
        { restore("apps", app, '{"snapshotId":1,"versionId":"a"}'), 400,
          "INVALID_SNAPSHOT_ID" },
        { restore("apps", app, '{"snapshotId":"1","versionId":2}'), 400,
          "INVALID_VERSION_ID" },
        { api("GET", "/nothing"), 404, "NOT_FOUND" },
      }
      for _, case in ipairs(cases) do
        assert.same({ case[2], case[3] }, { code_of(case[1]) })
      end
    end)

    it("takes an upload, gives its status, deletes it", function()
      local path = work .. "/app.zip"
      os.remove(path)
      assert.equal(0, (shell(("cd %s && zip -qr %s ."):format(
        quote(s:app_dir(app)), quote(path)))))
      local made = api("POST", "/apps", nil, "-F",
        "file=@" .. path .. ";type=application/zip").json.response
      assert.same({ "melody-bot", "lua" }, { made.name, made.language.name })
      assert.equal('print "hello"\n', read(s:app_dir(made.id) .. "/main.lua"))
      assert.is_true(api("GET", "/apps/" .. made.id .. "/status")
        .json.response.running)
      assert.equal(200, api("DELETE", "/apps/" .. made.id).status)
      assert.equal(404, api("GET", "/apps/" .. made.id .. "/status").status)
      assert.same({ 400, "INVALID_FILE" }, { code_of(api("POST", "/apps", nil,
        "-F", "file=not a zip")) })
    end)
  end)

  describe("as configured:", function()
    it("asks for calm, with Retry-After and without", function()
      s:configure { limits = { create_account_ms = 60000 } }
      local began = socket.gettime()
      create("apps", app)
      local seen = api("POST", "/apps/" .. s.apps[2] .. "/snapshots")
      assert.same({ 429, "KEEP_CALM" }, { code_of(seen) })
      assert.is_nil(seen.headers["retry-after"])
      s:configure { limits = { create_account_ms = 60000, retry_after = true } }
      seen = api("POST", "/apps/" .. s.apps[2] .. "/snapshots")
      local left = tonumber(seen.headers["retry-after"])
      assert.is_true(left <= 60 and left >= 60 - (socket.gettime() - began))
      s:configure { limits = { create_resource_ms = 60000 } }
      assert.equal(200, api("POST", "/apps/" .. s.apps[2] .. "/snapshots")
        .status)
      assert.equal(429, api("POST", "/apps/" .. app .. "/snapshots").status)
    end)

    it("sets a daily limit, a rate of requests and a plan", function()
      s:configure { limits = { daily = 1 }, plan = "free" }
      create("apps", app)
      assert.same({ 429, "DAILY_SNAPSHOTS_LIMIT_REACHED" },
        { code_of(api("POST", "/apps/" .. app .. "/snapshots")) })
      assert.same({ 402, "UPGRADE_REQUIRED" },
        { code_of(api("GET", "/users/snapshots")) })
      s:configure { limits = { requests = 1, requests_code = "RATE_LIMIT" } }
      assert.same({ 429, "RATE_LIMIT" }, { code_of(api("GET", "/users/me")) })
    end)

    it("creates in the background", function()
      s:configure { processing_ms = 3000 }
      local seen = api("POST", "/apps/" .. app .. "/snapshots")
      assert.same({ 202, '{"status":"error","code":"SNAPSHOT_PROCESSING"}' },
        { seen.status, seen.body })
      assert.equal(0, #list())
      local deadline = socket.gettime() + 30
      repeat until #list() == 1 or socket.gettime() > deadline
      assert.equal(1, #list())
    end)

    it("refuses another restore while one settles, and shows it in nothing "
      .. "else", function()
      s:configure { restore_ms = 60000 }
      local body = restore_body(app,
        s:make_snapshot({ app = app }).version_id)
      assert.equal(200, restore("apps", app, body).status)
      assert.same({ 409, "RESTORE_IN_PROGRESS" },
        { code_of(restore("apps", app, body)) })
      assert.equal("running", api("GET", "/apps/" .. app .. "/status")
        .json.response.status)
      s:begin_restore({ app = app }, 0)
      assert.equal(200, restore("apps", app, body).status)
    end)

    it("keeps a listing as it was, or answers one with a given text", function()
      s:configure { listing_cache_ms = 60000 }
      assert.equal(0, #list())
      create("apps", app)
      assert.equal(0, #list())
      s:configure { cache_cleared = true }
      create("apps", app)
      assert.equal(2, #list())
      s:configure { listing_cache_ms = s.null, cache_cleared = s.null }
      s:remove_snapshots { app = app }
      create("apps", app)
      assert.equal(1, #list())
      s:listing(app, "not { json", 203)
      local seen = api("GET", "/apps/" .. app .. "/snapshots")
      assert.same({ "not { json", 203 }, { seen.body, seen.status })
      s:listing(app)
      assert.equal(1, #list())
      assert.equal(5000, #list "/apps/listing-5000/snapshots")
    end)
  end)

  describe("stores:", function()
    before_each(function()
      store_path = "/applications/" .. s.account_id .. "/" .. app .. ".zip"
    end)

    local function error_of(seen)
      return { seen.status, seen.body:match("<Code>(.-)</Code>") }
    end

    it("serves only what is signed", function()
      local made = s:add_snapshot { app = app, bytes = "the bytes" }
      assert.equal("the bytes", curl(made.http_url).body)
      assert.equal("the bytes", curl(made.url).body)
      assert.same({ 403, "AccessDenied" }, error_of(curl(s.http .. store_path)))
      assert.same({ 403, "SignatureDoesNotMatch" }, error_of(curl(
        (made.http_url:gsub("Signature=...", "Signature=AAA")))))
      assert.same({ 403, "SignatureDoesNotMatch" },
        error_of(curl((made.http_url:gsub("versionId=.", "versionId=~")))))
      assert.same({ 403, "SignatureDoesNotMatch" },
        error_of(curl(made.http_url, "-H", "Content-Type: text/plain")))
      assert.same({ 403, "SignatureDoesNotMatch" },
        error_of(curl(made.http_url, "-H", "x-amz-date: now")))
      assert.equal(403, curl(made.http_url, "-I").status)
      assert.same({ 400, "InvalidArgument" },
        error_of(curl(made.http_url, "-H", "Authorization: " .. s.key)))
    end)

    it("closes an address past its time", function()
      local made = s:add_snapshot { app = app, bytes = "x", expires = 1000 }
      local seen = curl(made.http_url)
      assert.same({ 403, "AccessDenied" }, error_of(seen))
      assert.truthy(seen.body:find("Request has expired", 1, true))
    end)

    it("serves ranges, If-Range, If-Match, If-None-Match", function()
      local made = s:add_snapshot { app = app, bytes = "0123456789" }
      local function get(...)
        local seen = curl(made.http_url, ...)
        return { seen.status, seen.body }
      end
      assert.same({ 206, "234" }, get("-r", "2-4"))
      assert.same({ 206, "89" }, get("-r", "-2"))
      assert.same({ 206, "56789" },
        get("-r", "5-", "-H", "If-Range: " .. made.etag))
      assert.same({ 200, "0123456789" },
        get("-r", "5-", "-H", 'If-Range: "other"'))
      assert.equal(416, get("-r", "10-")[1])
      assert.equal(200, get("-H", "If-Match: " .. made.etag)[1])
      assert.equal(412, get("-H", 'If-Match: "other"')[1])
      assert.equal(304, get("-H", "If-None-Match: " .. made.etag)[1])
      local seen = curl(made.http_url, "-r", "0-0")
      assert.equal(made.etag, seen.headers.etag)
      assert.equal("bytes 0-0/10", seen.headers["content-range"])
    end)

    it("keeps versions apart, and takes metadata as given", function()
      local old = s:add_snapshot { app = app, bytes = "old",
        modified = 1700000000.125, version_id = "v-old", size = 7 }
      local new = s:add_snapshot { app = app, bytes = "new",
        modified = 1710000000, version_id = "v-new" }
      local plain = s:add_snapshot { app = app, bytes = "plain",
        modified = 1720000000, version_id = false }
      assert.is_nil(plain.key:find("versionId", 1, true))
      local listed = list()
      assert.same({ "none", "v-new", "v-old" }, { version_of(listed[1]),
        version_of(listed[2]), version_of(listed[3]) })
      assert.equal("2023-11-14T22:13:20.125Z", listed[3].modified)
      assert.equal(7, listed[3].size)
      assert.equal("old", curl(old.http_url).body)
      assert.equal("new", curl(new.http_url).body)
      assert.equal("plain", curl(plain.http_url).body)
      s:remove_snapshots { app = app }
      assert.same({ 404, "NoSuchKey" }, error_of(curl(plain.http_url)))
    end)

    it("serves plain files, small, sparse and random", function()
      local url = s:put_file("a b.bin", "hello")
      local first = curl(url).headers.etag
      assert.equal("ell", curl(url, "-r", "1-3").body)
      s:put_file("a b.bin", "jello")
      assert.not_equal(first, curl(url).headers.etag)
      url = s:put_file("big", { size = 5000000 })
      assert.equal("5000000", curl(url).headers["content-length"])
      url = s:put_file("random", { size = 100000, random = true })
      assert.equal(100000, #curl(url).body)
      s:configure { limit_rate = 50000 }
      assert.is_true(curl(url).seconds > 0.8)
    end)
  end)

  it("echoes a request", function()
    local seen = cjson.decode(curl(s.http .. "/echo/%41?q=1", "-d", "body",
      "-H", "X-Some: thing").body)
    assert.same({ "POST", "/echo/%41?q=1", "body", "thing" },
      { seen.method, seen.uri, seen.body, seen.headers["x-some"] })
  end)

  it("serves applications that a spec adds, whatever their id", function()
    s:add_app { id = "ação/1", files = { ["x/y.txt"] = "y", ["e/"] = true } }
    assert.equal("y", read(s:app_dir("ação/1") .. "/x/y.txt"))
    local seen = api("POST", "/apps/a%C3%A7%C3%A3o%2F1/snapshots")
    assert.equal(200, seen.status)
    assert.equal(200, curl(seen.json.response.url).status)
  end)

  describe("records", function()
    it("each request as it came, its status known at once", function()
      api("POST", "/apps/" .. app .. "/snapshots?a=1%20", nil, "-d", "some")
      curl(s.http .. "/nothing/%2E%2E/x", "--path-as-is", "-H", "X-Two: 1",
        "-H", "X-Two: 2")
      local all = s:requests()
      assert.equal(2, #all)
      assert.same({ "POST", "/v2/apps/" .. app .. "/snapshots?a=1%20", 200,
        "some", s.key }, { all[1].method, all[1].uri, all[1].status,
        all[1].body, all[1].headers.authorization })
      assert.equal("1 ", all[1].args.a)
      assert.same({ "/nothing/%2E%2E/x", 401 }, { all[2].uri, all[2].status })
      assert.same({ "1", "2" }, all[2].headers["x-two"])
      assert.not_equal(all[1].connection, all[2].connection)
      assert.equal(1, #s:requests { method = "POST" })
      assert.equal(1, #s:requests { path = "/nothing" })
      assert.equal(0, #s:requests { status = 404 })
    end)

    it("which connection was used again", function()
      shell(("curl -sS %s/echo %s/echo"):format(s.http, s.http))
      local all = s:requests()
      assert.equal(all[1].connection, all[2].connection)
      assert.equal(2, all[2].connection_requests)
    end)

    it("bodies of several megabytes by their length", function()
      local path = work .. "/large"
      shell(("head -c 3000000 /dev/zero > %s"):format(quote(path)))
      curl(s.http .. "/echo", "--data-binary", "@" .. path)
      local one = s:requests()[1]
      assert.equal(3000000, one.body_bytes)
      assert.equal(1024 * 1024, #one.body)
    end)
  end)

  describe("has addresses that fail:", function()
    it("certificates nobody should trust", function()
      for _, name in ipairs { "self_signed", "expired", "wrong_host" } do
        local seen = curl(s[name] .. "/v2/users/me")
        assert.equal(60, seen.rc, name .. seen.out)
        assert.equal(401, curl(s[name] .. "/v2/users/me", "-k").status)
      end
      assert.equal(35, curl(s.old_tls .. "/v2/users/me").rc)
      assert.equal(60, shell("curl -sS " .. s.https))
    end)

    it("ports that refuse, say nothing, or never accept", function()
      assert.equal(7, curl(s.refused).rc)
      assert.equal(28, curl(s.silent, "-m", "0.3").rc)
      assert.equal(28, curl((s.silent:gsub("^http", "https")),
        "-m", "0.3").rc)
      local seen = curl(s.black_hole, "--connect-timeout", "0.3")
      assert.equal(28, seen.rc)
      assert.is_true(seen.seconds < 5)
    end)
  end)

  describe("meets a request with the fault", function()
    local made

    before_each(function()
      made = s:add_snapshot { app = app, bytes = ("0123456789"):rep(1000) }
    end)

    local function title(case)
      local words = {}
      for name, value in pairs(case[1]) do
        if name ~= "fault" then
          words[#words + 1] = name .. "="
            .. (type(value) == "table" and "…" or tostring(value))
        end
      end
      table.sort(words)
      return ("%s %s(%s%s)"):format(case[1].fault, table.concat(words, " "),
        case[2], case.tls and " over TLS" or "")
    end

    for _, case in ipairs(fault_cases) do
      it(title(case), function()
        s:fault(case[1])
        local seen
        local options = case.options or {}
        if case[2] == "api" then
          seen = api("GET", "/users/me", case.tls and s.base_url,
            table.unpack(options))
        else
          seen = curl(case.tls and made.url or made.http_url,
            table.unpack(options))
        end
        if case.rc then
          assert.equal(helpers.one_of(case.rc, seen.rc), seen.rc, seen.out)
        end
        if case.failed then assert.not_equal(0, seen.rc) end
        if case.status then assert.equal(case.status, seen.status) end
        if case.length then assert.equal(case.length, #seen.body) end
        if case.longer then assert.is_true(#seen.body >= case.longer) end
        if case.slower then assert.is_true(seen.seconds >= case.slower) end
        if case.body then assert.equal(case.body, seen.body) end
        if case.find then
          assert.truthy(seen.body:find(case.find, 1, true))
        end
        for name, value in pairs(case.headers or {}) do
          assert.equal(value, seen.headers[name])
        end
        if case.absent then assert.is_nil(seen.headers[case.absent]) end
        if case.header_find then
          assert.truthy((seen.headers[case.header_find[1]] or "")
            :find(case.header_find[2]))
        end
        assert.equal(case[1].fault, s:requests()[1].faults[1])
        assert.same({}, s:errors())
      end)
    end

    it("drop_kept: only a connection's later requests", function()
      s:fault { fault = "drop_kept" }
      shell(("curl -sS %s/echo %s/echo"):format(s.http, s.http))
      local all = s:requests()
      -- curl asks again on a fresh connection by itself
      assert.same({ 200, 0, 200 },
        { all[1].status, all[2].status, all[3].status })
      assert.equal(all[1].connection, all[2].connection)
      assert.not_equal(all[2].connection, all[3].connection)
    end)

    it("stall, until released", function()
      s:fault { fault = "stall", bytes = 500 }
      local pipe = io.popen(("curl -sS -m 20 %s"):format(quote(made.http_url)))
      s:wait_requests(function(one) return one.stalled end)
      s:release()
      assert.equal(10000, #pipe:read "a")
      assert.is_true((pipe:close()))
    end)

    it("stall, which a reset ends", function()
      s:fault { fault = "stall" }
      local pipe = io.popen(("curl -s -m 20 %s"):format(quote(made.http_url)))
      s:wait_requests(function(one) return one.stalled end)
      s:reset()
      local _, _, rc = pipe:close()
      assert.equal(52, rc)
    end)

    it("reset, with the request's body still unread", function()
      s:fault { fault = "reset", unread = true }
      local path = work .. "/large"
      shell(("head -c 3000000 /dev/zero > %s"):format(quote(path)))
      local rc = api("POST", "/apps", nil, "--data-binary", "@" .. path).rc
      assert.truthy(rc == 55 or rc == 56, rc) -- while sending or receiving
      assert.equal("", s:requests()[1].body)
    end)

    it("after the work of a POST is done, when asked", function()
      s:fault { fault = "reset", work = true, match = { method = "POST" } }
      assert.equal(56, api("POST", "/apps/" .. app .. "/snapshots").rc)
      s:clear_faults()
      assert.equal(2, #list())
      s:fault { fault = "reset", match = { method = "POST" } }
      assert.equal(56, api("POST", "/apps/" .. app .. "/snapshots").rc)
      assert.equal(2, #list())
    end)
  end)

  describe("arms faults", function()
    it("for so many requests, after so many", function()
      s:fault { fault = "respond", status = 500, skip = 1, times = 2 }
      local seen = {}
      for i = 1, 4 do seen[i] = curl(s.http .. "/echo").status end
      assert.same({ 200, 500, 500, 200 }, seen)
    end)

    it("for a method, a path, a pattern, a range", function()
      local url = s:put_file("f", "0123456789")
      s:fault { fault = "respond", status = 501, match = { method = "PUT" } }
      s:fault { fault = "respond", status = 502, match = { path = "/echo/a" } }
      s:fault { fault = "respond", status = 503,
        match = { pattern = "q=%d+$" } }
      s:fault { fault = "respond", status = 504, match = { range = "bytes=5" } }
      s:fault { fault = "respond", status = 505,
        match = { range = true, pattern = "only" } }
      assert.equal(501, curl(s.http .. "/echo", "-X", "PUT").status)
      assert.equal(502, curl(s.http .. "/echo/ab").status)
      assert.equal(503, curl(s.http .. "/echo?q=12").status)
      assert.equal(504, curl(url, "-r", "5-6").status)
      assert.equal(206, curl(url, "-r", "4-6").status)
      assert.equal(505, curl(url .. "?only", "-r", "4-6").status)
      assert.equal(200, curl(url .. "?only").status)
    end)

    it("several at once, in order", function()
      s:fault { fault = "delay", ms = 100, times = 1 }
      s:fault { fault = "headers", set = { ["X-A"] = "1" } }
      s:fault { fault = "body", bytes = 3 }
      local url = s:put_file("f", "0123456789")
      local seen = curl(url)
      assert.same({ "012", "1", "3" }, { seen.body, seen.headers["x-a"],
        seen.headers["content-length"] })
      assert.is_true(seen.seconds >= 0.1)
      assert.same({ "delay", "headers", "body" }, s:requests()[1].faults)
    end)

    it("only of names it knows", function()
      assert.has_error(function() s:fault { fault = "no such" } end)
    end)
  end)

  describe("begins anew at a reset:", function()
    it("files, snapshots, settings, faults, record", function()
      local dir = s:app_dir(app)
      local before = read(dir .. "/main.lua")
      os.execute(("rm -rf %s/data; echo x >%s/main.lua; mkdir %s/more"):format(
        dir, dir, dir))
      s:add_app { id = "another" }
      create("apps", app)
      s:put_file("f", "x")
      s:configure { plan = "free" }
      s:fault { fault = "empty_reply" }
      s:reset()
      assert.equal(before, read(dir .. "/main.lua"))
      assert.equal(30000, #read(dir .. "/data/avatar.bin"))
      assert.is_nil(lfs.attributes(dir .. "/more"))
      assert.equal(0, #s:requests())
      assert.equal(0, #list())
      assert.equal(200, api("GET", "/users/snapshots").status)
      assert.equal(404, curl(s.http .. "/files/f").status)
      assert.equal(404, api("GET", "/apps/another").status)
    end)
  end)

  describe("ends", function()
    local function gone(pid)
      local stat = read(("/proc/%d/stat"):format(pid))
      return not stat or stat:find("^%d+ %b() [ZX]") ~= nil
    end

    it("with stop, leaving no process and no folder", function()
      local other = server.start()
      local pid, dir, url = other.pid, other.dir, other.http
      assert.is_false(gone(pid))
      other:stop()
      other:stop()
      assert.is_true(gone(pid))
      assert.is_nil(lfs.attributes(dir))
      assert.equal(7, curl(url).rc)
      assert.has_error(function() other:reset() end)
    end)

    -- Another process that starts a server, tells its pid and folder, and
    -- then does as told.
    local function child(script)
      local code = ([[package.path = "./?.lua;" .. package.path
        local s = require("spec.support.server").%s
        print(s.pid, s.dir)
        io.stdout:flush()
        %s]]):format(table.unpack(script))
      return io.popen("exec lua5.4 -e " .. quote(code) .. " 2>&1", "r")
    end

    local function expect_end(pid, dir)
      local deadline = socket.gettime() + 10
      while not (gone(pid) and not lfs.attributes(dir)) do
        assert.is_true(socket.gettime() < deadline, "the server lives on")
        socket.sleep(0.01)
      end
    end

    for _, script in ipairs {
      { "start()", "", "its Lua state is closed" },
      { "shared()", "os.exit(0, true)", "its process exits" },
      { "shared()", "os.exit(0, false)", "its process exits in a hurry" },
      { "start()", "os.execute('kill -9 $PPID')", "its process is killed" },
    } do
      it("when " .. script[3], function()
        local pipe = child(script)
        local pid, dir = pipe:read("n", "l")
        pipe:close()
        expect_end(pid, dir:match("%S+"))
      end)
    end
  end)
end)
