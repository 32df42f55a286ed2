--- A mirror of the whole account has what is in workspaces, too, whose
-- applications no list of the account has.

local helpers = require "spec.support.helpers"
local mirrors = require "spec.support.mirrors"
local server = require "spec.support.server"

local WORKSPACES = { path = "/v2/workspaces" }

describe("a mirror of the whole account", function()
  local s, app, theirs, folder, dir, m

  before_each(function()
    s = server.shared()
    app, theirs = s.apps[1], "theirs"
    s:add_workspace { name = "ours", owner = "0a" .. s.account_id,
      applications = { { id = theirs }, { id = "more" } } }
    folder, dir, m = mirrors.begin()
    s:add_snapshot { app = app, bytes = mirrors.archive(1),
      version_id = "v1", modified = mirrors.AT }
    s:add_snapshot { app = theirs, bytes = mirrors.archive(2),
      version_id = "v2", modified = mirrors.AT }
  end)
  after_each(function() mirrors.finish(folder, m) end)

  local function new_client(overrides)
    overrides = overrides or {}
    overrides.account_id = false
    return helpers.client(s, overrides)
  end

  for _, plan in ipairs { "standard", "free" } do
    it("has the workspaces' applications, on a " .. plan .. " plan",
      function()
        s:configure { plan = plan }
        local client <close> = new_client()
        local results = assert(m:sync(client, { all = true,
          now = mirrors.AT }))
        assert.same({ 2, 0 }, { results.downloaded, results.failed })
        assert.same({ "v1", "v2" }, mirrors.versions((m:list())))
        assert.equal("directory", require "lfs".attributes(dir .. "/app/"
          .. theirs, "mode"))
      end)
  end

  it("lists none of the account's own a second time", function()
    s:add_workspace { name = "mine", owner = s.account_id,
      applications = { { id = "mine" } } }
    s:add_snapshot { app = "mine", bytes = mirrors.archive(3),
      version_id = "v3", modified = mirrors.AT }
    local client <close> = new_client()
    assert.equal(3, assert(m:sync(client, { all = true,
      now = mirrors.AT })).downloaded)
    assert.equal(0, #s:requests { path = "/v2/apps/mine" })
  end)

  it("does without workspaces that the key may not see", function()
    s:fault { fault = "respond", status = 403, code = "MISSING_SCOPE",
      match = WORKSPACES }
    local client <close> = new_client()
    local results = assert(m:sync(client, { all = true, now = mirrors.AT }))
    assert.same({ 1, 0 }, { results.downloaded, results.failed })
  end)

  it("tells of those that could not be asked for", function()
    for _, fault in ipairs { { fault = "html" }, { fault = "respond",
      json = { status = "success", response = 5 } } } do
      s:clear_faults()
      fault.match = WORKSPACES
      s:fault(fault)
      local client <close> = new_client { retries = 0 }
      local results = assert(m:sync(client, { all = true,
        now = mirrors.AT }))
      assert.equal(1, results.failed)
      assert.equal(fault.json and "protocol" or "server",
        results[#results].err.kind)
    end
  end)
end)
