--- client:rehearse_restore: what is sent, what becomes of the copy when any
-- of its steps fails, and what the caller is told. Leaving a rehearsal in the
-- middle is in spec/rehearsal/leaving_spec.lua.

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local rehearsals = require "spec.support.rehearsals"

local one, s, client

local function begin(overrides)
  one = rehearsals.new(overrides)
  s, client = one.server, one.client
end

local function finish() client:close() end

local function rehearse(more)
  return client:rehearse_restore(one.info, rehearsals.options(more))
end

local function changes() return rehearsals.changes(one) end

describe("a rehearsal", function()
  before_each(function() begin() end)
  after_each(finish)

  it("uploads what was downloaded, waits until it runs, deletes it",
    function()
      local report = assert(rehearse())
      assert.same({ "POST /apps", "DELETE " .. report.id }, changes())
      assert.equal("running", report.status)
      assert.is_true(report.deleted)
      assert.is_false(rehearsals.exists(one, report.id))
      assert.is_true(rehearsals.exists(one, one.app))
      assert.equal(one.info.bytes, report.bytes)
      for _, step in ipairs { "download", "upload", "start", "delete" } do
        assert.is_true(report.seconds[step] >= 0, step)
      end
      local dir <close> = helpers.tmpdir()
      local zip <close> = assert(one.info:download(dir.path))
      assert.equal(helpers.read_file(zip.path),
        helpers.read_file(s:uploaded(report.id)))
    end)

  it("sends a form with one file, of a length that is told", function()
    assert(rehearse())
    local post = s:requests { method = "POST", path = "/v2/apps" }[2]
    assert.matches("^multipart/form%-data; boundary=",
      post.headers["content-type"])
    assert.equal(post.body_bytes, tonumber(post.headers["content-length"]))
    assert.is_nil(post.headers.expect)
    assert.equal(s.key, post.headers.authorization)
    assert.matches('name="file"; filename="' .. one.app .. "_%d+T%d+Z.zip\"",
      post.body)
  end)

  it("keeps the copy when told so", function()
    local report = assert(rehearse { keep = true })
    assert.same({ "POST /apps" }, changes())
    assert.is_false(report.deleted)
    assert.is_true(rehearsals.exists(one, report.id))
    assert.is_nil(report.seconds.delete)
  end)

  it("takes a snapshot just created, and an older one", function()
    local snapshot = assert(client:snapshot(s.apps[2]))
    local options = rehearsals.options()
    local report = assert(client:rehearse_restore(snapshot, options))
    assert.is_true(report.deleted)
    local old = s:add_snapshot { app = one.app, version_id = "old",
      bytes = downloads.archive(8), modified = os.time() - 86400 }
    local infos = assert(client:all_app_snapshots(one.app))
    assert.equal("old", infos[2].version_id)
    report = assert(client:rehearse_restore(infos[2], options))
    assert.equal(helpers.read_file(("%s/store/placed-%d.zip"):format(s.dir,
      s.placed)), helpers.read_file(s:uploaded(report.id)))
    assert.equal(old.size, report.bytes)
  end)

  it("uploads another account's with the client that is asked", function()
    local other <close> = helpers.client(s, { user_agent = "other" })
    assert(other:rehearse_restore(one.info, rehearsals.options()))
    for _, request in ipairs(s:requests { path = "/v2/apps" }) do
      local agent = request.headers["user-agent"]
      if request.uri == "/v2/apps" or request.method == "DELETE" then
        assert.equal("other", agent)
      end
    end
  end)

  it("waits while the copy starts", function()
    s:configure { boot_ms = 1500 }
    local report = assert(rehearse())
    assert.is_true(report.seconds.start >= 1)
    assert.is_true(#s:requests { path = "/v2/apps/" .. report.id .. "/status" }
      >= 3)
  end)

  it("looks past failures that may be gone at the next look", function()
    client:close()
    begin { retries = 0 }
    s:fault { fault = "html", times = 2, match = { pattern = "/status$" } }
    assert.is_true(assert(rehearse()).deleted)
  end)

  it("fills the table that it is given, and returns it", function()
    local report = { left = "over" }
    assert.equal(report, assert(rehearse { report = report }))
    assert.is_nil(report.left)
    assert.is_true(report.deleted)
  end)
end)

