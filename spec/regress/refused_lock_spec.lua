-- Where the file system refuses locks, as some of a network do, squaresnap sync
-- and prune could not be used: they named an option of the Lua function.

local failing = require "spec.support.failing"
local mirrors = require "spec.support.mirrors"
local server = require "spec.support.server"

-- Runs f with every flock of the module refused: 37 is ENOLCK.
local HEAD = [[
local words = { ... }
require "squarecloud.core"
local function without_locks(f)
  local _, failed, _, result, err = shim.call("core", "flock", 1, 1000000, 37,
    f)
  return failed, result, err
end
]]

describe("a mirror where locks are refused", function()
  local folder, dir, m
  before_each(function()
    folder, dir, m = mirrors.begin()
    for day = 1, 2 do
      mirrors.put(dir, { version = "v" .. day, at = mirrors.AT
        - day * mirrors.DAY })
    end
  end)
  after_each(function() mirrors.finish(folder, m) end)

  local function squaresnap(words, key)
    return failing.run(HEAD .. [[
      local failed, code = without_locks(function()
        return require("squarecloud.cli").main(words)
      end)
      if failed == 0 then print "nothing was refused" end
      os.exit(code, true)]], words, { SQUARE_API_KEY = key })
  end

  local function prune(...)
    return squaresnap { "prune", "-y", "--keep-last=1", "--dir", dir, ... }
  end

  it("is pruned with --no-lock, which the message names", function()
    local out, code = prune()
    assert.equal(1, code)
    assert.matches("^squaresnap: filesystem: cannot lock " .. dir
      .. "/%.mirror%.lock: [^;\n]*; fix that, or, on a file system without "
      .. "locks, use %-%-no%-lock while nothing else changes the "
      .. "mirror\n$", out)
    assert.equal(2, #assert(m:list()))
    out, code = prune "--no-lock"
    assert.equal(0, code, out)
    assert.matches("\nnothing was refused\n1 kept, 1 removed, ", out)
    assert.equal(1, #assert(m:list()))
  end)

  it("is filled with --no-lock", function()
    local s = server.shared()
    local app = s.apps[1]
    s:add_snapshot { app = app, bytes = mirrors.archive "v",
      version_id = "v" }
    local words = { "--base-url=" .. s.http_base_url, "--snapshots-url="
      .. s.http_snapshots_url, "sync", app, "--dir", dir }
    local out, code = squaresnap(words, s.key)
    assert.equal(1, code)
    assert.matches("use --no-lock while", out, 1, true)
    words[#words + 1] = "--no-lock"
    out, code = squaresnap(words, s.key)
    assert.equal(0, code, out)
    assert.equal(3, #assert(m:list()))
  end)

  it("names the option of the Lua function to a script", function()
    local out = failing.run(HEAD .. [[
      local square = require "squarecloud"
      local m = assert(square.mirror.open(words[1]))
      local _, result, err = without_locks(function()
        return m:prune { keep_last = 1 }
      end)
      print(result, err.errno, err)]], { dir })
    assert.matches("^nil\t37\tfilesystem: cannot lock [^\n]*; "
      .. "see the option `lock`\n$", out)
    assert.equal(2, #assert(m:list()))
  end)
end)
