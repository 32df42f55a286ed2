--- The end of the process in mid-TLS, from Lua and from a C host, time and
-- again; in a lookup, in a sync, by another thread: never by a signal, always
-- with the code that was asked for.

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local lifetimes = require "spec.support.lifetimes"
local server = require "spec.support.server"
local tool = require "spec.support.tool"

local TIMES = tool.times(200)

-- Some handshakes under way, at another point each time.
local MIDDLE = [[
turn = turn or tonumber(os.getenv "TURN")
for _ = 1, 4 do client:spawn(client.account, client) end
client:step(turn % 25 / 1000)
]]

describe("the end of the process", function()
  local s, dir

  before_each(function()
    s = server.shared()
    dir = helpers.tmpdir()
  end)
  after_each(function() helpers.remove(dir.path) end)

  it("by os.exit in mid-TLS, 200 times, is no crash", function()
    local path = dir .. "/script.lua"
    helpers.write_file(path, lifetimes.PROLOGUE .. MIDDLE .. "os.exit(1)")
    local words = { "sh", "-c", [[
      i=0
      while [ $i -lt ]] .. TIMES .. [[ ]; do
        TURN=$i "$@" || { code=$?; [ $code = 1 ] || echo "turn $i: $code"; }
        i=$((i + 1))
      done
      echo $i]], "sh", "lua5.4", path }
    table.move(lifetimes.arguments(s), 1, 6, #words + 1, words)
    local out, err, how, code = lifetimes.start(words).wait()
    assert.equal(TIMES .. "\n", out)
    assert.equal("", err)
    assert.same({ "exit", 0 }, { how, code })
  end)

  it("by a C host's exit in mid-TLS, 200 times, is no crash", function()
    local out, err = lifetimes.run(lifetimes.PROLOGUE .. MIDDLE,
      lifetimes.arguments(s), { TIMES = TIMES }, "exit")
    assert.equal("exited " .. TIMES .. "\n", out)
    assert.equal("", err)
  end)

  it("by exit in the middle of a Lua call is no crash", function()
    local out, err = lifetimes.run(lifetimes.PROLOGUE .. MIDDLE .. [[
      client:run(function()
        client:account()
        probe.exit(3)
      end)
    ]], lifetimes.arguments(s), { TIMES = tool.times(20) }, "exit")
    assert.equal("exited " .. tool.times(20) .. "\n", out)
    assert.equal("", err)
  end)

  it("while another thread's state works is no crash", function()
    for turn = 1, tool.times(40) do
      local sign = dir .. "/sign" .. turn
      local _, err, how, code = lifetimes.run(lifetimes.PROLOGUE .. [[
        assert(client:account()) -- libcurl is set up
        client = nil
        io.open(os.getenv "SIGN", "w"):close()
        while true do
          local one = new_client()
          local ok, why = one:account()
          assert(ok or why.kind == "closed", why)
          one:close()
          one = nil
          collectgarbage()
        end
      ]], lifetimes.arguments(s), { SIGN = sign }, "leave")
      assert.equal("", err)
      assert.same({ "exit", 0 }, { how, code })
    end
  end)

  it("while another thread's first request sets all up is no crash", function()
    for turn = 1, tool.times(30) do
      local sign = dir .. "/sign" .. turn
      local _, err, how, code = lifetimes.run(lifetimes.PROLOGUE .. [[
        local ok, why = client:account()
        assert(ok or why.kind == "closed", why)
        while true do client:sleep(0.01) end
      ]], lifetimes.arguments(s), { SIGN = sign, SLOW_SIGN = sign,
        SLOW_CONFIG = turn / 1000, SLOW_STAYS = 1, LINGER = 0.05,
        LD_PRELOAD = lifetimes.slow() }, "leave")
      assert.equal("", err)
      assert.same({ "exit", 0 }, { how, code })
    end
  end)

  for name, slow in pairs {
    ["a name lookup"] = { SLOW_LOOKUP = "2" },
    ["a sync"] = { SLOW_SYNC = "2" },
  } do
    it("in the middle of " .. name .. " keeps its code", function()
      slow.SLOW_SIGN, slow.LD_PRELOAD = dir .. "/sign", lifetimes.slow()
      s:add_snapshot { app = s.apps[1], bytes = downloads.archive(64) }
      local _, err, how, code = lifetimes.run(lifetimes.PROLOGUE .. [[
        local info = assert(client:all_app_snapshots(app))[1]
        client:spawn(info.download, info, dir)
        local other = new_client { base_url = "https://slow.invalid/v2" }
        other:spawn(other.account, other)
        until_true(function() return exists(os.getenv "SLOW_SIGN") end)
        os.exit(7)
      ]], lifetimes.arguments(s, dir .. "/d"), slow)
      assert.equal("", err)
      assert.same({ "exit", 7 }, { how, code })
    end)
  end

  it("by a signal's default is by that signal", function()
    local _, _, how, code = lifetimes.run(lifetimes.PROLOGUE .. [[
      client:spawn(client.account, client)
      probe.alarm(0.01, 15)
      while true do client:step(1) end
    ]], lifetimes.arguments(s))
    assert.same({ "signal", 15 }, { how, code })
  end)
end)
