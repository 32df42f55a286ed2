--- Every call of the client, of records, handles and of ZipFile waits in a
-- task without holding up the host; and a call that waits for the platform's
-- work (`wait`) does so as well.

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local square = require "squarecloud"

local s, client

local function begin()
  s = server.shared()
  client = helpers.client(s)
end

local function finish()
  client:close()
end

describe("every call in a task", function()
  before_each(begin)
  after_each(finish)

  -- Each is given the application, a folder and a whole ZipFile; the fault
  -- holds up its request until the host, which is not held up, lets it go.
  local CALLS = {
    snapshot = function(app) return client:snapshot(app) end,
    list = function(app) return client:all_app_snapshots(app) end,
    ["list of all"] = function() return client:all_snapshots() end,
    account = function() return client:account() end,
    ["snapshot of a handle"] = function(app)
      return client:app(app):snapshot()
    end,
    restore = function(_, _, info) return info:restore() end,
    ["download of an info"] = function(_, dir, info)
      return info:download(dir.path)
    end,
    ["download by url"] = function(_, dir, info)
      return client:download { url = info.url, path = dir.path }
    end,
  }
  for name, call in pairs(CALLS) do
    it("yields: " .. name, function()
      local dir <close> = helpers.tmpdir()
      s:add_snapshot { app = s.apps[1], bytes = downloads.archive(64) }
      local info = assert(client:all_app_snapshots(s.apps[1]))[1]
      s:fault { fault = "stall", times = 1 }
      local task = client:spawn(call, s.apps[1], dir, info)
      assert.equal("running", task.status)
      s:wait_requests(function(one) return one.stalled end)
      client:step(0)
      assert.equal("running", task.status)
      s:release()
      local result = assert(task:wait())
      if name:find "download" then
        assert.is_true((assert(result:test())))
        result:close()
      end
    end)
  end

  for name, call in pairs {
    test = function(zip) return zip:test() end,
    read = function(zip) return zip:read "data.txt" end,
    extract = function(zip, dir) return zip:extract(dir .. "/out") end,
    names = function(zip) return zip:names() end,
    entries = function(zip) return zip:entries() end,
    ["#"] = function(zip) return #zip end,
    open_zip = function(zip)
      local other <close> = assert(square.open_zip(zip.path))
      return #other
    end,
  } do
    it("works for a ZipFile as well: " .. name, function()
      local dir <close> = helpers.tmpdir()
      local path = dir .. "/a.zip"
      helpers.write_file(path, downloads.archive(64))
      local opened <close> = assert(square.open_zip(path))
      local task = client:spawn(call, opened, dir)
      assert.is_truthy((task:wait()))
      assert.is_truthy((call(opened, dir .. "/blocking")))
    end)
  end

  it("yields for a ZipFile's work", function()
    local dir <close> = helpers.tmpdir()
    local path = dir .. "/a.zip"
    helpers.write_file(path, downloads.archive(64))
    local zip <close> = assert(square.open_zip(path))
    for _, call in ipairs { { zip.test }, { zip.read, "data.txt" },
      { zip.extract, dir .. "/out" } } do
      local task = client:spawn(call[1], zip, table.unpack(call, 2))
      assert.equal("running", task.status)
      assert.is_truthy((task:wait()))
    end
  end)
end)
