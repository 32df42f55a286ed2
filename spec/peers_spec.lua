--- The test server against version 5.0.0 of the platform's JavaScript client:
-- each of its requests (spec/peers/version_5.lua) is answered as it expects,
-- and our client sends the same where it has the same call.

local cjson = require "cjson"
local curl = require "spec.support.curl"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local version_5 = require "spec.peers.version_5"
local zips = require "spec.support.zips"

-- What is wrong with a value that should have a shape; nil when nothing is.
local misfit

local function misfit_of_word(word, value, path)
  local optional = word:sub(-1) == "?"
  local bare = word:match "^%a+"
  if value == nil and optional or value == cjson.null
    and word:find("|null", 1, true) then
    return nil
  end
  local fits = type(value) == (bare == "date" and "string" or bare)
  if bare == "date" then
    fits = fits and value:find "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d+Z$"
  end
  if not fits then return ("%s: %s"):format(path, tostring(value)) end
end

function misfit(shape, value, path)
  if type(shape) == "string" then return misfit_of_word(shape, value, path) end
  if shape[1] then
    for _, word in ipairs(shape) do
      if word == value then return nil end
    end
    return ("%s: %s"):format(path, tostring(value))
  end
  if type(value) ~= "table" then return path .. ": no table" end
  local fields = shape
  if shape.each then
    if #value == 0 then return path .. ": nothing in it" end
    fields = {}
    for i = 1, #value do fields[i] = shape.each end
  end
  for name, one in pairs(fields) do
    local wrong = misfit(one, value[name], path .. "." .. name)
    if wrong then return wrong end
  end
end

describe("@squarecloud/api 5.0.0", function()
  local s, client, dir, ids

  setup(function()
    dir = helpers.tmpdir()
    helpers.write_file(dir .. "/file.zip",
      (zips.build { { name = "a.txt", data = "a\n" } }))
  end)

  teardown(function() helpers.remove(dir.path) end)

  before_each(function()
    s = server.shared()
    client = helpers.client(s, { base_url = s.http_base_url, retries = 0 })
    ids = { app = s.apps[1], database = s.databases[1], version = "v1",
      account = s.key:match "^[^-]*" }
    for _, kind in ipairs { "app", "database" } do
      s:add_snapshot { [kind] = ids[kind], path = dir .. "/file.zip",
        version_id = ids.version }
    end
    s:add_workspace { owner = "5eca11ab1ed0facade02",
      applications = { { id = "theirs" } } }
  end)

  after_each(function() client:close() end)

  local function filled(text) return (text:gsub("{(%a+)}", ids)) end

  local function filled_in(object)
    local copy = {}
    for name, value in pairs(object) do
      copy[name] = type(value) == "string" and filled(value) or value
    end
    return copy
  end

  -- Sends one of its requests: the HTTP status, and the JSON of the answer.
  local function send(call)
    local url = s.http_base_url .. "/" .. filled(call[3])
      .. (call.query and "?" .. call.query or "")
    local options = { "-X", call[2], "-A", "squarecloud-sdk-js/5.0.0",
      "-H", "Accept: application/json", "-H", "Authorization: " .. s.key }
    local function add(...) table.move({ ... }, 1, 2, #options + 1, options) end
    if call.json then
      add("-H", "Content-Type: application/json")
      add("-d", cjson.encode(filled_in(call.json)))
    elseif call.form then
      add("-F", ("file=@%s/file.zip;filename=%s"):format(dir, call.form))
    end
    local seen = curl.run(s.ca_file, dir.path, url, table.unpack(options))
    local is_json, data = pcall(cjson.decode, seen.body)
    return seen.status, is_json and data or nil
  end

  -- Our call's request of the same method and path.
  local function sent_by_ours(call)
    local before = #s:requests()
    local result, err = call.ours(client, ids)
    local pattern = "^/v2/" .. call[3]:gsub("{%a+}", "[^/]+") .. "$"
    for i, one in ipairs(s:requests()) do
      if i > before and one.method == call[2]
        and one.uri:match("^[^?]*"):find(pattern) then
        return one, result, err
      end
    end
    return nil, result, err
  end

  for _, call in ipairs(version_5.calls) do
    local title = call[1] .. (call.query and "?" .. call.query or "")
      .. (call.form and " of " .. call.form or "")

    it("is content with the answer to " .. title, function()
      local status, data = send(call)
      assert.is_nil(version_5.raises(status, data))
      assert.equal("success", data.status)
      if call.response then
        assert.is_nil(misfit(call.response, data.response, "response"))
      end
      for _, entry in ipairs(call.address and data.response or {}) do
        local url = s.http .. filled(call.address):format(entry.name, entry.key)
        assert.equal(helpers.read_file(dir .. "/file.zip"),
          curl.run(s.ca_file, dir.path, url).body)
      end
    end)

    if call.ours then
      it("sends what we send: " .. title, function()
        local one, result, err = sent_by_ours(call)
        assert(result, err)
        assert.equal(call.query, one.uri:match "%?(.*)$")
        assert.same({ s.key, "application/json" },
          { one.headers.authorization, one.headers.accept })
        if call.json then
          assert.same(filled_in(call.json), cjson.decode(one.body))
          assert.equal("application/json", one.headers["content-type"])
        elseif call.form then
          assert.matches('name="file"; filename="[^"]+%.zip"', one.body)
        else
          assert.equal(0, one.body_bytes)
        end
      end)
    end
  end

  for _, row in ipairs(version_5.refusals) do
    local settings, name, code, kind = table.unpack(row)

    it(("raises %s where we say %s: %s"):format(code, kind, name), function()
      for id, value in pairs(settings.ids or {}) do ids[id] = value end
      if not settings.ids then s:configure(settings) end
      local call
      for _, one in ipairs(version_5.calls) do
        if one[1] == name then call = call or one end
      end
      send(call) -- what is limited to one is used up then
      assert.equal(code, version_5.raises(send(call)))
      local _, _, err = sent_by_ours(call)
      assert.equal(kind, err.kind)
    end)
  end
end)
