--- Whose an application is: a listing's addresses are signed for the account
-- that owns it, which for what is in a workspace is not the key's.

local helpers = require "spec.support.helpers"
local server = require "spec.support.server"

local s, app, theirs, owner

local function begin()
  s = server.shared()
  s:reset()
  app, theirs = s.apps[1], "theirs"
  owner = "0a" .. s.account_id
  s:add_workspace { name = "ours", owner = owner,
    applications = { { id = theirs, files = { ["a.txt"] = "a" } },
      { id = "more" } } }
  for _, id in ipairs { app, s.apps[2], theirs, "more" } do
    s:add_snapshot { app = id, bytes = "PK", modified = os.time() - 60 }
  end
end

local function new_client(overrides)
  overrides = overrides or {}
  overrides.account_id = overrides.account_id or false
  return helpers.client(s, overrides)
end

-- The account in a listing's first address.
local function account_of(list)
  return list[1].url:match "/applications/([^/]+)/"
end

-- How often each was asked.
local function asked()
  return { me = #s:requests { path = "/v2/users/me" },
    workspaces = #s:requests { path = "/v2/workspaces" } }
end

local ME, WORKSPACES = { path = "/v2/users/me" }, { path = "/v2/workspaces" }

describe("a listing of an application", function()
  before_each(begin)

  it("of the account's own asks for no workspaces", function()
    local client <close> = new_client()
    for _, id in ipairs { app, s.apps[2], app } do
      assert.equal(s.account_id,
        account_of(assert(client:all_app_snapshots(id))))
    end
    assert.same({ me = 1, workspaces = 0 }, asked())
  end)

  it("of another's has the owner's addresses, which work", function()
    local client <close> = new_client()
    assert(client:snapshot(theirs))
    local info = assert(client:all_app_snapshots(theirs))[1]
    assert.equal(owner, info.url:match "/applications/([^/]+)/")
    local dir <close> = helpers.tmpdir()
    local zip <close> = assert(info:download(dir.path))
    assert.equal("a", zip:read "a.txt")
    assert.equal(owner, account_of(assert(client:all_app_snapshots "more")))
    assert.equal(owner, account_of(assert(client:app "more":all_snapshots())))
    assert.same({ me = 1, workspaces = 1 }, asked())
  end)

  it("of nobody's that is known has the key's account", function()
    local client <close> = new_client()
    for _ = 1, 2 do assert.is_nil((client:all_app_snapshots "elsewhere")) end
    assert.same({ me = 1, workspaces = 1 }, asked())
  end)

  it("asks once, however many tasks list at once", function()
    local client <close> = new_client()
    s:configure { latency_ms = 50 }
    client:run(function()
      local waiting = {}
      for i, id in ipairs { theirs, app, "more", theirs, s.apps[2] } do
        waiting[i] = client:spawn(client.all_app_snapshots, client, id)
      end
      for i, wanted in ipairs { owner, s.account_id, owner, owner,
        s.account_id } do
        assert.equal(wanted, account_of(assert(waiting[i]:wait())))
      end
    end)
    assert.same({ me = 1, workspaces = 1 }, asked())
  end)

  it("asks, when the task that asked is cancelled", function()
    local client <close> = new_client()
    s:fault { fault = "stall", times = 1, match = ME }
    local first = client:spawn(client.all_app_snapshots, client, theirs)
    s:wait_requests(ME)
    local second = client:spawn(client.all_app_snapshots, client, theirs)
    first:cancel()
    s:release()
    assert.equal(owner, account_of(assert(second:wait(30))))
    assert.same({ me = 1, workspaces = 1 }, asked())
  end)

  it("ends when its client is closed meanwhile, in another's task", function()
    local client <close> = new_client()
    local other <close> = helpers.client(s)
    s:fault { fault = "stall", times = 1, match = ME }
    local task = other:spawn(client.all_app_snapshots, client, theirs)
    s:wait_requests(ME)
    client:close()
    local nothing, err = task:wait(30)
    s:release()
    assert.is_nil(nothing)
    assert.same({ "closed", "all_app_snapshots " .. theirs },
      { err.kind, err.operation })
  end)

  it("blocks in a coroutine that is none of ours, in a task", function()
    local client <close> = new_client()
    client:run(function()
      local list = coroutine.wrap(function()
        return client:all_app_snapshots(theirs)
      end)()
      assert.equal(owner, account_of(list))
    end)
  end)

  it("asks nothing with an account_id, of the call's or client's", function()
    local client <close> = new_client()
    assert.equal("x%2Fy", account_of(assert(client:all_app_snapshots {
      app_id = theirs, account_id = "x/y" })))
    assert.equal("x", account_of(assert(client:all_snapshots {
      account_id = "x" })))
    assert.equal("x", account_of(assert(client:app(theirs):all_snapshots {
      account_id = "x" })))
    local other <close> = new_client { account_id = "z" }
    assert.equal("z", account_of(assert(other:all_app_snapshots(theirs))))
    assert.equal("x", account_of(assert(other:all_app_snapshots {
      app_id = theirs, account_id = "x" })))
    assert.same({ me = 0, workspaces = 0 }, asked())
  end)

  it("of the whole account asks nothing: it is the account's", function()
    local client <close> = new_client()
    local list = assert(client:all_snapshots())
    assert.equal(2, #list)
    assert.equal(s.account_id, account_of(list))
    assert.same({ me = 0, workspaces = 0 }, asked())
  end)
end)

describe("an owner that cannot be had", function()
  before_each(begin)

  local function told_by(overrides)
    local told = {}
    overrides.trace = function(t)
      if t.event == "account" then told[#told + 1] = t end
    end
    return new_client(overrides), told
  end

  for name, fault in pairs {
    ["for want of a scope"] = { fault = "respond", status = 403,
      code = "MISSING_SCOPE" },
    ["from a gateway"] = { fault = "html" },
    ["of an odd shape"] = { fault = "respond",
      json = { status = "success", response = { a = 1 } } },
  } do
    it("leaves the key's account, told to trace: " .. name, function()
      fault.match = WORKSPACES
      s:fault(fault)
      local client <close>, told = told_by { retries = 0 }
      for _ = 1, 2 do
        assert.equal(s.account_id,
          account_of(assert(client:all_app_snapshots(theirs))))
      end
      assert.same({ me = 1, workspaces = 1 }, asked())
      assert.equal(1, #told)
      assert.equal("all_app_snapshots " .. theirs, told[1].operation)
      assert.matches("the key's account is used", told[1].detail, 1, true)
      assert.is_nil(told[1].url)
    end)
  end

  it("may be had from the workspaces alone", function()
    s:fault { fault = "respond", status = 403, code = "MISSING_SCOPE",
      match = ME }
    local client <close>, told = told_by {}
    assert.equal(owner, account_of(assert(client:all_app_snapshots(theirs))))
    assert.equal(s.account_id,
      account_of(assert(client:all_app_snapshots(app))))
    assert.equal(1, #told)
    assert.same({ me = 1, workspaces = 1 }, asked())
  end)

  it("because nothing can be had ends the listing", function()
    s:fault { fault = "respond", status = 401, code = "ACCESS_DENIED",
      match = ME }
    local client <close>, told = told_by { retries = 0 }
    local nothing, err = client:all_app_snapshots(theirs)
    assert.is_nil(nothing)
    assert.same({ "authentication", "all_app_snapshots " .. theirs },
      { err.kind, err.operation })
    assert.equal(0, #told)
    assert.equal(1, #s:requests())
  end)
end)

describe("client:workspaces", function()
  before_each(begin)

  it("gives what the platform says", function()
    local client <close> = helpers.client(s)
    local response = assert(client:workspaces()).response
    assert.equal(1, #response)
    assert.equal(owner, response[1].owner)
    assert.equal(theirs, response[1].applications[1].id)
  end)
end)
