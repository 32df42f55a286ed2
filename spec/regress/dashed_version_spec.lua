-- A version id that begins with "-", as one in 64 does, was taken for options:
-- `--version-id -Xab`, as pasted from a list, was refused.

local command = require "spec.support.command"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"

describe("a version id that begins with a dash", function()
  local ROWS = { { "--version-id", "-Xab" }, { "--version-id=-Xab" },
    { "--version-id", "--Xab=y" }, { "--version-id=--Xab=y" } }

  it("is downloaded, in a word of its own and behind =", function()
    local s = server.shared()
    local app = s.apps[1]
    for _, version in ipairs { "-Xab", "--Xab=y" } do
      s:add_snapshot { app = app, bytes = downloads.archive(8),
        version_id = version }
    end
    for _, words in ipairs(ROWS) do
      local dir <close> = helpers.tmpdir()
      local result = command.run(s, { "download", app, "--json", "-o",
        dir.path, table.unpack(words) })
      assert.equal(0, result.code, result.err)
      assert.equal(words[2] or words[1]:match "=(.*)",
        result:json().version_id)
    end
  end)

  it("is restored and rehearsed", function()
    for _, words in ipairs(ROWS) do
      local result = command.run(nil, { "--json", "restore", "a", "-n",
        table.unpack(words) })
      assert.equal(0, result.code, result.err)
      assert.equal(words[2] or words[1]:match "=(.*)",
        result:json().requests[1].body.versionId)
      assert.equal(4, command.run(nil, { "rehearse", "a", "-n",
        table.unpack(words) }).code) -- no key: it was read
    end
  end)

  it("is none behind `--`, where options end", function()
    local result = command.run(nil, { "verify", "--", "--version-id", "-x" })
    assert.equal(1, result.code)
    assert.matches("^squaresnap: [^\n]*%-%-version%-id[^\n]*\n"
      .. "squaresnap: [^\n]*%-x[^\n]*\n$", result.err)
  end)
end)
