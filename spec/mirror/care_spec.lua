--- What a mirror does with its own files: verify, and adopt.

local lfs = require "lfs"
local helpers = require "spec.support.helpers"
local mirrors = require "spec.support.mirrors"
local square = require "squarecloud"
local zips = require "spec.support.zips"

local AT = mirrors.AT
local STAMP = "20240627T062342Z"

describe("a mirror", function()
  local folder, dir, m

  before_each(function() folder, dir, m = mirrors.begin() end)
  after_each(function() mirrors.finish(folder, m) end)

  local function put(spec) return mirrors.put(dir, spec) end

  ---------------------------------------------------------------- verifying

  describe("verifies", function()
    it("all that is its own", function()
      put { version = "v1" }
      put { id = "d1", version = "v2", application_type = "database" }
      put { version = "v3", json = false, bytes = "foreign" }
      local seen = {}
      local results = assert(m:verify { progress = function(entry, done, total)
        seen[#seen + 1] = { entry.version_id, done, total }
      end })
      local size = #mirrors.archive "v1"
      assert.same({ "ok", "ok" }, mirrors.statuses(results))
      assert.same({ { "v1", size, 2 * size }, { "v2", 2 * size, 2 * size } },
        seen)
      assert.same({ 2, 0, 0, 2 * size }, { results.ok, results.damaged,
        results.failed, results.bytes })
      assert.equal(1, #assert(m:verify "d1"))
      assert.equal(0, #assert(m:verify { id = "d1",
        application_type = "app" }))
    end)

    it("what is damaged, and touches nothing", function()
      local bytes = mirrors.archive "v1"
      put { version = "v1", bytes = zips.flip(bytes, 45) }
      local cut = put { version = "v2", bytes = bytes }
      helpers.write_file(cut .. ".zip", bytes:sub(1, -2))
      put { version = "v3" }
      local before = mirrors.tree(dir)
      local results = assert(m:verify())
      assert.same({ "damaged", "damaged", "ok" }, mirrors.statuses(results))
      assert.equal("integrity", results[1].err.kind)
      assert.equal("integrity", results[2].err.kind)
      assert.equal(2, results.damaged)
      assert.same(before, mirrors.tree(dir))
    end)

    it("and sets aside what is damaged when it is told to", function()
      local bytes = zips.flip(mirrors.archive "v1", 45)
      local path = put { version = "v1", bytes = bytes }
      helpers.write_file(path .. ".zip.damaged", "an earlier one")
      put { version = "v2" }
      local results = assert(m:verify { set_aside = true })
      assert.equal(path .. ".zip.damaged-2", results[1].set_aside)
      assert.equal(bytes, helpers.read_file(results[1].set_aside))
      assert.equal("an earlier one",
        helpers.read_file(path .. ".zip.damaged"))
      assert.is_nil(lfs.attributes(path .. ".zip"))
      assert.same({ "v2" }, mirrors.versions((m:list())))
      assert.equal(0, #select(2, m:list()))
    end)

    it("until its progress function says false", function()
      for i = 1, 5 do put { version = "v" .. i } end
      local count = 0
      local results = assert(m:verify { progress = function()
        count = count + 1
        return count < 3
      end })
      assert.equal(3, #results)
    end)
  end)

  ----------------------------------------------------------------- adopting

  describe("adopts", function()
    it("a file that lost its JSON, by its name", function()
      local path = put { version = "v1", json = false }
      local entry = assert(m:adopt(path .. ".zip"))
      assert.same({ id = "a1", version_id = "v1", app_id = "a1",
        application_type = "app", created_at = "2024-06-27T06:23:42Z",
        bytes = #mirrors.archive "v1", path = path .. ".zip" }, entry)
      assert.same({ entry }, (m:list()))
      assert.equal("ok", m:verify()[1].status)
      local again = assert(m:adopt { path = path .. ".zip" })
      assert.same(entry, again)
    end)

    it("a file by any path that leads straight to it", function()
      local path = put { version = "v1", json = false } .. ".zip"
      local odd = path:gsub("/app/", "/./app//")
      assert.equal(path, assert(m:adopt(odd)).path)
      assert(os.rename(path, dir .. "/app/v1.zip"))
      assert.error_matches(function() m:adopt(dir .. "/app/../v1.zip") end,
        "is not in the folder of an application or database of this mirror")
      local same <close> = assert(square.mirror.open(dir .. "/.//"))
      assert.equal(dir, same.dir)
    end)

    it("a file whose JSON was torn", function()
      local path = put { version = "v1", json = "" }
      assert(m:adopt(path .. ".zip"))
      assert.same({ "v1" }, mirrors.versions((m:list())))
    end)

    it("a file of another name, when it is told what it is", function()
      local path = put { version = "v1", json = false }
      local other = dir .. "/app/a1/my backup.zip"
      assert(os.rename(path .. ".zip", other))
      assert.error_matches(function() m:adopt(other) end,
        "option 'created_at' is missing")
      local entry = assert(m:adopt { path = other, created_at = AT,
        version_id = "v1" })
      assert.equal("2024-06-27T06:23:42Z", entry.created_at)
      assert.equal("a1", entry.id)
      assert.same({ entry }, (m:list()))
    end)

    it("nothing that is broken, foreign, missing or there already",
      function()
        local broken = put { version = "v1", json = false,
          bytes = zips.flip(mirrors.archive "v1", 45) }
        local foreign = put { version = "v2", json = '{"name":"x"}' }
        local original = put { version = "v3" }
        local copy = dir .. "/app/a1/a1_" .. STAMP .. "_v3.zip.zip"
        helpers.write_file(copy, helpers.read_file(original .. ".zip"))
        local damaged = put { version = "v5" }
        helpers.write_file(damaged .. ".zip", mirrors.archive "other length")
        local before = mirrors.tree(dir)
        for _, row in ipairs { { broken .. ".zip", "integrity" },
          { foreign .. ".zip", "exists" }, { damaged .. ".zip", "integrity" },
          { dir .. "/app/a1/none_" .. STAMP .. ".zip", "filesystem" } } do
          local entry, err = m:adopt(row[1])
          assert.is_nil(entry)
          assert.equal(row[2], err.kind, row[1])
        end
        local entry, err = m:adopt { path = copy, version_id = "v3",
          created_at = AT }
        assert.is_nil(entry)
        assert.equal("exists", err.kind)
        assert.truthy(err.message:find("is a copy of", 1, true))
        assert.same(before, mirrors.tree(dir))
      end)
  end)
end)
