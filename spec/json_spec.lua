--- Answers that are not what the API promises, and what the platform means by
-- codes and statuses: each becomes an error of one kind, whole and readable,
-- and the host's own cjson never notices.

local cjson = require "cjson"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local square = require "squarecloud"

local s, client

local function open()
  s = server.shared()
  client = helpers.client(s, { retries = 0 })
end

local function close() client:close() end

-- The error of a call that is answered so.
local function failed(fault, method, argument)
  fault.times = fault.times or 1
  s:fault(fault)
  local result, err = client[method or "account"](client, argument)
  assert.is_nil(result)
  assert.equal("squarecloud.Error", getmetatable(err).__name)
  return err
end

local function is_one_line(err)
  local text = tostring(err)
  assert.is_nil(text:find("[%c\127]"))
  assert.is_not_nil(utf8.len(text))
  assert.is_true(#text < 2000)
end

local METHODS = { { "account" }, { "snapshot", "a" },
  { "all_app_snapshots", "a" }, { "all_snapshots" },
  { "restore_snapshot",
    { app_id = "a", snapshot_id = "b", version_id = "c" } } }

describe("an answer that is no JSON of the API", function()
  before_each(open)
  after_each(close)

  local GOOD = '{"status":"success","response":[]}'
  local CASES = {
    -- a gateway's
    ["a page under 502"] = { "server", { fault = "html" } },
    ["a page under 504"] = { "server", { fault = "html", status = 504 } },
    ["a page under 200"] = { "server", { fault = "html", status = 200 } },
    ["nothing under 200"] = { "server", { fault = "nothing" } },
    ["nothing under 204"] = { "server", { fault = "nothing", status = 204 } },
    ["nothing under 502"] = { "server", { fault = "nothing", status = 502 } },
    ["blanks"] = { "server", { fault = "respond", body = " \r\n\t " } },
    ["a page under 413"] = { "bad_request", { fault = "html", status = 413 } },
    ["a page under 404"] = { "not_found", { fault = "html", status = 404 } },
    -- not whole
    ["cut in mid-JSON, well framed"] = { "protocol", { fault = "respond",
      body = GOOD:sub(1, -2) } },
    ["cut inside a string"] = { "protocol", { fault = "respond",
      body = '{"status":"success","response":"abc' } },
    ["one byte"] = { "protocol", { fault = "respond", body = "{" } },
    ["more behind its end"] = { "protocol", { fault = "respond",
      body = GOOD .. "{}" } },
    -- not right
    ["10 000 levels"] = { "protocol", { fault = "json_deep",
      depth = 10000 } },
    ["a million levels"] = { "protocol", { fault = "json_deep",
      depth = 1000000 } },
    ["10 000 objects deep"] = { "protocol", { fault = "respond",
      body = '{"status":"success","response":' .. ('{"a":'):rep(10000) .. "1"
        .. ("}"):rep(10000) .. "}" } },
    ["text"] = { "protocol", { fault = "respond", body = "service down" } },
    ["bytes"] = { "protocol", { fault = "respond", body = "\0\xff\xfe" } },
    ["an array"] = { "protocol", { fault = "respond", body = "[]" } },
    ["a string"] = { "protocol", { fault = "respond", body = '"success"' } },
    ["a number"] = { "protocol", { fault = "respond", body = "200" } },
    ["null"] = { "protocol", { fault = "respond", body = "null" } },
    ["an object without status"] = { "protocol", { fault = "respond",
      body = '{"response":[]}' } },
    ["an unknown status"] = { "protocol", { fault = "respond",
      body = '{"status":"fine","response":[]}' } },
    ["a status that is no string"] = { "protocol", { fault = "respond",
      body = '{"status":true,"response":[]}' } },
    ["a status taken back"] = { "protocol", { fault = "respond",
      body = '{"status":"success","status":"error"}' } },
    ["an error without a code"] = { "protocol", { fault = "respond",
      body = '{"status":"error"}' } },
    ["single quotes"] = { "protocol", { fault = "respond",
      body = "{'status':'success','response':[]}" } },
    ["a comment"] = { "protocol", { fault = "respond",
      body = '{"status":"success"/**/,"response":[]}' } },
    ["a comma too many"] = { "protocol", { fault = "respond",
      body = '{"status":"success","response":[],}' } },
    ["a number that is none"] = { "protocol", { fault = "respond",
      body = '{"status":"success","response":NaN}' } },
    ["a number in hexadecimal"] = { "protocol", { fault = "respond",
      body = '{"status":"success","response":0x10}' } },
    ["UTF-16"] = { "protocol", { fault = "respond",
      body = GOOD:gsub(".", "%0\0") } },
  }
  for name, case in pairs(CASES) do
    it(("is %s: %s"):format(case[1], name), function()
      for _, call in ipairs(METHODS) do
        local fault = {}
        for k, v in pairs(case[2]) do fault[k] = v end
        local err = failed(fault, call[1], call[2])
        assert.equal(case[1], err.kind, call[1])
        assert.equal(s:requests()[#s:requests()].status, err.http_status)
        local is_action = call[1] == "snapshot"
          or call[1] == "restore_snapshot"
        local refused = err.kind == "not_found" or err.kind == "bad_request"
        assert.equal(is_action and not refused, err.sent, call[1])
        is_one_line(err)
      end
    end)
  end

  it("is protocol when it is compressed though nobody asked", function()
    local err = failed { fault = "gzip" }
    assert.equal("protocol", err.kind)
    assert.is_nil(s:requests()[1].headers["accept-encoding"])
    is_one_line(err)
  end)

  it("is protocol when it is larger than max_response_bytes", function()
    client:close()
    client = helpers.client(s, { retries = 0, max_response_bytes = #GOOD })
    s:listing("applications", GOOD)
    assert.same({}, assert(client:all_snapshots()))
    s:listing("applications", GOOD .. " ")
    local list, err = client:all_snapshots()
    assert.is_nil(list)
    assert.equal("protocol", err.kind)
    assert.matches(tostring(#GOOD), err.message, 1, true)
    assert.equal(200, err.http_status)
    assert.equal("protocol", failed({ fault = "json_huge",
      bytes = 1 << 20 }).kind)
    s:listing("applications", GOOD)
    assert.same({}, assert(client:all_snapshots()))
  end)
end)

describe("a list that is none, or has an entry that is none", function()
  before_each(open)
  after_each(close)

  local GOOD = '{"name":"a","size":1,"modified":"2024-06-27T06:23:42.326Z",'
    .. '"key":"versionId=v"}'

  for _, response in ipairs { "null", '"[]"', "5", "true",
    '{"snapshots":[]}', GOOD } do
    it("is protocol: " .. response:sub(1, 20), function()
      local err = failed({ fault = "respond", type = "application/json",
        body = '{"status":"success","response":' .. response .. "}" },
        "all_app_snapshots", "a")
      assert.equal("protocol", err.kind)
    end)
  end

  it("is protocol without response", function()
    assert.equal("protocol", failed({ fault = "respond",
      body = '{"status":"success"}' }, "all_snapshots").kind)
  end)

  local BAD = { -- the entry in place of a good one; what the message names
    { "null", "it is not an object" }, { "5", "it is not an object" },
    { '"a"', "it is not an object" }, { "[]", "its name is missing or wrong" },
    { "{}", "its name is missing or wrong" },
  }
  local function without(field)
    return (GOOD:gsub('"' .. field .. '":"?[^,}"]+"?,?', "")
      :gsub(",}", "}"))
  end
  local function with(field, value)
    return (GOOD:gsub('"' .. field .. '":"?[^,}"]+"?',
      function() return ('"%s":%s'):format(field, value) end))
  end
  local VALUES = { -- besides absent and null
    name = { "5", "true", "[]", "{}", '""', '"."', '".."', '"a\\nb"',
      '"a\\u0000b"' },
    size = { "-1", "1.5", "true", "[]", '""', '"many"', '"1.5"', '"-1"',
      "1e40", '"99999999999999999999999"' },
    modified = { "1719469422", "true", "{}", '""', '"yesterday"',
      '"2024-13-27T06:23:42Z"', '"2024-06-27"', '"2024-06-27T06:23:42Z\\n"' },
    key = { "5", "false", "[]", '"a\\r\\nb"', '"a b"', '"a\\u0000b"' },
  }
  local SAYS = { name = "its name is missing or wrong",
    size = "its size is missing or wrong",
    modified = "its time is missing or wrong",
    key = "its key is missing or wrong" }
  for field, values in pairs(VALUES) do
    BAD[#BAD + 1] = { without(field), SAYS[field] }
    BAD[#BAD + 1] = { with(field, "null"), SAYS[field] }
    for _, value in ipairs(values) do
      BAD[#BAD + 1] = { with(field, value), SAYS[field] }
    end
  end

  local function listing(...)
    return { fault = "respond", body = '{"status":"success","response":['
      .. table.concat({ ... }, ",") .. "]}" }
  end

  it("costs itself when it cannot be read, wherever it stands", function()
    for _, bad in ipairs(BAD) do
      for at = 1, 3 do
        local entries = { GOOD, GOOD }
        table.insert(entries, at, bad[1])
        local fault = listing(table.unpack(entries))
        fault.times = 2
        s:fault(fault)
        for _, list in ipairs { assert(client:all_app_snapshots "a"),
          assert(client:all_snapshots()) } do
          assert.same({ 2, "a", "a" }, { #list, list[1].id, list[2].id })
          assert.is_nil(list[3])
          assert.equal(1, #list.problems)
          local place, why = list.problems[1]:match "^entry (%d).*: (it.*)$"
          assert.same({ tostring(at), bad[2] }, { place, why }, bad[1])
          assert.is_nil(list.problems[1]:find "%c")
        end
      end
    end
  end)

  it("is named by its id, where it has one", function()
    s:fault(listing(GOOD, '{"name":"app\\u001b[17"}', '{"id":"b","size":1}',
      "[]", '{"name":5}'))
    assert.same({ "entry 2 (id app\\x1b[17): its name is missing or wrong",
      "entry 3 (id b): its time is missing or wrong",
      "entry 4: its name is missing or wrong",
      "entry 5: its name is missing or wrong" },
      assert(client:all_snapshots()).problems)
  end)

  it("makes the list protocol when no other can be read", function()
    for _, bad in ipairs(BAD) do
      local err = failed(listing(bad[1], bad[1]), "all_snapshots")
      assert.equal("protocol", err.kind, bad[1])
      assert.matches("nothing in the list can be read: entry 1.*" .. bad[2],
        err.message)
      assert.equal(200, err.http_status)
      is_one_line(err)
    end
  end)

  it("leaves no problem when all can be read, or there is none", function()
    for _, entries in ipairs { { GOOD, GOOD }, {} } do
      s:fault(listing(table.unpack(entries)))
      local list = assert(client:all_snapshots())
      assert.equal(#entries, #list)
      assert.is_nil(list.problems)
      s:clear_faults()
    end
  end)

  it("may have the guide's spelling, or both", function()
    local guide = GOOD:gsub('"name"', '"id"')
      :gsub('"modified"', '"created_at"'):gsub('"size":1', '"size":"1"')
    local both = GOOD:gsub("^{", '{"id":"b","created_at":"never",')
    s:listing("applications", ('{"status":"success","response":[%s,%s,%s]}')
      :format(GOOD, guide, both))
    local list = assert(client:all_snapshots())
    assert.same({ 3, "a", "a", "a" },
      { #list, list[1].id, list[2].id, list[3].id })
    assert.same(list[1]:to_table(), list[2]:to_table())
    assert.same(list[1]:to_table(), list[3]:to_table())
  end)

  it("may have the guide's spelling for one field only", function()
    local guide = GOOD:gsub('"name"', '"id"')
    s:listing("applications", ('{"status":"success","response":[%s,%s]}')
      :format(guide, (GOOD:gsub('"modified"', '"created_at"'))))
    assert.equal(2, #assert(client:all_snapshots()))
  end)

  it("has sixty thousand entries, all of them", function()
    local list = assert(client:all_app_snapshots "listing-60000")
    assert.equal(60000, #list)
    assert.is_nil(list.problems)
    for i, info in ipairs(list) do assert(info.bytes == 1000000 + i) end
  end)
end)

describe("numbers in an answer", function()
  before_each(open)
  after_each(close)

  it("that are whole are integers, however they are written", function()
    s:fault { fault = "respond", body = '{"status":"success","response":'
      .. '{"a":5,"b":5.0,"c":1e3,"d":-7,"e":0.5,"f":1e300,"g":[1,2.0,2.5],'
      .. '"h":{"i":{"j":[[9007199254740992]]}},"0":-0.0}}' }
    local r = assert(client:account()).response
    assert.same({ a = 5, b = 5, c = 1000, d = -7, e = 0.5, f = 1e300,
      g = { 1, 2, 2.5 }, h = { i = { j = { { 1 << 53 } } } }, ["0"] = 0 }, r)
    for _, value in ipairs { r.a, r.b, r.c, r.d, r.g[1], r.g[2],
      r.h.i.j[1][1] } do
      assert.equal("integer", math.type(value))
    end
    for _, value in ipairs { r.e, r.f, r.g[3] } do
      assert.equal("float", math.type(value))
    end
  end)

  it("of the account are integers", function()
    local response = assert(client:account()).response
    assert.equal("integer", math.type(response.user.plan.memory.limit))
    assert.equal("integer", math.type(response.applications[1].ram))
  end)
end)

describe("the host's own cjson", function()
  before_each(open)
  after_each(close)

  it("keeps its settings, and ours do not come from it", function()
    local before = { cjson.decode_max_depth(), cjson.encode_max_depth(),
      cjson.encode_number_precision(), cjson.encode_invalid_numbers(),
      cjson.decode_invalid_numbers() }
    finally(function()
      cjson.decode_max_depth(before[1])
      cjson.encode_max_depth(before[2])
      cjson.encode_number_precision(before[3])
      cjson.encode_invalid_numbers(before[4])
      cjson.decode_invalid_numbers(before[5])
    end)
    assert.equal(1000, before[1]) -- as cjson comes
    cjson.decode_max_depth(1)
    cjson.encode_max_depth(1)
    cjson.encode_number_precision(1)
    cjson.decode_invalid_numbers(false)
    assert(client:account())
    assert(client:snapshot(s.apps[1]))
    local info = assert(client:all_app_snapshots(s.apps[1]))[1]
    assert(info:restore())
    assert.equal("integer", math.type(info.bytes))
    local again <close> = square.Client(s.key)
    assert.is_not_nil(again)
    assert.equal(1, cjson.decode_max_depth())
    assert.equal(1, cjson.encode_max_depth())
    assert.equal(1, cjson.encode_number_precision())
    assert.is_false(cjson.decode_invalid_numbers())
    assert.is_false(pcall(cjson.decode, "[[1]]"))
  end)
end)
