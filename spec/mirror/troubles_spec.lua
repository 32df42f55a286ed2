--- A mirror whose folder is in trouble: what cannot be read, written, renamed,
-- or changes meanwhile, is told of, and nothing is lost by it.

local lfs = require "lfs"
local child = require "spec.support.child"
local helpers = require "spec.support.helpers"
local mirrors = require "spec.support.mirrors"
local server = require "spec.support.server"
local square = require "squarecloud"
local zips = require "spec.support.zips"

local AT = mirrors.AT

describe("a mirror in trouble", function()
  local folder, dir, m

  before_each(function() folder, dir, m = mirrors.begin() end)
  after_each(function() mirrors.finish(folder, m) end)

  local function put(spec) return mirrors.put(dir, spec) end

  it("tells that its folder is gone, whatever is asked", function()
    local s = server.shared()
    local client <close> = helpers.client(s)
    helpers.remove(dir)
    for name, ask in pairs {
      list = function() return m:list() end,
      latest = function() return m:latest "a1" end,
      restore_plan = function() return m:restore_plan "a1" end,
      verify = function() return m:verify() end,
      ["verify, setting aside"] = function()
        return m:verify { set_aside = true }
      end,
      prune = function() return m:prune { keep_last = 1 } end,
      ["prune, dry"] = function()
        return m:prune({ keep_last = 1 }, { dry_run = true })
      end,
      sync = function() return m:sync(client, { apps = { s.apps[1] } }) end,
      ["sync, dry"] = function()
        return m:sync(client, { apps = { s.apps[1] }, dry_run = true })
      end,
      adopt = function()
        return m:adopt { path = dir .. "/app/a1/x.zip", created_at = AT }
      end,
    } do
      local result, err = ask()
      assert.is_nil(result, name)
      assert.equal("filesystem", err.kind, name)
      assert.matches(dir, err.message, 1, true)
      assert.equal("squarecloud.Error", getmetatable(err).__name)
      assert.matches("filesystem: ", "" .. err, 1, true)
    end
  end)

  it("does not remove what has changed since it looked", function()
    local old = put { version = "v1", at = AT - 1000 }
    put { version = "v2" }
    local results = assert(m:prune { keep = function(entry)
      if entry.version_id == "v2" then return true end
      helpers.write_file(entry.path, "changed")
      return false
    end })
    assert.same({ "kept", "failed" }, mirrors.statuses(results))
    assert.equal("integrity", results[2].err.kind)
    assert.equal("changed", helpers.read_file(old .. ".zip"))
    assert.equal(1, results.failed)
  end)

  it("does not adopt where its JSON cannot be written", function()
    local path = put { version = "v1", json = false }
    assert(lfs.mkdir(path .. ".json.new"))
    helpers.write_file(path .. ".json.new/in the way", "")
    local entry, err = m:adopt(path .. ".zip")
    assert.is_nil(entry)
    assert.equal("filesystem", err.kind)
    assert.matches("cannot write", err.message, 1, true)
    assert.is_truthy(lfs.attributes(path .. ".zip"))
  end)

  it("does not adopt the copy of a snapshot that it has", function()
    local path = put { version = "v1" }
    local copy = dir .. "/app/a1/copy.zip"
    helpers.write_file(copy, helpers.read_file(path .. ".zip"))
    local entry, err = m:adopt { path = copy, created_at = AT,
      version_id = "v1" }
    assert.is_nil(entry)
    assert.equal("exists", err.kind)
  end)

  it("draws verify's bar, and ends it", function()
    local said = {}
    local bars <close> = square.progress.new { tty = false, stream = {
      write = function(_, text) said[#said + 1] = text return true end } }
    put { version = "v1", bytes = zips.flip(mirrors.archive "v1", 45) }
    put { version = "v2", at = AT + 1 }
    local results = assert(m:verify { progress = bars })
    assert.same({ 1, 1 }, { results.ok, results.damaged })
    assert.matches("^verify: ", table.concat(said))
  end)

  it("names an application that its file's name does not", function()
    local path = put { version = "v1", json = false }
    local entry = assert(m:adopt { path = path .. ".zip", app_id = "other" })
    assert.equal("other", entry.app_id)
    assert.equal("other", assert(m:latest "a1").app_id)
  end)

  it("tells as well where the host has taken the debug library", function()
    local out, err = child.run([[
      debug = nil
      local mirror = require("squarecloud.mirror").open(...)
      os.remove((...) .. "/app")
      os.remove((...))
      local _, why = mirror:latest "a1"
      print(getmetatable(why).__name, "said: " .. why)
    ]], { dir })
    assert.matches("^squarecloud.Error\tsaid: filesystem: cannot read the "
      .. "folder [^\n]*\n$", out, err)
  end)

  it("needs an id for a plan", function()
    assert.error_matches(function() m:restore_plan {} end,
      "option 'id' is missing")
  end)

  it("shows a path's control and turning characters by their codes", function()
    helpers.remove(dir)
    local odd = square.mirror.open { dir = dir .. "\n\226\128\174" }
    helpers.remove(odd.dir)
    local _, err = odd:list()
    assert.matches("mirror\\x0A\\xE2\\x80\\xAE", err.message, 1, true)
    assert.is_nil(err.message:find "[%c\226]")
  end)

  it("is told when even the account cannot be asked", function()
    local s = server.shared()
    local client <close> = helpers.client(s, { retries = 0 })
    s:configure { plan = "free" } -- no listing of the whole account
    s:fault { fault = "reset", match = { path = "/v2/users/me" } }
    local results, err = m:sync(client, { all = true })
    assert.is_nil(results)
    assert.equal("network", err.kind)
  end)

  it("tells of what it cannot read in the account, and brings the rest",
    function()
      local s = server.shared()
      local client <close> = helpers.client(s)
      s:configure { plan = "free" }
      s:add_snapshot { app = s.apps[1], version_id = "v1", modified = AT,
        bytes = mirrors.archive(1) }
      local function answer(response)
        s:clear_faults()
        s:fault { fault = "respond", match = { path = "/v2/users/me" },
          body = '{"status":"success"' .. response .. "}" }
        return m:sync(client, { all = true, now = AT })
      end
      for response, why in pairs {
        [""] = "is empty", [',"response":null'] = "is empty",
        [',"response":{"applications":null}'] = "is empty",
        [',"response":{"applications":5,"databases":"x"}'] =
          "lists no applications",
      } do
        local results, err = answer(response)
        assert.is_nil(results)
        assert.equal("account: protocol: the answer about the account " .. why,
          tostring(err))
      end
      local results = assert(answer((',"response":{"applications":[{},5,'
        .. '{"id":""},{"id":".."},{"id":"%s"}],"databases":null}')
        :format(s.apps[1])))
      assert.same({ "downloaded", "failed" }, mirrors.statuses(results))
      assert.equal("account: protocol: the answer about the account lists one "
        .. "of the applications without an id", tostring(results[2].err))
      s:clear_faults()
    end)
end)
