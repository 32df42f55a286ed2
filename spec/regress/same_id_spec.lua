--- An application and a database of one id were one group to the retention
-- rules, and one snapshot when their versions were equal, too: prune removed
-- the application's only one, and sync took the database's for it.

local helpers = require "spec.support.helpers"
local mirrors = require "spec.support.mirrors"
local server = require "spec.support.server"
local retention = require "squarecloud.retention"

local AT = mirrors.AT

describe("an application and a database of one id", function()
  local folder, dir, m

  before_each(function() folder, dir, m = mirrors.begin() end)
  after_each(function() mirrors.finish(folder, m) end)

  local function put(application_type, version, at)
    return mirrors.put(dir, { id = "a1", version = version, at = at,
      application_type = application_type })
  end

  it("are judged apart", function()
    put("app", "v1", AT - 9)
    put("app", "v2", AT - 8)
    put("database", "v3", AT)
    local results = assert(m:prune({ keep_last = 1 }))
    assert.same({ 2, 1 }, { results.kept, results.removed })
    assert.same({ "v2", "v3" }, mirrors.versions((m:list())))
    local _, _, reasons = retention.apply(m:list(), { keep_last = 1 })
    assert.same({ { "last snapshot" }, { "last snapshot" } }, reasons)
  end)

  it("keep something each", function()
    put("app", "v1", AT - 9)
    put("database", "v2", AT)
    local results, err = m:prune({ keep_tags = { { "none" } } })
    assert.is_nil(results)
    assert.matches("refusing to remove every snapshot of a1 %(1%)",
      err.message)
  end)

  it("are not one for having the same version", function()
    put("app", "v1", AT)
    put("database", "v1", AT)
    assert.equal(2, assert(m:prune({ keep_last = 1 })).kept)
    local app, database = table.unpack((m:list()))
    assert.same({ app }, assert(retention.to_download({ app }, { database },
      { keep_last = 1 })))
    assert.same({}, assert(retention.to_download({ app }, { database, app },
      { keep_last = 1 })))
  end)

  it("are not made of one whose type is not told everywhere", function()
    local typed = { id = "a1", version_id = "v1", created_at = AT,
      application_type = "database" }
    local plain = { id = "a1", version_id = "v1", created_at = AT }
    local newer = { id = "a1", version_id = "v2", created_at = AT + 1 }
    local policy = { keep_last = 2 }
    assert.same({}, assert(retention.to_download({ typed }, { plain }, policy)))
    assert.same({}, assert(retention.to_download({ plain }, { typed }, policy)))
    assert.same({ newer }, assert(retention.to_download({ typed, newer },
      { plain }, policy)))
    assert.matches("are the same", select(2, retention.apply({ typed, plain },
      policy)))
    local keep, remove = retention.apply({ typed, newer }, { keep_last = 1 })
    assert.same({ { newer }, { typed } }, { keep, remove })
  end)

  it("are one group when they are said to be", function()
    put("app", "v1", AT - 9)
    put("database", "v2", AT)
    local function by_id(one) return one.id end
    assert.equal(1,
      assert(m:prune({ keep_last = 1 }, { group_by = by_id })).removed)
  end)

  it("are fetched apart", function()
    local s = server.shared()
    local client <close> = helpers.client(s)
    local id = s.apps[1]
    s:add_database { id = id }
    s:add_snapshot { app = id, version_id = "v1", modified = AT,
      bytes = mirrors.archive(1) }
    s:add_snapshot { database = id, version_id = "v1", modified = AT,
      bytes = mirrors.archive(2) }
    local results = assert(m:sync(client, { apps = { id },
      databases = { id }, now = AT }))
    assert.equal(2, results.downloaded)
    assert.equal(2, #m:list())
  end)
end)
