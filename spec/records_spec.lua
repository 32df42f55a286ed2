--- Snapshot, SnapshotInfo, Response and the handles of applications and
-- databases as values: their fields, how they are read, printed, compared,
-- and that they keep their client alive.

local cjson = require "cjson"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"

local s, client

local KEY = "AWSAccessKeyId=AK&Expires=1757683751&Signature=VZ%2B03%3D"
local VERSION = "45ec0b49-9af6-445e-a55c-abd7ec5278b2"

local function open()
  s = server.shared()
  client = helpers.client(s)
end

local function close() client:close() end

-- What a list with this one entry (JSON) gives.
local function listed(entry, how)
  s:listing(s.apps[1], '{"status":"success","response":[' .. entry .. "]}")
  return assert((how or client):all_app_snapshots(s.apps[1]))[1]
end

local function entry(changes)
  local all = { name = s.apps[1], size = 12900705,
    modified = "2024-06-27T06:23:42.326Z",
    key = KEY .. "&versionId=" .. VERSION }
  for name, value in pairs(changes or {}) do all[name] = value or nil end
  return (cjson.encode(all):gsub("\\/", "/"))
end

-- What a creation answered with this response gives.
local function created(response, headers)
  s:fault { fault = "respond", times = 1, headers = headers,
    json = { status = "success", response = response } }
  return assert(client:snapshot(s.apps[1]))
end

-- All that a record has, by each of the ways to read it.
local function check_fields(record, fields, lacking)
  for name, value in pairs(fields) do
    assert.same(value, record[name], name)
    assert.equal(math.type(value), math.type(record[name]), name)
  end
  for _, name in ipairs(lacking or {}) do assert.is_nil(record[name], name) end
  assert.same(fields, record:to_table())
  local found = {}
  for name, value in pairs(record) do
    assert.is_nil(found[name])
    found[name] = value
  end
  assert.same(fields, found)
end

local function check_read_only(record, name)
  for _, field in ipairs { name, "unknown", 1, "to_table" } do
    local before = record[field]
    assert.error_matches(function() record[field] = "other" end, "read.only")
    assert.equal(before, record[field])
  end
  record:to_table()[name] = "other"
  assert.not_equal("other", record[name])
end

local function check_unknown(record)
  for _, name in ipairs { "unknown", "URL", "__index", "__gc", "", 1, 1.5,
    true, "Id", "\0" } do
    assert.is_nil(record[name], tostring(name))
  end
end

