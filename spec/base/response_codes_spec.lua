-- response_codes.c: what codes and statuses mean, and which of them counts.

local codes = require "spec.support.codes"
local probe = require "base_probe"

local STATUSES = {
  [0] = "protocol", [100] = "protocol", [199] = "protocol", [200] = "ok",
  [202] = "ok", [204] = "ok", [299] = "ok", [300] = "protocol",
  [302] = "protocol", [304] = "protocol", [399] = "protocol",
  [400] = "bad_request", [401] = "authentication", [402] = "permission",
  [403] = "permission", [404] = "not_found", [405] = "bad_request",
  [408] = "bad_request", [409] = "bad_request", [410] = "not_found",
  [413] = "bad_request", [418] = "bad_request", [422] = "bad_request",
  [429] = "rate_limited", [499] = "bad_request", [500] = "server",
  [502] = "server", [503] = "server", [504] = "server", [599] = "server",
  [600] = "protocol", [999] = "protocol", [-1] = "protocol",
  [-404] = "protocol",
}

describe("a known code", function()
  for _, one in ipairs(codes.all) do
    it(one.code .. " is " .. one.kind .. ", whatever the status", function()
      for _, status in ipairs { one.status, 200, 202, 400, 401, 403, 404, 409,
        418, 429 } do
        for _, post in ipairs { false, true } do
          local kind = one.status >= 500 and status == one.status and "server"
            or one.kind
          assert.equal(kind, probe.response_kind(status, one.code, post))
        end
      end
      assert.equal(one.kind, probe.response_kind(500, one.code, false))
      assert.equal(one.kind, probe.response_kind(501, one.code, false))
      assert.equal(one.code, probe.code_canonical(one.code))
    end)

    it(one.code .. " decides nothing behind a gateway's status, nor a POST's "
      .. "5xx", function()
        for _, status in ipairs { 502, 503, 504 } do
          assert.equal("server", probe.response_kind(status, one.code, false))
        end
        for _, status in ipairs { 500, 501, 502, 503, 504, 520, 599 } do
          assert.equal("server", probe.response_kind(status, one.code, true))
        end
      end)

    it(one.code .. " has its sentence, which no other kind gets", function()
      assert.is_true(#probe.code_sentence(one.code, one.kind) > 10)
      assert.is_nil(probe.code_sentence(one.code, "network"))
      local other = one.kind == "server" and "quota" or "server"
      assert.is_nil(probe.code_sentence(one.code, other))
    end)
  end

  for old, new in pairs(codes.old) do
    it(old .. " means " .. new, function()
      assert.equal(new, probe.code_canonical(old))
      local kind = probe.response_kind(400, new, false)
      assert.equal(kind, probe.response_kind(400, old, false))
      assert.equal(probe.code_sentence(new, kind),
        probe.code_sentence(old, kind))
    end)
  end
end)

describe("a code that nobody knows", function()
  local looks = {
    { "WORKSPACE_NOT_FOUND", "not_found" },
    { "INVALID_THING_NOT_FOUND", "not_found" },
    { "THING_FAILED", "server" },
    { "INVALID_FAILED", "server" },
    { "INVALID_THING", "bad_request" },
    { "MISSING_THING", "bad_request" },
    { "MISSING_SCOPES", "bad_request" },
  }
  for _, case in ipairs(looks) do
    it(case[1] .. " is " .. case[2] .. " by its looks", function()
      for _, status in ipairs { 200, 400, 409, 413, 418, 422, 500 } do
        assert.equal(case[2], probe.response_kind(status, case[1], false))
      end
      assert.equal(case[1], probe.code_canonical(case[1]))
      assert.is_nil(probe.code_sentence(case[1], case[2]))
    end)

    it(case[1] .. " beats no status that says more", function()
      for _, status in ipairs { 401, 402, 403, 404, 410, 429, 502, 503, 504 } do
        for _, post in ipairs { false, true } do
          assert.equal(STATUSES[status],
            probe.response_kind(status, case[1], post))
        end
      end
      assert.equal("server", probe.response_kind(500, case[1], true))
    end)
  end

  it("says nothing when it looks like nothing, and is passed through",
    function()
      for _, code in ipairs { "", "X", "TEAPOT", "NOT_FOUND_X", "FAILED",
        "INVALID", "invalid_id", "keep_calm", "KEEP_CALM ", " KEEP_CALM",
        "XINVALID_ID", "FAILED_X" } do
        for status, kind in pairs(STATUSES) do
          assert.equal(kind, probe.response_kind(status, code, false), code)
          assert.equal(kind, probe.response_kind(status, code, true), code)
        end
        assert.equal(code, probe.code_canonical(code))
      end
    end)
end)

describe("a status without a code", function()
  for status, kind in pairs(STATUSES) do
    it(status .. " is " .. kind, function()
      assert.equal(kind, probe.status_kind(status))
    end)
  end
end)
