--- Emptying a mirror: what a policy does not keep goes, and nothing else does.

local lfs = require "lfs"
local helpers = require "spec.support.helpers"
local mirrors = require "spec.support.mirrors"
local retention = require "squarecloud.retention"

local DAY = mirrors.DAY
local AT = 1719446400 -- 2024-06-27T00:00:00Z

describe("a prune", function()
  local folder, dir, m

  before_each(function() folder, dir, m = mirrors.begin() end)
  after_each(function() mirrors.finish(folder, m) end)

  -- Snapshots v0 (the newest) to v<count - 1>, a day apart.
  local function fill(count, id)
    local paths = {}
    for i = 0, count - 1 do
      paths["v" .. i] = mirrors.put(dir, { id = id or "a1",
        at = AT - i * DAY, version = "v" .. i })
    end
    return paths
  end

  it("removes what the policy does not keep, with its JSON", function()
    local paths = fill(5)
    local results = assert(m:prune { keep_last = 2 })
    assert.same({ "v0", "v1", "v2", "v3", "v4" }, mirrors.versions(results))
    assert.same({ "kept", "kept", "removed", "removed", "removed" },
      mirrors.statuses(results))
    assert.same({ "last snapshot" }, results[1].reasons)
    local size = #mirrors.archive "v0"
    assert.same({ 2, 3, 0, 0, 3 * size }, { results.kept, results.removed,
      results.failed, results.planned, results.bytes })
    assert.same({ "v1", "v0" }, mirrors.versions((m:list())))
    for version, path in pairs(paths) do
      local kept = version == "v0" or version == "v1"
      assert.equal(kept, lfs.attributes(path .. ".zip") ~= nil)
      assert.equal(kept, lfs.attributes(path .. ".json") ~= nil)
    end
    local again = assert(m:prune { keep_last = 2 })
    assert.equal(0, again.removed)
  end)

  it("judges each id alone", function()
    fill(3, "a1")
    fill(3, "a2")
    assert.equal(4, assert(m:prune { keep_last = 1 }).removed)
    assert.equal("v0", m:latest("a1").version_id)
    assert.equal("v0", m:latest("a2").version_id)
  end)

  it("says only what it would remove in a dry run", function()
    fill(3)
    local before = mirrors.tree(dir)
    local results = assert(m:prune({ keep_last = 1 }, { dry_run = true }))
    assert.same({ "kept", "planned", "planned" }, mirrors.statuses(results))
    assert.equal(2 * #mirrors.archive "v0", results.bytes)
    assert.same(before, mirrors.tree(dir))
  end)

  it("refuses what `on_empty` refuses", function()
    fill(3)
    local before = mirrors.tree(dir)
    local options = { now = AT + 90 * DAY, relative_to = "now" }
    local none, err = m:prune({ keep_within = "7d" }, options)
    assert.is_nil(none)
    assert.equal("bad_request", err.kind)
    assert.equal("prune: bad_request: refusing to remove every snapshot of a1 "
      .. "(3), set on_empty to allow it", tostring(err))
    assert.same(before, mirrors.tree(dir))
    options.on_empty = "keep_newest"
    assert.equal(2, assert(m:prune({ keep_within = "7d" }, options)).removed)
    options.on_empty = "allow"
    assert.equal(1, assert(m:prune({ keep_within = "7d" }, options)).removed)
    assert.same({ {}, {} }, { m:list() })
  end)

  for _, policy in ipairs { {}, { keep_dayly = 7 }, { keep_last = 0 },
    { keep_last = 1.5 } } do
    it("refuses a policy that is none: " .. (next(policy) or ""), function()
      fill(2)
      local before = mirrors.tree(dir)
      local none, err = m:prune(policy)
      assert.is_nil(none)
      assert.equal("bad_request", err.kind)
      assert.same(before, mirrors.tree(dir))
    end)
  end

  it("removes no file that the mirror did not make", function()
    fill(4)
    mirrors.put(dir, { id = "a1", at = AT - 50 * DAY, version = "lost",
      json = false })
    mirrors.put(dir, { id = "a1", at = AT - 51 * DAY, version = "other",
      json = '{"name":"not ours"}' })
    mirrors.put(dir, { id = "a1", at = AT - 52 * DAY, version = "newer",
      json = '{"mirror":2}' })
    local damaged = mirrors.put(dir, { id = "a1", at = AT - 53 * DAY,
      version = "damaged" })
    helpers.write_file(damaged .. ".zip", "another's")
    for _, name in ipairs { "notes.txt", "a.zip.part", "b.json", "c.zip" } do
      helpers.write_file(dir .. "/app/a1/" .. name, "foreign")
    end
    local linked = mirrors.put(dir, { id = "a1", at = AT - 54 * DAY,
      version = "linked" })
    assert(os.rename(linked .. ".zip", folder .. "/linked.zip"))
    assert(lfs.link(folder .. "/linked.zip", linked .. ".zip", true))
    local before = mirrors.tree(folder.path)
    assert.equal(3, assert(m:prune { keep_last = 1 }).removed)
    local after = mirrors.tree(folder.path)
    for path, bytes in pairs(before) do
      if not path:find "_v[123]%." then
        assert.equal(bytes, after[path], path)
      else
        assert.is_nil(after[path])
      end
    end
  end)

  it("goes on when one file cannot be removed", function()
    fill(3)
    local paths = fill(3, "a2")
    local remove = os.remove
    os.remove = function(path) -- luacheck: ignore 122
      if path == paths.v1 .. ".zip" then
        return nil, path .. ": Operation not permitted", 1
      end
      return remove(path)
    end
    local ok, results = pcall(m.prune, m, { keep_last = 1 })
    os.remove = remove -- luacheck: ignore 122
    assert(ok, results)
    assert.equal(3, results.removed)
    assert.equal(1, results.failed)
    for _, one in ipairs(results) do
      if one.status == "failed" then
        assert.equal(paths.v1 .. ".zip", one.path)
        assert.equal("filesystem", one.err.kind)
        assert.equal(1, one.err.errno)
        assert.equal("filesystem: cannot remove " .. paths.v1
          .. ".zip: Operation not permitted", tostring(one.err))
      end
    end
    assert.equal(1, assert(m:prune { keep_last = 1 }).removed)
  end)

  it("removes what is left of downloads that can never be finished",
    function()
      local paths = fill(2)
      assert(os.rename(paths.v1 .. ".zip", paths.v1 .. ".zip.part"))
      assert(m:prune({ keep_last = 1 }, { now = AT + 28 * DAY }))
      assert.truthy(lfs.attributes(paths.v1 .. ".zip.part"))
      assert(m:prune({ keep_last = 1 }, { now = AT + 29 * DAY }))
      assert.equal(2, #helpers.names(dir .. "/app/a1"))
    end)

  it("has the same end whatever was pruned before it", function()
    local policy = { keep_last = 2, keep_weekly = 3, keep_monthly = 2 }
    fill(60)
    local keep = assert(retention.apply(m:list(), policy))
    for days = 30, 0, -10 do
      assert(m:prune(policy, { now = AT - days * DAY }))
    end
    local left = {}
    for _, entry in ipairs(m:list()) do left[entry.version_id] = true end
    for _, entry in ipairs(keep) do
      assert.is_true(left[entry.version_id], entry.version_id)
    end
    assert.equal(0, assert(m:prune(policy)).removed)
  end)
end)