describe("a rehearsal without consent", function()
  before_each(function() begin() end)
  after_each(finish)

  it("raises, says why, and sends nothing", function()
    local count = #s:requests()
    for _, options in ipairs { {}, { consent = false }, { keep = true } } do
      local ok, message = pcall(client.rehearse_restore, client, one.info,
        options)
      assert.is_false(ok)
      assert.matches("option 'consent'", message, 1, true)
      assert.matches("the copy boots with the original's secrets, and may "
        .. "talk to the same database", message, 1, true)
    end
    assert.error_matches(function() client:rehearse_restore(one.info) end,
      "'consent' is missing")
    assert.equal(count, #s:requests())
  end)

  it("or of anything but an application's snapshot raises", function()
    assert(client:snapshot { app_id = s.databases[1],
      application_type = "database" })
    local infos = assert(client:all_app_snapshots { app_id = s.databases[1],
      application_type = "database" })
    local count = #s:requests()
    assert.error_matches(function()
      client:rehearse_restore(infos[1], rehearsals.options())
    end, "a database's snapshot cannot be rehearsed")
    for _, wrong in ipairs { false, "id", {}, client, 1 } do
      assert.error_matches(function()
        client:rehearse_restore(wrong, rehearsals.options())
      end, "expected a SnapshotInfo or Snapshot, got ")
    end
    assert.error_matches(function() client:rehearse_restore() end,
      "expected a SnapshotInfo or Snapshot, got no value")
    assert.equal(count, #s:requests())
  end)
end)

-- What goes wrong, and what comes of it. `arm` may give the client's options;
-- `kind` and `says` of the error; `fate` of the copy: "none", "deleted",
-- "there", "unknown"; `posts` and `deletes` the server saw.
local POST = { method = "POST", pattern = "^/v2/apps$" }
local DELETE = { method = "DELETE" }
local FAILURES = {
  ["the address has expired"] = { kind = "expired", fate = "none", posts = 0,
    faults = { { fault = "expired", match = { pattern = "%.zip" } } } },
  ["the archive is broken"] = { kind = "integrity", fate = "none", posts = 0,
    arm = function()
      s:add_snapshot { app = one.app, bytes = "PK\3\4 and no more",
        version_id = "v", modified = os.time() + 60 }
      one.info = assert(client:all_app_snapshots(one.app))[1]
    end },
  ["the download is slow"] = { kind = "timeout", fate = "none", posts = 0,
    options = { timeout = 0.3 }, faults = { { fault = "stall", bytes = 1000,
      match = { pattern = "%.zip" } } } },
  ["the plan has no room"] = { kind = "permission", fate = "none", posts = 1,
    faults = { { fault = "respond", status = 402, code = "UPGRADE_REQUIRED",
      match = POST } } },
  ["the archive is too large"] = { kind = "bad_request", fate = "none",
    posts = 1, faults = { { fault = "respond", status = 413, match = POST,
      code = "PAYLOAD_TOO_LARGE" } } },
  ["a gateway fails behind the upload"] = { kind = "server", posts = 1,
    fate = "unknown", faults = { { fault = "html", match = POST,
      work = true } } },
  ["the line breaks behind the upload"] = { kind = "network", posts = 1,
    fate = "unknown", faults = { { fault = "reset", match = POST,
      work = true } } },
  ["the upload is not answered"] = { kind = "timeout", posts = 1,
    fate = "unknown", options = { timeout = 4 },
    faults = { { fault = "stall", match = POST } } },
  ["the upload is not answered in time"] = { kind = "timeout", posts = 1,
    fate = "unknown", client = { action_timeout = 0.3 },
    says = "no answer after everything was sent",
    faults = { { fault = "stall", match = POST } } },
  ["the answer to the upload has no id"] = { kind = "protocol", posts = 1,
    fate = "unknown", faults = { { fault = "respond", match = POST,
      work = true, json = { status = "success",
        response = { id = ".." } } } } },
  ["it never runs"] = { kind = "timeout", says = "it is starting",
    fate = "deleted", options = { timeout = 4 },
    settings = { boot = "never" } },
  ["it crashes after it ran"] = { kind = "server", says = "(exited)",
    fate = "deleted", options = { settle = 600 },
    settings = { boot = "crashes", boot_ms = 1500 } },
  ["it never gets to run"] = { kind = "server", says = "does not run",
    fate = "deleted", settings = { boot = "fails" } },
  ["its status is refused"] = { kind = "permission", fate = "deleted",
    faults = { { fault = "respond", status = 403, code = "MISSING_SCOPE",
      match = { pattern = "/status$" } } } },
  ["its status is nonsense"] = { kind = "protocol", fate = "deleted",
    faults = { { fault = "respond", json = { status = "success" },
      match = { pattern = "/status$" } } } },
  ["its status is not answered"] = { kind = "timeout", fate = "deleted",
    options = { timeout = 4 },
    faults = { { fault = "stall", match = { pattern = "/status$" } } } },
  ["it cannot be deleted"] = { kind = "permission", fate = "there",
    faults = { { fault = "respond", status = 403, code = "MISSING_SCOPE",
      match = DELETE } } },
  ["deleting fails, time and again"] = { kind = "server", fate = "there",
    client = { retries = 1 }, deletes = 2,
    faults = { { fault = "html", match = DELETE } } },
  ["it neither runs nor can be deleted"] = { kind = "server", fate = "there",
    says = "(delete_app ", settings = { boot = "fails" },
    faults = { { fault = "respond", status = 403, code = "MISSING_SCOPE",
      match = DELETE } } },
}

describe("a rehearsal fails when", function()
  after_each(finish)

  for title, case in pairs(FAILURES) do
    it(title, function()
      begin(case.client)
      if case.arm then case.arm() end
      if case.settings then s:configure(case.settings) end
      for _, fault in ipairs(case.faults or {}) do s:fault(fault) end
      local report, err = rehearse(case.options)
      assert.is_nil(report)
      assert.equal(case.kind, err.kind, tostring(err))
      if case.says then assert.matches(case.says, err.message, 1, true) end
      local id = err.rehearsal.id
      local sent = changes()
      local deletes = case.deletes
        or (case.fate == "deleted" or case.fate == "there") and 1 or 0
      local wanted = {}
      for i = 1, case.posts or 1 do wanted[i] = "POST /apps" end
      for _ = 1, deletes do
        wanted[#wanted + 1] = "DELETE " .. tostring(id)
      end
      assert.same(wanted, sent)
      assert.equal(case.fate == "deleted", err.rehearsal.deleted)
      assert.matches(({ none = "; no copy was made$",
        unknown = "; a copy may have been made anyway: look for an "
          .. "application that you do not recognise$",
        deleted = "; the copy %x+ was deleted$",
        there = "; the copy %x+ is still there" })[case.fate], err.message)
      if id then
        assert.matches(id, err.message, 1, true)
        assert.equal(case.fate == "there", rehearsals.exists(one, id))
      end
      assert.equal(case.fate == "unknown", err.sent)
      assert.is_true(rehearsals.exists(one, one.app))
    end)
  end

  it("a step fails, and keeps the copy when told so", function()
    begin()
    s:configure { boot = "fails" }
    local report, err = rehearse { keep = true }
    assert.is_nil(report)
    assert.same({ "POST /apps" }, changes())
    assert.matches("; the copy " .. err.rehearsal.id .. " was kept$",
      err.message)
    assert.is_true(rehearsals.exists(one, err.rehearsal.id))
  end)
end)

describe("a rehearsal", function()
  before_each(function() begin() end)
  after_each(finish)

  it("uploads again what was refused for now, from its beginning", function()
    s:fault { fault = "rate_limited", times = 1, match = POST }
    local report = assert(rehearse())
    assert.same({ "POST /apps", "POST /apps", "DELETE " .. report.id },
      changes())
    assert.equal(one.info.bytes, #helpers.read_file(s:uploaded(report.id)))
    -- on connections of their own: libcurl can send nothing again by itself
    for _, post in ipairs(s:requests { method = "POST" }) do
      assert.equal(1, post.connection_requests)
    end
  end)

  it("is content when the copy is gone before it is deleted", function()
    s:fault { fault = "respond", status = 404, code = "APP_NOT_FOUND",
      work = true, match = DELETE }
    assert.is_true(assert(rehearse()).deleted)
  end)

  it("tries again to delete", function()
    s:fault { fault = "html", times = 1, match = DELETE }
    local report = assert(rehearse())
    assert.is_true(report.deleted)
    assert.same({ "POST /apps", "DELETE " .. report.id,
      "DELETE " .. report.id }, changes())
  end)

  local function take_large_one()
    s:add_snapshot { app = one.app, bytes = downloads.archive(32 * 1024),
      version_id = "large", modified = os.time() + 60 }
    one.info = assert(client:all_app_snapshots(one.app))[1]
  end

  it("hears a refusal while it still uploads", function()
    take_large_one()
    s:fault { fault = "respond", status = 413, code = "PAYLOAD_TOO_LARGE",
      unread = true, match = POST }
    local report, err = rehearse()
    assert.is_nil(report)
    assert.equal("PAYLOAD_TOO_LARGE", err.code)
    assert.equal("upload_app " .. one.app, err.operation)
    assert.matches("; no copy was made$", err.message)
    assert.same({ "POST /apps" }, changes())
  end)

  it("stops an upload that stands still", function()
    client:close()
    begin { stall_timeout = 1.5, action_timeout = 60, retries = 0 }
    take_large_one()
    -- 'unread': the body fills the line, and nobody takes it
    s:fault { fault = "stall", unread = true, match = POST }
    local report, err = rehearse()
    assert.is_nil(report)
    assert.equal("timeout", err.kind)
    assert.matches("the upload stalled", err.message, 1, true)
    assert.is_true(err.sent)
  end)
end)

describe("a rehearsal's progress function", function()
  before_each(function() begin() end)
  after_each(finish)

  it("is told of each step, and of the transfers' bytes", function()
    local order, last = {}, {}
    assert(rehearse { progress = function(step, done, total, rate)
      if order[#order] ~= step then order[#order + 1] = step end
      if done then last[step] = { done, total, math.type(rate) } end
    end })
    assert.same({ "download", "upload", "start", "delete" }, order)
    local all = { one.info.bytes, one.info.bytes, "float" }
    assert.same({ download = all, upload = all }, last)
  end)

  it("is told of a long upload while it goes on, ever more", function()
    s:add_snapshot { app = one.app, bytes = downloads.archive(32 * 1024),
      version_id = "large", modified = os.time() + 60 }
    one.info = assert(client:all_app_snapshots(one.app))[1]
    local seen = {}
    assert(rehearse { progress = function(step, done)
      if step == "upload" then seen[#seen + 1] = done end
    end })
    for i = 2, #seen do assert.is_true(seen[i] > seen[i - 1]) end
    assert.equal(one.info.bytes, seen[#seen])
  end)

  local FATES = { download = "no copy was made",
    upload = "a copy may have been made anyway",
    start = "was deleted" }
  for step, fate in pairs(FATES) do
    it(("cancels by false: %s"):format(step), function()
      if step == "upload" then s:fault { fault = "stall", match = POST } end
      local report, err = rehearse { progress = function(now)
        return now ~= step
      end }
      assert.is_nil(report)
      assert.equal("cancelled", err.kind)
      assert.matches(fate, err.message, 1, true)
      assert.equal(step == "start" and 1 or 0, #s:requests(DELETE))
    end)
  end

  for _, step in ipairs { "download", "upload", "start", "delete" } do
    it(("may raise: %s"):format(step), function()
      local thrown, report = {}, {}
      local ok, raised = pcall(rehearse, { report = report,
        progress = function(now)
          if now == step then error(thrown) end
        end })
      assert.is_false(ok)
      assert.equal(thrown, raised)
      assert.equal(report.id ~= nil, report.deleted)
      assert.equal((step == "start" or step == "delete") and 1 or 0,
        #s:requests(DELETE))
    end)
  end
end)

describe("a rehearsal tells nobody", function()
  before_each(function() begin() end)
  after_each(finish)

  it("the key, the address, or what the platform quotes of them", function()
    local told = {}
    client:close()
    begin { retries = 0, trace = function(t)
      for _, value in pairs(t) do told[#told + 1] = tostring(value) end
    end }
    local message = "for " .. s.key .. " at " .. one.info.url
    for _, match in ipairs { DELETE, POST } do
      s:fault { fault = "respond", status = 500, code = "INTERNAL_SERVER_ERROR",
        message = message, match = match, times = 1 }
      local _, err = rehearse()
      told[#told + 1] = tostring(err)
      told[#told + 1] = err.message
    end
    assert.is_true(#told > 20)
    local text = table.concat(told, "\n")
    assert.matches("upload_app", text)
    assert.matches("delete_app", text)
    for _, secret in ipairs { s.key, one.info.key,
      one.info.key:match "Signature=([^&]+)",
      one.info.key:match "AWSAccessKeyId=([^&]+)" } do
      assert.is_nil(text:find(secret, 1, true))
    end
  end)
end)
