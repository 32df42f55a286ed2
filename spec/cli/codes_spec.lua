-- What the command says of each of the platform's codes, and its exit code: one
-- line that names the code, says what it means though the platform sends no
-- message, and what to do next.

local codes = require "spec.support.codes"
local failures = require "squarecloud.cli.failures"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"

local EXITS = { authentication = 4, permission = 4, not_found = 5, quota = 6,
  rate_limited = 7 }

describe("squaresnap, of the platform's", function()
  local s, client
  before_each(function()
    s = server.shared()
    s:reset()
    client = helpers.client(s, { retries = 0 })
  end)
  after_each(function()
    client:close()
    s:reset()
  end)

  for _, one in ipairs(codes.all) do
    it(one.code .. ", says what it means and what to do next", function()
      -- a read: what a create may have done is to be looked at, whatever else
      s:fault { fault = "respond", status = one.status == 503 and 500
        or one.status, code = one.code }
      local _, err = client:all_app_snapshots "a1"
      local line = failures.line(err, { id = "a1", command = "list" })
      local sentence, hint = line:match("^all_app_snapshots a1: " .. one.kind
        .. ": " .. one.code .. " %(HTTP %d+%): ([^;]+); (.+)$")
      assert.is_truthy(sentence, line)
      assert.is_nil(sentence:find "HTTP", line)
      assert.is_true(#hint > 10, line)
      assert.equal(EXITS[one.kind] or 1, failures.code(err))
    end)
  end

  it("codes, sends a create that may be done to the list first", function()
    for _, code in ipairs { "APP_NOT_FOUND", "INSUFFICIENT_MEMORY",
      "KEEP_CALM" } do
      s:fault { fault = "respond", status = 500, code = code, times = 1 }
      local _, err = client:snapshot "a1"
      assert.matches("^snapshot a1: server: " .. code .. " [^;]+; it may have "
        .. "been carried out", failures.line(err, { id = "a1" }))
    end
  end)
end)
