-- What a prune asked about was not what it removed: it judged afresh behind the
-- answer, and what a sync had brought meanwhile made more files go.

local command = require "spec.support.command"
local downloads = require "spec.support.downloads"
local mirrors = require "spec.support.mirrors"

describe("a prune whose question waits", function()
  local folder, dir, m
  before_each(function() folder, dir, m = mirrors.begin() end)
  after_each(function() mirrors.finish(folder, m) end)

  local function put(version, days)
    mirrors.put(dir, { version = version, at = mirrors.AT
      - days * mirrors.DAY })
  end

  it("removes nothing that it did not ask about", function()
    for day = 1, 4 do put("v" .. day, day) end
    local process = command.terminal(nil, { "prune", "--keep-last=2", "--dir",
      dir }, { columns = 200 })
    downloads.wait(function()
      return process.shown():find("[y/N] ", 1, true)
    end, "the question")
    put("v0", 0) -- now the rules drop v2, too
    process.type "y\n"
    local result = process.wait()
    assert.equal(0, result.code, result.out)
    assert.same({ "v2", "v1", "v0" }, mirrors.versions((m:list())))
    for version, why in pairs { v0 = "last snapshot", v1 = "last snapshot",
      v2 = "not asked about" } do
      assert.matches("\nkept +[%d-]+ [%d:]+ +[%d.]+ %a+  " .. why
        .. " +/[^\n]*_" .. version .. "%.zip\r\n", result.out)
    end
    assert.matches("3 kept, 2 removed, ", result.out)
    -- and the next one does
    assert.equal(0, command.run(nil, { "prune", "--keep-last=2", "-y", "--dir",
      dir }).code)
    assert.same({ "v1", "v0" }, mirrors.versions((m:list())))
  end)
end)
