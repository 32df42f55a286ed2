--- The caller's report was where a rehearsal kept the id of its copy: of two
-- with one report, both watched and deleted the second's copy, and the first's
-- ran on with the original's secrets; an id that a progress function wrote
-- there was deleted, whosever it was.

local rehearsals = require "spec.support.rehearsals"
local tasks = require "spec.support.tasks"

describe("a rehearsal whose report somebody else writes to", function()
  local one, s, client, report, options

  before_each(function()
    one = rehearsals.new()
    s, client, report = one.server, one.client, {}
    options = rehearsals.options { report = report, settle = 0.3 }
  end)
  after_each(function() client:close() end)

  local function spawn()
    return client:spawn(client.rehearse_restore, client, one.info, options)
  end

  -- That so many were uploaded, and each of them deleted, once.
  local function assert_deleted(count)
    local uploads, deleted, deletes = 0, {}, 0
    for _, change in ipairs(rehearsals.changes(one)) do
      local id = change:match "^DELETE (.*)"
      if id then
        deleted[id], deletes = true, deletes + 1
        assert.is_false(rehearsals.exists(one, id))
      else
        assert.equal("POST /apps", change)
        uploads = uploads + 1
      end
    end
    local different = 0
    for _ in pairs(deleted) do different = different + 1 end
    assert.same({ count, count, count }, { uploads, deletes, different })
    for _, id in ipairs(s.apps) do
      assert.is_true(rehearsals.exists(one, id))
    end
  end

  it("deletes its own copy: two at once", function()
    local a, b
    client:run(function()
      a, b = spawn(), spawn()
    end)
    assert.is_true(assert(a:wait()).deleted and assert(b:wait()).deleted)
    assert_deleted(2)
  end)

  it("deletes its own copy: another begins, and it is cancelled", function()
    s:configure { boot = "never" }
    local a = spawn()
    tasks.step_until(client, function() return report.id end)
    local b = spawn()
    assert.is_nil(report.id)
    a:cancel()
    tasks.step_until(client, function() return report.status end)
    b:cancel()
    tasks.step_until(client, function() return client:pending() == 0 end)
    assert_deleted(2)
  end)

  it("deletes its own copy: its progress function does", function()
    function options.progress(step)
      if step ~= "start" then return end
      report.id, report.seconds, report.deleted = s.apps[2], nil, true
    end
    assert.equal(report, assert(client:rehearse_restore(one.info, options)))
    assert.is_true(report.deleted and report.seconds.start > 0)
    assert.not_equal(s.apps[2], report.id)
    assert_deleted(1)
  end)
end)
