-- squaresnap list: what is asked for, filtered, ordered; as a table and as
-- JSON.

local command = require "spec.support.command"
local server = require "spec.support.server"

local DAY = 86400

local function words_of(line)
  local words = {}
  for word in line:gmatch "%S+" do words[#words + 1] = word end
  return words
end

-- The table's lines as arrays of words, without the heading.
local function rows_of(text)
  local rows = {}
  for line in text:gmatch "[^\n]+" do rows[#rows + 1] = words_of(line) end
  table.remove(rows, 1)
  return rows
end

local function versions_of(result)
  local versions = {}
  for i, one in ipairs(result:json()) do versions[i] = one.version_id end
  return versions
end

describe("squaresnap list", function()
  local s, app, other, database, now
  before_each(function()
    s = server.shared()
    app, other, database = s.apps[1], s.apps[2], s.databases[1]
    now = os.time()
  end)

  local function add(resource, version, age, more)
    local spec = { bytes = "PK", version_id = version, modified = now - age }
    for name, value in pairs(resource) do spec[name] = value end
    for name, value in pairs(more or {}) do spec[name] = value end
    return s:add_snapshot(spec)
  end

  local function list(...) return command.run(s, { "list", ... }) end
  local function list_json(...)
    return command.run(s, { "--json", "list", ... })
  end

  it("shows a table: newest first, aligned, sizes and days readable", function()
    add({ app = app }, "v-old", 29 * DAY + 1800, { size = 12900705 })
    add({ app = app }, "v-new", 3600, { size = 999 })
    add({ app = app }, "v-mid", 10 * DAY + 3600, { size = 5 * 2 ^ 30 // 1 })
    local result = list(app)
    assert.equal(0, result.code)
    assert.equal("", result.err)
    local lines = {}
    for line in result.out:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal(4, #lines)
    assert.same({ "CREATED", "LEFT", "SIZE", "TYPE", "ID", "VERSION" },
      words_of(lines[1]))
    for i = 2, 4 do
      assert.equal(lines[1]:find "ID", (lines[i]:find(app, 1, true)))
      assert.equal(lines[1]:find "SIZE" + 3,
        (lines[i]:find "B +app"))
    end
    local rows = rows_of(result.out)
    assert.same({ os.date("!%Y-%m-%d", now - 3600),
      os.date("!%H:%M", now - 3600), "29", "d", "999", "B", "app", app,
      "v-new" }, rows[1])
    assert.same({ "19", "d", "5.0", "GiB" }, { table.unpack(rows[2], 3, 6) })
    assert.same({ "23", "h", "12.3", "MiB" }, { table.unpack(rows[3], 3, 6) })
  end)

  it("shows times in the local zone, in UTC with --utc", function()
    local e = s:add_snapshot { app = app, bytes = "PK", version_id = "v",
      modified = 1719469422.326 }
    assert.equal("v", e.version_id)
    local env = { TZ = "XYZ-5:30" }
    local here = command.run(s, { "list", app }, { env = env })
    assert.matches("\n2024%-06%-27 11:53 ", here.out)
    local utc = command.run(s, { "--utc", "list", app }, { env = env })
    assert.matches("\n2024%-06%-27 06:23 +past ", utc.out)
  end)

  it("gives JSON: the record's fields, integers as integers", function()
    add({ app = app }, "v1", 100.5, { size = 12900705 })
    local result = list_json(app)
    assert.equal(0, result.code)
    local entry = result:json()[1]
    assert.equal(1, #result:json())
    assert.matches('"bytes":12900705,', result.out, 1, true)
    assert.equal("12900705", entry.size)
    assert.equal("v1", entry.version_id)
    assert.equal(app, entry.id)
    assert.equal(app, entry.name)
    assert.equal("app", entry.application_type)
    assert.equal(entry.created_at, entry.modified)
    assert.matches("^%d+%-%d%d%-%d%dT[%d:.]+Z$", entry.expires_at)
    assert.equal(now - 100.5, entry.timestamp)
    assert.is_nil(entry.url)
    assert.is_nil(entry.key)
    assert.is_nil(result.out:find("Signature", 1, true))
  end)

  it("gives sizes that a double cannot hold", function()
    s:listing(app, '{"status":"success","response":[{"name":"a",'
      .. '"size":"9007199254740993","modified":"2024-06-27T06:23:42Z",'
      .. '"key":"versionId=v"}]}')
    assert.matches('"bytes":9007199254740993,', list_json(app).out, 1, true)
  end)

  it("gives an empty list as [], and says so to a person", function()
    assert.equal("[]\n", list_json(app).out)
    assert.equal("[]\n", list_json().out)
    local result = list(app)
    assert.equal("", result.out)
    assert.equal("no snapshots\n", result.err)
    assert.equal(0, result.code)
    assert.equal("", command.run(s, { "-q", "list", app }).err)
  end)

  it("shows addresses only when asked", function()
    local entry = add({ app = app }, "v1", 5)
    assert.is_nil(list(app).out:find("http", 1, true))
    assert.is_truthy(list(app, "--show-urls").out
      :find(entry.http_url:gsub("Expires.*", ""), 1, true))
    local shown = list_json(app, "--show-urls"):json()[1]
    assert.matches("^AWSAccessKeyId=.*versionId=v1$", shown.key)
    assert.equal(shown.url:match "%?(.*)$", shown.key)
  end)

  it("takes several ids, and orders them together", function()
    add({ app = app }, "a1", 300)
    add({ app = other }, "b1", 200)
    add({ app = app }, "a2", 100)
    assert.same({ "a2", "b1", "a1" }, versions_of(list_json(app, other)))
  end)

  it("lists the whole account, or its databases", function()
    add({ app = app }, "a", 300)
    add({ database = database }, "d", 200)
    assert.same({ "d", "a" }, versions_of(list_json()))
    for _, flag in ipairs { "--databases", "--database" } do
      assert.same({ "d" }, versions_of(list_json(flag)))
      assert.same({ "d" }, versions_of(list_json(database, flag)))
    end
    local paths = {}
    for i, one in ipairs(s:requests()) do paths[i] = one.uri end
    assert.same({ "/v2/users/snapshots?scope=applications",
      "/v2/users/snapshots?scope=databases",
      "/v2/users/snapshots?scope=databases",
      "/v2/users/me", "/v2/databases/" .. database .. "/snapshots",
      "/v2/users/snapshots?scope=databases",
      "/v2/users/me", "/v2/databases/" .. database .. "/snapshots" }, paths)
  end)

  it("makes addresses with the account that it is told", function()
    add({ app = app }, "a", 100)
    local result = command.run(s, { "--json", "--account-id", "0a1b", "list",
      app, "--show-urls" })
    assert.matches("/applications/0a1b/", result:json()[1].url, 1, true)
    assert.equal(0, #s:requests { path = "/v2/users" })
    assert.equal(2, command.run(s, { "--account-id=..", "list" }).code)
  end)

  it("shows a database's id as the other commands take it", function()
    add({ database = database }, "d", 200)
    local row = rows_of(list().out)[1]
    assert.same({ "database", database, "d" }, { table.unpack(row, 7, 9) })
    assert.equal(database .. "_postgres", list_json():json()[1].id)
  end)

  describe("filters", function()
    before_each(function()
      for _, days in ipairs { 1, 8, 20, 28, 29 } do
        add({ app = app }, "v" .. days, days * DAY - 60)
      end
    end)

    local function date(days, format)
      return os.date("!" .. format, now - days * DAY)
    end

    it("the newest", function()
      assert.same({ "v1", "v8" }, versions_of(list_json("--newest", "2")))
      assert.same({ "v1", "v8" }, versions_of(list_json(app, "--newest=2")))
      assert.equal(5, #list_json("--newest", "99"):json())
    end)

    it("since a time, as the command shows it, in ISO, or how long ago",
      function()
        for _, since in ipairs { "9d", date(9, "%Y-%m-%d"),
          date(9, "%Y-%m-%d %H:%M"), date(9, "%Y-%m-%dT%H:%M"),
          date(9, "%Y-%m-%dT%H:%M:%SZ"), date(9, "%Y-%m-%dT%H:%M:%S+00:00")
        } do
          assert.same({ "v1", "v8" }, versions_of(list_json("--since", since)),
            since)
        end
        assert.same({}, versions_of(list_json("--since", "0h")))
      end)

    it("since a date in the zone that the command shows", function()
      local e = s:add_snapshot { app = other, bytes = "PK", version_id = "v",
        modified = 1719430200 } -- 2024-06-26T19:30Z
      assert.equal("v", e.version_id)
      local env = { TZ = "XYZ-5:30" }
      local words = { "--json", "list", other, "--since", "2024-06-27" }
      assert.same({ "v" }, versions_of(command.run(s, words, { env = env })))
      table.insert(words, "--utc")
      assert.same({}, versions_of(command.run(s, words, { env = env })))
    end)

    it("what the platform drops soon", function()
      assert.same({ "v28", "v29" },
        versions_of(list_json("--expires-within", "3")))
      assert.same({ "v29" }, versions_of(list_json("--expires-within", "1.5")))
      assert.same({ "v28" }, versions_of(list_json("--expires-within", "3",
        "--newest", "1")))
    end)
  end)

  it("tells what failed and shows the rest: exit code 3", function()
    add({ app = app }, "a", 5)
    local result = list(app, "nobody")
    assert.equal(3, result.code)
    assert.equal(1, #rows_of(result.out))
    assert.matches("nobody: not_found", result.err)
    local both = list("nobody", "nothing")
    assert.equal(5, both.code)
    assert.equal("", both.out)
  end)

  it("says what to do on a plan without the whole list", function()
    s:configure { plan = "free" }
    local result = list()
    assert.equal(4, result.code)
    assert.matches("name the applications", result.err)
  end)

  it("marks what goes soon, on a terminal with colours", function()
    add({ app = app }, "old", 29 * DAY)
    add({ app = app }, "new", 5)
    local shown = command.terminal(s, { "list", app },
      { columns = 200 }).wait().out
    assert.matches("^\27%[1mCREATED.*VERSION\27%[0m\r\n", shown)
    assert.matches("\27%[33m[^\n]* old\27%[0m\r\n", shown)
    assert.is_nil(shown:find "\27%[%d+m[^\n]* new")
    for _, plain in ipairs { { env = { NO_COLOR = "1" } },
      { env = { TERM = "dumb" } }, { flag = "--no-color" } } do
      local process = command.terminal(s, { plain.flag or "-q", "list", app },
        { env = plain.env })
      assert.is_nil(process.wait().out:find("\27[", 1, true))
    end
    assert.is_nil(list(app).out:find("\27", 1, true))
  end)

  it("escapes what comes from outside", function()
    s:listing(app, '{"status":"success","response":[{"name":"a",'
      .. '"size":1,"modified":"2024-06-27T06:23:42Z",'
      .. '"key":"versionId=v%e2%80%aer"}]}')
    local text = list(app).out
    assert.is_nil(text:find("\u{202e}", 1, true))
    assert.is_truthy(text:find("v\\xe2\\x80\\xaer", 1, true))
    assert.equal("v\u{202e}r", list_json(app):json()[1].version_id)
  end)
end)
