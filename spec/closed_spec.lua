--- Closed objects: every method of every class says "closed", plain fields
-- stay readable, tostring says closed. The methods are read from the
-- metatables, so that none can be missed, nor a new class.

local classes = require "spec.support.classes"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"

local s

-- What may be called on a closed object: what reads plain fields, and what
-- closes.
local ALLOWED = { close = true, to_table = true }
local META_ALLOWED = { __close = true, __gc = true, __tostring = true,
  __index = true, __newindex = true, __pairs = true, __eq = true,
  __name = true, __metatable = true }

-- Each class: gives one object, and what closes it; `fields` of its own.
local CLASSES = {
  Client = { make = function(client) return client end, fields = {} },
  Snapshot = { fields = { "url", "key", "id", "app_id", "application_type",
    "version_id", "created_at" },
    make = function(client) return assert(client:snapshot(s.apps[1])) end },
  SnapshotInfo = { fields = { "id", "size", "created_at", "name", "modified",
    "bytes", "timestamp", "expires_at", "key", "version_id", "url",
    "application_type" },
    make = function(client)
      assert(client:snapshot(s.apps[1]))
      return assert(client:all_app_snapshots(s.apps[1]))[1]
    end },
  Response = { fields = { "status", "response", "http_status" },
    make = function(client) return assert(client:account()) end },
  Handle = { fields = { "id", "application_type" },
    make = function(client) return client:app(s.apps[1]) end },
  ZipFile = { fields = { "path", "bytes", "etag" }, closes_itself = true,
    make = function(client, dir)
      return assert(assert(client:snapshot(s.apps[1])):download(dir.path))
    end },
  Task = false, -- ends with its client, and tells so: not by raising
}

local function snap(object, fields)
  local copy = {}
  for _, name in ipairs(fields) do copy[name] = object[name] end
  return copy
end

describe("closed", function()
  before_each(function() s = server.shared() end)

  it("is told of every class that has methods", function()
    local count = 0
    for class in pairs(classes.all()) do
      assert.is_not_nil(CLASSES[class], class)
      count = count + 1
    end
    assert.is_true(count >= 6)
  end)

  for class, how in pairs(CLASSES) do
    if not how then goto continue end
    describe(class, function()
      local client, object, dir, before, requests

      before_each(function()
        client = helpers.client(s)
        dir = helpers.tmpdir()
        object = how.make(client, dir)
        before = snap(object, how.fields)
        for name in pairs(before) do assert.is_not_nil(before[name], name) end
        assert.is_nil(tostring(object):find("closed", 1, true))
        if how.closes_itself then object:close() else client:close() end
        requests = #s:requests()
      end)

      after_each(function()
        client:close()
        helpers.remove(dir.path)
        assert.equal(requests, #s:requests())
      end)

      it("raises \"closed\" from every method", function()
        local arguments = { {}, { "a" }, { {} }, { print }, { 0 },
          { { app_id = "a", snapshot_id = "b", version_id = "c" } } }
        local called = 0
        for name, method in pairs(classes.methods(classes.all()[class])) do
          assert.equal(method, object[name])
          if not ALLOWED[name] then
            called = called + 1
            for _, list in ipairs(arguments) do
              local ok, message = pcall(method, object, table.unpack(list))
              assert.is_false(ok, name)
              assert.matches("closed", message, 1, true)
            end
          end
        end
        assert.is_true(called > 0 or class == "Response")
      end)

      it("raises \"closed\" from other metamethods", function()
        for name, method in pairs(classes.all()[class]) do
          if not META_ALLOWED[name] then
            local ok, message = pcall(method, object, object)
            assert.is_false(ok, name)
            assert.matches("closed", message, 1, true)
          end
        end
      end)

      it("keeps its plain fields", function()
        assert.same(before, snap(object, how.fields))
        if object.to_table then
          assert.same(before, object:to_table())
          local found = {}
          for name, value in pairs(object) do found[name] = value end
          assert.same(before, found)
        end
        assert.is_nil(object.unknown)
      end)

      it("says so when printed", function()
        assert.matches("^squarecloud%." .. class .. " %(.*closed%)$",
          tostring(object))
      end)

      it("is equal to itself, and may be closed again", function()
        assert.is_true(object == object)
        if object.close then
          object:close()
          object:close()
        end
        client:close()
      end)

      it("is collected without a trace", function()
        local weak = setmetatable({ object }, { __mode = "v" })
        object = nil
        for _ = 1, 3 do collectgarbage() end
        if class ~= "Client" then assert.is_nil(weak[1]) end
      end)
    end)
    ::continue::
  end
end)

describe("a ZipFile", function()
  local client, dir, zip

  before_each(function()
    s = server.shared()
    client = helpers.client(s)
    dir = helpers.tmpdir()
    zip = assert(assert(client:snapshot(s.apps[1])):download(dir.path))
  end)

  after_each(function()
    client:close()
    zip:close()
    helpers.remove(dir.path)
  end)

  it("stays open when its client is closed", function()
    client:close()
    assert.is_true((assert(zip:test())))
    assert.is_true(#assert(zip:names()) > 0)
    assert.is_nil(tostring(zip):find("closed", 1, true))
  end)

  it("closed in mid-iteration raises \"closed\" from the iterator", function()
    local next_entry = assert(zip:entries())
    assert.equal("string", type((next_entry())))
    zip:close()
    assert.error_matches(next_entry, "closed")
  end)

  it("closed has no length", function()
    zip:close()
    assert.error_matches(function() return #zip end, "closed")
  end)
end)

describe("a client that is closed", function()
  before_each(function() s = server.shared() end)

  it("closes what it gave, and only that", function()
    local a, b <close> = helpers.client(s), helpers.client(s)
    local from_a, from_b = a:app "a", b:app(s.apps[1])
    a:close()
    assert.error_matches(function() from_a:snapshot() end, "closed")
    assert(from_b:snapshot())
  end)

  it("does not restore a record of another one", function()
    local a, b = helpers.client(s), helpers.client(s)
    s:make_snapshot { app = s.apps[1] }
    local info = assert(a:all_app_snapshots(s.apps[1]))[1]
    b:close()
    assert.error_matches(function() b:restore_snapshot(info) end, "closed")
    assert(a:restore_snapshot(info))
    a:close()
    local c <close> = helpers.client(s)
    assert(c:restore_snapshot(info)) -- its fields are enough
  end)
end)