describe("a Snapshot", function()
  before_each(open)
  after_each(close)

  local function new(key, name)
    key = key or KEY .. "&versionId=" .. VERSION
    return created({ key = key, url = s.https .. "/applications/acc/"
      .. (name or s.apps[1]) .. ".zip?" .. key },
      { Date = "Thu, 27 Jun 2024 06:23:42 GMT" })
  end

  local function fields()
    local key = KEY .. "&versionId=" .. VERSION
    return { key = key, id = s.apps[1], app_id = s.apps[1],
      url = s.https .. "/applications/acc/" .. s.apps[1] .. ".zip?" .. key,
      application_type = "app", version_id = VERSION,
      created_at = "2024-06-27T06:23:42Z" }
  end

  it("has the fields of the contract", function()
    check_fields(new(), fields())
  end)

  it("lacks a version_id that its key lacks", function()
    for _, key in ipairs { KEY, KEY .. "&versionid=x", KEY .. "&xversionId=x",
      "versionIdx=1" } do
      assert.is_nil(new(key).version_id)
    end
  end)

  it("finds the version_id wherever it stands in the key", function()
    for _, key in ipairs { "versionId=abc", "a=b&versionId=abc&c=d",
      "versionId=%61bc", "a&versionId=abc" } do
      assert.equal("abc", new(key).version_id)
    end
  end)

  it("takes a version_id of any length", function()
    for _, length in ipairs { 1, 96, 127, 128, 255, 256, 5000 } do
      assert.is_true(new("versionId=" .. ("v"):rep(length)).version_id
        == ("v"):rep(length), length .. " characters")
    end
  end)

  it("takes an id of any length", function()
    for _, length in ipairs { 255, 1023, 1024, 5000 } do
      assert.is_true(new(nil, ("n"):rep(length)).id == ("n"):rep(length),
        length .. " characters")
    end
  end)

  it("has its id as it is, whatever the address needs", function()
    assert.equal("maçã/1?.zip", new(nil, "ma%C3%A7%C3%A3%2F1%3F.zip").id)
  end)

  it("lacks created_at when the answer has no Date", function()
    client:close()
    client = helpers.client(s, { base_url = s.http_base_url })
    local body = cjson.encode { status = "success",
      response = { url = s.https .. "/a/b.zip?c=d", key = "c=d" } }
    for _, date in ipairs { "", "Date: some day\r\n" } do
      s:fault { fault = "raw", times = 1,
        bytes = ("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s"):format(
          date, #body, body) }
      local snapshot = assert(client:snapshot(s.apps[1]))
      assert.is_nil(snapshot.created_at)
      assert.equal("squarecloud.Snapshot (b, no time)", tostring(snapshot))
    end
  end)

  it("is read-only, and has nothing else", function()
    local snapshot = new()
    check_read_only(snapshot, "url")
    check_unknown(snapshot)
  end)

  it("prints as what it is, without its secrets", function()
    assert.equal(("squarecloud.Snapshot (%s, 2024-06-27T06:23:42Z)"):format(
      s.apps[1]), tostring(new()))
  end)

  it("prints an id with its control characters escaped", function()
    local shown = tostring(new(nil, "a%E2%80%AEb%FF"))
    assert.matches("a\\xe2\\x80\\xaeb\\xff", shown, 1, true)
  end)

  it("is equal to the same version of the same id, by no name", function()
    local a = new()
    assert.is_true(a == new())
    assert.is_true(a == a)
    assert.is_false(a == new(KEY .. "&versionId=other"))
    assert.is_false(a == new(nil, "other"))
    assert.is_false(new(KEY) == new(KEY))
    assert.is_false(a == {})
    assert.is_false(a == io.stdout)
  end)

  it("of a database says so", function()
    local snapshot = assert(client:database(s.databases[1]):snapshot())
    assert.equal("database", snapshot.application_type)
    assert.equal(s.databases[1], snapshot.app_id)
  end)

  it("lacks neither url nor key", function()
    local url = s.https .. "/a/b.zip?c=d"
    for name, response in pairs {
      ["no response"] = "", ["null"] = cjson.null, ["a string"] = "url",
      ["an empty one"] = {}, ["no url"] = { key = "c=d" },
      ["no key"] = { url = url },
      ["a null key"] = { url = url, key = cjson.null },
      ["a null url"] = { url = cjson.null, key = "c=d" },
      ["a number"] = { url = url, key = 5 },
      ["a url over http"] = { url = "http://example.com/b.zip", key = "c=d" },
      ["a url of a file"] = { url = "file:///etc/passwd", key = "c=d" },
      ["a url with a user"] = { url = "https://u:p@h/b.zip", key = "c=d" },
      ["a url with a line break"] = { url = url .. "\r\nX: y", key = "c=d" },
      ["a key with a line break"] = { url = url, key = "c=d\r\nX: y" },
    } do
      s:fault { fault = "respond", times = 1, json = { status = "success",
        response = response ~= "" and response or nil } }
      local snapshot, err = client:snapshot(s.apps[1])
      assert.is_nil(snapshot, name)
      assert.equal("protocol", err.kind, name)
      assert.is_true(err.sent, name)
    end
  end)
end)

describe("a SnapshotInfo", function()
  before_each(open)
  after_each(close)

  local function fields()
    local key = KEY .. "&versionId=" .. VERSION
    return { id = s.apps[1], name = s.apps[1], size = "12900705",
      bytes = 12900705, created_at = "2024-06-27T06:23:42.326Z",
      modified = "2024-06-27T06:23:42.326Z", timestamp = 1719469422.326,
      expires_at = "2024-07-27T06:23:42.326Z", key = key,
      version_id = VERSION, application_type = "app",
      url = ("%s/applications/%s/%s.zip?%s"):format(s.https, s.account_id,
        s.apps[1], key) }
  end

  it("has the fields of the contract", function()
    check_fields(listed(entry()), fields())
  end)

  it("has the same ones from the guide's spelling", function()
    check_fields(listed(entry { name = false, modified = false,
      id = s.apps[1], size = "12900705",
      created_at = "2024-06-27T06:23:42.326Z" }), fields())
    check_fields(listed(entry { name = cjson.null, modified = cjson.null,
      id = s.apps[1], created_at = "2024-06-27T06:23:42.326Z" }), fields())
  end)

  it("lacks a version_id that its key lacks", function()
    local all = fields()
    all.version_id, all.key = nil, KEY
    all.url = all.url:gsub("&versionId=.*$", "")
    check_fields(listed(entry { key = KEY }), all, { "version_id" })
    assert.is_nil(listed(entry { key = KEY .. "&versionId=" }).version_id)
  end)

  it("takes a version_id of any length", function()
    for _, length in ipairs { 1, 96, 255, 256, 5000 } do
      assert.is_true(listed(entry { key = "versionId="
        .. ("v"):rep(length) }).version_id == ("v"):rep(length),
        length .. " characters")
    end
  end)

  it("takes an id of any length", function()
    for _, length in ipairs { 255, 1023, 1024, 5000 } do
      local id = ("n/"):rep(length // 2)
      local info = listed(entry { name = id })
      assert.is_true(info.id == id)
      assert.is_true(info.url == ("%s/applications/%s/%s.zip?%s"):format(
        s.https, s.account_id, ("n%2F"):rep(length // 2), info.key),
        length .. " characters")
    end
  end)

  -- modified, timestamp, expires_at
  for modified, expected in pairs {
    ["2024-01-31T00:00:00Z"] = { 1706659200, "2024-03-01T00:00:00Z" },
    ["2023-01-31T00:00:00.000Z"] = { 1675123200, "2023-03-02T00:00:00.000Z" },
    ["2024-12-31T23:59:59.999Z"] = { 1735689599.999,
      "2025-01-30T23:59:59.999Z" },
    ["1970-01-01T00:00:00.5Z"] = { 0.5, "1970-01-31T00:00:00.500Z" },
    ["2024-06-27T06:23:42.326+02:00"] = { 1719462222.326,
      "2024-07-27T04:23:42.326Z" },
  } do
    it("reckons its times from " .. modified, function()
      local info = listed(entry { modified = modified })
      assert.equal(modified, info.created_at)
      assert.equal(modified, info.modified)
      assert.equal("float", math.type(info.timestamp))
      assert.is_true(math.abs(info.timestamp - expected[1]) < 1e-6)
      assert.equal(expected[2], info.expires_at)
    end)
  end

  for size, bytes in pairs { ["0"] = 0, ["12900705.0"] = 12900705,
    ["9007199254740992"] = 1 << 53, ['"21474836480"'] = 20 << 30,
    ['"9223372036854775807"'] = math.maxinteger } do
    it("has an integer for a size of " .. size, function()
      local info = listed((entry():gsub("12900705", size)))
      assert.equal(bytes, info.bytes)
      assert.equal("integer", math.type(info.bytes))
      assert.equal(("%d"):format(bytes), info.size)
    end)
  end

  it("is read-only, and has nothing else", function()
    local info = listed(entry())
    check_read_only(info, "url")
    check_read_only(info, "id")
    check_unknown(info)
  end)

  it("ignores what else its entry has", function()
    check_fields(listed(entry { more = 1, url = "https://evil/", bytes = 5,
      version_id = "x", download = "y" }), fields())
  end)

  it("prints as what it is, without its secrets", function()
    assert.equal(("squarecloud.SnapshotInfo (%s, 2024-06-27T06:23:42.326Z, "
      .. "12900705 bytes)"):format(s.apps[1]), tostring(listed(entry())))
  end)

  it("is equal to the same version of the same id, by no name", function()
    local a = listed(entry())
    assert.is_true(a == listed(entry()))
    assert.is_true(a == listed(entry { size = 5 }))
    assert.is_false(a == listed(entry { key = "versionId=other" }))
    assert.is_false(a == listed(entry { name = "other" }))
    assert.is_false(listed(entry { key = KEY }) == listed(entry { key = KEY }))
    assert.is_false(a == {})
    assert.is_false(a == client:app(a.id))
  end)

  it("asks for nothing when its fields are read", function()
    local info = listed(entry())
    local count = #s:requests()
    client:close()
    s:fault { fault = "reset" }
    check_fields(info, fields())
    assert.equal(count, #s:requests())
  end)
end)

describe("a Response", function()
  before_each(open)
  after_each(close)

  local function answered(text, status)
    s:fault { fault = "respond", times = 1, body = text, status = status }
    return assert(client:account())
  end

  it("has the fields of the contract", function()
    check_fields(answered('{"status":"success","code":"C","message":"M",'
      .. '"response":{"a":[1,2,{"b":"c"}]},"more":5}', 201),
      { status = "success", code = "C", message = "M", http_status = 201,
        response = { a = { 1, 2, { b = "c" } } } })
  end)

  it("may have no more than its status", function()
    for _, text in ipairs { '{"status":"success"}',
      '{"status":"success","code":null,"message":null,"response":null}' } do
      check_fields(answered(text), { status = "success", http_status = 200 },
        { "code", "message", "response" })
    end
  end)

  it("has a response of any kind", function()
    for text, value in pairs { ['"x"'] = "x", ["5"] = 5, ["true"] = true,
      ["false"] = false, ["[]"] = {}, ["1.5"] = 1.5 } do
      local response = answered('{"status":"success","response":' .. text
        .. "}").response
      assert.same(value, response)
      assert.equal(math.type(value), math.type(response))
    end
  end)

  it("is read-only, and has nothing else", function()
    local response = answered '{"status":"success","code":"C"}'
    check_read_only(response, "status")
    check_unknown(response)
  end)

  it("prints as what it is", function()
    assert.equal("squarecloud.Response (success, HTTP 200)",
      tostring(answered '{"status":"success"}'))
  end)
end)

describe("a handle", function()
  before_each(open)
  after_each(close)

  it("has an id and a type", function()
    check_fields(client:app "a1", { id = "a1", application_type = "app" })
    check_fields(client:database "d1",
      { id = "d1", application_type = "database" })
    assert.same({}, s:requests())
  end)

  it("is read-only, and has nothing else", function()
    local handle = client:app "a1"
    check_read_only(handle, "id")
    check_unknown(handle)
  end)

  it("prints as what it is", function()
    assert.equal("squarecloud.Handle (app a1)", tostring(client:app "a1"))
    assert.equal("squarecloud.Handle (database d\\xe2\\x80\\xae1)",
      tostring(client:database "d\u{202e}1"))
  end)

  it("is equal to another of the same client, id and type", function()
    local other <close> = helpers.client(s)
    assert.is_true(client:app "a" == client:app "a")
    assert.is_false(client:app "a" == client:app "b")
    assert.is_false(client:app "a" == client:database "a")
    assert.is_false(client:app "a" == other:app "a")
    assert.is_false(client:app "a" == client)
  end)
end)

describe("what a client gave", function()
  before_each(function() s = server.shared() end)

  local WAYS = {
    Snapshot = { function(c) return assert(c:snapshot(s.apps[1])) end,
      function(it, dir) return it:download(dir) end },
    ["SnapshotInfo, to download,"] = {
      function(c) return assert(c:all_app_snapshots(s.apps[1]))[1] end,
      function(it, dir) return it:download(dir) end },
    ["SnapshotInfo, to restore,"] = {
      function(c) return assert(c:all_snapshots())[1] end,
      function(it) return it:restore() end },
    handle = { function(c) return c:app(s.apps[1]) end,
      function(it) return it:snapshot() end },
    ["method with its client"] = {
      function(c) return { c.account, c } end,
      function(it) return it[1](it[2]) end },
  }
  for name, way in pairs(WAYS) do
    it(("keeps it alive: a %s"):format(name), function()
      local dir <close> = helpers.tmpdir()
      local first <close> = helpers.client(s)
      assert(first:snapshot(s.apps[1]))
      local weak = setmetatable({}, { __mode = "v" })
      weak.client = helpers.client(s)
      weak.kept = way[1](weak.client)
      local kept = weak.kept
      for _ = 1, 3 do collectgarbage() end
      assert.equal("userdata", type(weak.client))
      local result, err = way[2](kept, dir.path)
      assert(result, tostring(err))
      if getmetatable(result).__close then result:close() end
      kept, result = nil, nil -- luacheck: ignore
      for _ = 1, 3 do collectgarbage() end
      assert.is_nil(weak.kept)
      assert.is_nil(weak.client)
    end)
  end
end)
