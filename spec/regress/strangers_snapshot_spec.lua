--- `restore --snapshot-first` went ahead with somebody else's snapshot as its
-- safety copy: what was listed and not more than 5 s older than its request was
-- taken for the one that the platform had only promised.

local command = require "spec.support.command"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local waits = require "spec.support.waits"

describe("a safety copy", function()
  local s, app, good

  before_each(function()
    s = server.shared()
    app = s.apps[1]
    good = s:add_snapshot { app = app, path = nil, version_id = "good",
      bytes = downloads.archive(8), modified = os.time() - 86400 }
  end)

  local function restore(version, times)
    return command.run(s, { "--json", "restore", app, "--version-id", version,
      "--snapshot-first", "--yes" }, { env = waits.environment(times) })
  end

  local function restores() return #s:requests { pattern = "/restore$" } end

  it("is not one that somebody made a moment before", function()
    -- of a second before the request's
    s:add_snapshot { app = app, bytes = "PK", version_id = "somebody's",
      modified = os.time() - 1 }
    s:configure { processing_ms = 600 }
    local result = restore(good.version_id)
    assert.equal(0, result.code, result.err)
    local before = result:json().snapshot_before
    assert.is_truthy(before.version_id)
    assert.not_equal("somebody's", before.version_id)
    local client <close> = helpers.client(s)
    local list = assert(client:all_app_snapshots(app))
    assert.equal(3, #list)
    assert.equal(list[1].version_id, before.version_id)
    assert.equal(1, restores())
    assert.equal(2, #s:requests { method = "POST" })
  end)

  it("is not known when somebody made one meanwhile: nothing is restored",
    function()
      s:configure { processing_ms = 200 }
      s:add_snapshot { app = app, bytes = "PK", modified = os.time() + 30 }
      local result = restore(good.version_id)
      assert.equal(1, result.code)
      assert.matches("two snapshots [^\n]*cannot be told which", result.err)
      assert.matches("nothing was restored\n$", result.err)
      assert.equal(0, restores())
    end)

  it("that is promised and does not come ends it", function()
    s:configure { processing_ms = 600000 }
    local result = restore(good.version_id, { patience = 0.8 })
    assert.equal(1, result.code)
    assert.matches("pending: SNAPSHOT_PROCESSING", result.err)
    assert.matches("nothing was restored\n$", result.err)
    assert.equal(0, restores())
  end)

  it("is looked up when it is made at once", function()
    local result = restore(good.version_id)
    assert.equal(0, result.code, result.err)
    local client <close> = helpers.client(s)
    assert.equal(assert(client:all_app_snapshots(app))[1].version_id,
      result:json().snapshot_before.version_id)
    assert.equal(1, restores())
  end)

  it("that the list never shows ends it", function()
    s:configure { listing_cache_ms = 600000 }
    local client <close> = helpers.client(s)
    assert(client:all_app_snapshots(app)) -- kept by the platform
    local result = restore(good.version_id, { patience = 0.8 })
    assert.equal(1, result.code)
    assert.matches("pending: the list does not show it yet", result.err)
    assert.matches("nothing was restored\n$", result.err)
    assert.equal(0, restores())
  end)

  it("without a version ends it", function()
    s:configure { processing_ms = 600000 }
    s:add_snapshot { app = app, bytes = "PK", modified = os.time() + 2,
      version_id = false }
    local result = restore(good.version_id)
    assert.equal(1, result.code)
    assert.matches("the platform gives it no version", result.err)
    assert.equal(0, restores())
  end)
end)
