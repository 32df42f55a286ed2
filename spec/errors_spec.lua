--- The error object, and its kinds: from the platform's codes and statuses as
-- the test server answers them, and from what else goes wrong with a call.

local codes = require "spec.support.codes"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"

local s, client

local function open()
  s = server.shared()
  -- a limit that is met time and again would pause all that follows
  client = helpers.client(s, { retries = 0, max_retry_wait = 0 })
end

local function close() client:close() end

local FIELDS = { kind = "string", message = "string", code = "string",
  http_status = "integer", retry_after = "number", retryable = "boolean",
  operation = "string", sent = "boolean", curl_code = "integer",
  errno = "integer" }

local RETRYABLE = { network = true, timeout = true, server = true,
  rate_limited = true, pending = true }

-- What each error has to be, whatever it tells.
local function check_form(err)
  assert.equal("squarecloud.Error", getmetatable(err).__name)
  for name, value in pairs(err) do
    local wanted = FIELDS[name]
    assert.is_not_nil(wanted, tostring(name))
    assert.is_true(type(value) == wanted or math.type(value) == wanted, name)
  end
  for _, name in ipairs { "kind", "message", "retryable", "sent",
    "operation" } do
    assert.is_not_nil(err[name], name)
  end
  assert.equal(RETRYABLE[err.kind] or false, err.retryable)
  assert.is_true(#err.message > 0)
  local parts = { err.operation, err.kind }
  local status = err.http_status and ("(HTTP %d)"):format(err.http_status)
  if err.code or status then
    parts[#parts + 1] = err.code and status and err.code .. " " .. status
      or err.code or status
  end
  parts[#parts + 1] = err.message
  assert.equal(table.concat(parts, ": "), tostring(err))
  assert.is_nil(tostring(err):find "[%c\127]")
end

local function failed(fault, method, argument)
  fault.times = fault.times or 1
  s:fault(fault)
  local result, err = client[method or "account"](client, argument)
  assert.is_nil(result)
  check_form(err)
  return err
end

-- The statuses that mean a kind.
local STATUSES = {
  authentication = { 401 }, permission = { 402, 403 },
  not_found = { 404, 410 }, rate_limited = { 429 },
  bad_request = { 400, 405, 408, 409, 413, 418, 422, 451, 499 },
  server = { 500, 501, 502, 503, 504, 599 },
}

-- Codes that nobody knows, by their looks.
local LOOKS = { SOMETHING_ELSE_NOT_FOUND = "not_found",
  INVALID_ANYTHING = "bad_request", MISSING_ANYTHING = "bad_request",
  ANYTHING_FAILED = "server" }

describe("an error of kind", function()
  before_each(open)
  after_each(close)

  for _, one in ipairs(codes.all) do
    it(one.kind .. " comes from " .. one.code .. ", whatever the status",
      function()
        for _, status in ipairs { one.status, 200, 202, 400, 401, 404, 429 } do
          local err = failed { fault = "respond", status = status,
            code = one.code, message = "the platform's words" }
          assert.same({ one.kind, one.code, status, "the platform's words" },
            { err.kind, err.code, err.http_status, err.message })
        end
        local err = failed { fault = "respond", status = 500, code = one.code }
        assert.equal(one.kind, err.kind)
        assert.is_nil(err.message:find "HTTP") -- it has a sentence of its own
      end)

    it("server comes from a gateway's status, whatever " .. one.code .. " says",
      function()
        for _, status in ipairs { 502, 503, 504 } do
          local err = failed { fault = "respond", status = status,
            code = one.code }
          assert.same({ "server", one.code, status },
            { err.kind, err.code, err.http_status })
        end
      end)

    it("server comes from a POST's 5xx, and that it may have been carried "
      .. "out, whatever " .. one.code .. " says", function()
        for _, status in ipairs { 500, 503, 599 } do
          local err = failed({ fault = "respond", status = status,
            code = one.code }, "snapshot", s.apps[1])
          assert.same({ "server", one.code, status, true },
            { err.kind, err.code, err.http_status, err.sent })
        end
      end)
  end

  for kind, statuses in pairs(STATUSES) do
    it(kind .. " comes from its statuses, without a code that is known",
      function()
        for _, status in ipairs(statuses) do
          for _, fault in ipairs {
            { fault = "respond", status = status },
            { fault = "html", status = status },
            { fault = "respond", status = status, json = { status = "error" } },
            { fault = "respond", status = status, code = "NEW_CODE" },
          } do
            local code = fault.code
            local err = failed(fault)
            assert.equal(kind, err.kind, tostring(status))
            assert.equal(status, err.http_status)
            assert.equal(code, err.code)
          end
        end
      end)
  end

  for code, kind in pairs(LOOKS) do
    it(kind .. " comes from the looks of " .. code .. ", which beat no status "
      .. "that says more", function()
        for _, status in ipairs { 200, 400, 422, 500 } do
          assert.equal(kind, failed { fault = "respond", status = status,
            code = code }.kind)
        end
        for _, telling in ipairs { "authentication", "permission", "not_found",
          "rate_limited" } do
          for _, status in ipairs(STATUSES[telling]) do
            assert.equal(telling, failed { fault = "respond", status = status,
              code = code }.kind)
          end
        end
      end)
  end

  for old, new in pairs(codes.old) do
    it("has the code " .. old .. " by its name today", function()
      local err = failed { fault = "respond", status = 400, code = old }
      assert.equal(new, err.code)
      assert.equal(failed { fault = "respond", status = 400, code = new }.kind,
        err.kind)
    end)
  end

  it("pending comes from a 202", function()
    s:configure { processing_ms = 3600000 }
    local snapshot, err = client:snapshot(s.apps[1])
    assert.is_nil(snapshot)
    check_form(err)
    assert.same({ "pending", "SNAPSHOT_PROCESSING", 202, true },
      { err.kind, err.code, err.http_status, err.sent })
  end)

  it("pending comes from a restore under way", function()
    s:make_snapshot { app = s.apps[1] }
    local info = assert(client:all_app_snapshots(s.apps[1]))[1]
    s:begin_restore({ app = s.apps[1] }, 3600000)
    local result, err = client:restore_snapshot(info)
    assert.is_nil(result)
    check_form(err)
    assert.same({ "pending", "RESTORE_IN_PROGRESS", 409 },
      { err.kind, err.code, err.http_status })
  end)

  it("quota comes from the daily limit", function()
    s:configure { limits = { daily = 1 } }
    assert(client:snapshot(s.apps[1]))
    local snapshot, err = client:snapshot(s.apps[1])
    assert.is_nil(snapshot)
    check_form(err)
    assert.equal("quota", err.kind)
    assert.is_false(err.sent)
  end)

  it("rate_limited tells how long to wait", function()
    s:configure { limits = { create_account_ms = 3600000,
      retry_after = true } }
    assert(client:snapshot(s.apps[1]))
    local snapshot, err = client:snapshot(s.apps[2])
    assert.is_nil(snapshot)
    check_form(err)
    assert.equal("KEEP_CALM", err.code)
    assert.is_true(err.retry_after > 3000 and err.retry_after <= 3600)
    assert.is_false(err.sent)
    s:configure { limits = {} }
    assert.is_nil(failed { fault = "rate_limited" }.retry_after)
  end)

  for kind, place in pairs { network = "refused", tls = "self_signed",
    timeout = "silent" } do
    it(kind .. " comes from the connection", function()
      local other <close> = helpers.client(s, { retries = 0,
        timeout = kind == "timeout" and 0.3 or nil,
        base_url = s[place] .. "/v2" })
      local result, err = other:account()
      assert.is_nil(result)
      check_form(err)
      assert.equal(kind, err.kind)
      assert.is_nil(err.http_status)
      assert.is_true(err.curl_code > 0)
    end)
  end

  -- the store's and the disk's: kind, what is done to the download
  local DOWNLOADS = {
    expired = function() s:fault { fault = "expired",
      match = { pattern = "%.zip" } } end,
    not_found = function() s:fault { fault = "store_error", status = 404,
      code = "NoSuchKey", match = { pattern = "%.zip" } } end,
    permission = function() s:fault { fault = "store_error", status = 403,
      code = "AccessDenied", match = { pattern = "%.zip" } } end,
    integrity = function() s:fault { fault = "html", status = 200,
      match = { pattern = "%.zip" } } end,
    filesystem = function(o) helpers.write_file(o.path .. "/a", "")
      o.path = o.path .. "/a" end,
    exists = function(o) o.filename = "b.zip"
      helpers.write_file(o.path .. "/b.zip", "") end,
    cancelled = function(o) o.progress = function() return false end end,
  }
  for kind, arrange in pairs(DOWNLOADS) do
    it(kind .. " comes from a download", function()
      local dir <close> = helpers.tmpdir()
      local options = { path = dir.path }
      local snapshot = assert(client:snapshot(s.apps[1]))
      arrange(options)
      local zip, err = snapshot:download(options)
      assert.is_nil(zip)
      check_form(err)
      assert.equal(kind, err.kind)
      assert.equal("download " .. s.apps[1], err.operation)
      if kind == "filesystem" then
        assert.is_true(err.errno > 0)
        assert.matches(options.path, err.message, 1, true)
      end
    end)
  end
end)

describe("an error", function()
  before_each(open)
  after_each(close)

  it("prints as one line fit for a person", function()
    s:fault { fault = "respond", status = 404, code = "SNAPSHOT_NOT_FOUND",
      message = "no such snapshot or version" }
    local _, err = client:restore_snapshot { app_id = "a1",
      snapshot_id = "s", version_id = "v" }
    assert.equal("restore_snapshot a1: not_found: SNAPSHOT_NOT_FOUND "
      .. "(HTTP 404): no such snapshot or version", tostring(err))
  end)

  it("has a message when the platform sends none", function()
    for _, fault in ipairs { { fault = "respond", status = 404,
      code = "APP_NOT_FOUND" }, { fault = "respond", status = 418 },
      { fault = "nothing", status = 502 },
      { fault = "respond", status = 403, code = "MISSING_SCOPE",
        message = "" } } do
      assert.is_true(#failed(fault).message > 5)
    end
  end)

  it("shows the platform's message with what would harm escaped", function()
    local err = failed { fault = "respond", status = 400, code = "INVALID_X",
      message = "a\r\nb\27[31mc\0d\u{202e}e" }
    assert.matches("a\\x0d\\x0ab\\x1b[31mc", err.message, 1, true)
    assert.matches("\\xe2\\x80\\xaee", err.message, 1, true)
    assert.matches("maçã 🍎", failed { fault = "respond", status = 400,
      code = "INVALID_X", message = "maçã 🍎" }.message, 1, true)
  end)

  it("shows a code with what would harm escaped, and an id, too", function()
    local err = failed({ fault = "respond", status = 400,
      code = "A\nB\27C" }, "snapshot", "a\u{202e}b")
    assert.equal("A\\x0aB\\x1bC", err.code)
    assert.equal("snapshot a\\xe2\\x80\\xaeb", err.operation)
  end)

  it("cuts a message that is too long", function()
    local err = failed { fault = "respond", status = 400, code = "INVALID_X",
      message = ("é"):rep(100000) }
    assert.is_true(#err.message < 2000)
    assert.is_not_nil(utf8.len(err.message))
  end)

  it("is a plain table that can be changed and copied", function()
    local err = failed { fault = "respond", status = 404 }
    err.operation = "mine"
    assert.matches("^mine: not_found: %(HTTP 404%): ", tostring(err))
    assert.equal("x", tostring(setmetatable({ message = "x" },
      getmetatable(err))))
  end)

  it("is joined to a text from either side", function()
    local err = failed { fault = "respond", status = 404 }
    assert.equal("a" .. tostring(err), "a" .. err)
    assert.equal(tostring(err) .. "a", err .. "a")
    assert.equal("1" .. tostring(err) .. 2, 1 .. err .. 2)
    assert.equal(tostring(err) .. tostring(err), err .. err)
  end)

  it("is what assert raises, and error", function()
    local _, err = client:snapshot "nowhere"
    for _, raise in ipairs { function() _G.assert(nil, err) end,
      function() error(err) end, function() error(err, 0) end } do
      local ok, raised = pcall(raise)
      assert.is_false(ok)
      assert.is_true(rawequal(err, raised))
    end
    local ok, raised = pcall(function()
      return _G.assert(client:snapshot "nowhere").url
    end)
    assert.is_false(ok)
    assert.equal("not_found", raised.kind)
    local _, handled = xpcall(function() error(err) end, tostring)
    assert.equal(tostring(err), handled)
  end)

  it("tells which call it was, cut when the id is long", function()
    for _, case in ipairs { { "account", nil, "account" },
      { "snapshot", "a", "snapshot a" },
      { "all_app_snapshots", "a", "all_app_snapshots a" },
      { "all_snapshots", "databases", "all_snapshots databases" } } do
      assert.equal(case[3],
        failed({ fault = "respond", status = 404 }, case[1],
          case[2]).operation)
    end
    local err = failed({ fault = "respond", status = 404 }, "snapshot",
      ("x"):rep(3000))
    assert.matches("^snapshot x+%.%.%.$", err.operation)
  end)

  it("says of an action whether it may have been carried out", function()
    for _, case in ipairs {
      { { fault = "reset" }, true }, { { fault = "reset", work = true }, true },
      { { fault = "empty_reply" }, true }, { { fault = "html" }, true },
      { { fault = "respond", status = 500, code = "SNAPSHOT_FAILED" }, true },
      { { fault = "rate_limited" }, false },
      { { fault = "respond", status = 200, body = "{}" }, true },
    } do
      assert.equal(case[2], failed(case[1], "snapshot", s.apps[1]).sent,
        case[1].fault)
      case[1].times = 10 -- a GET goes again where its connection was kept
      assert.is_false(failed(case[1], "account").sent, case[1].fault)
      s:clear_faults()
    end
    local other <close> = helpers.client(s, { retries = 0,
      base_url = s.refused .. "/v2" })
    local _, err = other:snapshot "a"
    assert.is_false(err.sent)
  end)
end)
