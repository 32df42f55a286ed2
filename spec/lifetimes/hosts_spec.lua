--- Hosts of many kinds: two Lua states in two threads, a state moved between
-- threads, the module's file unloaded behind the state, states without os, io
-- and coroutine, libcurl and lua-cjson used by the host itself, Lua's warn.

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local lifetimes = require "spec.support.lifetimes"
local server = require "spec.support.server"

describe("in a C host", function()
  local dir, s

  before_each(function()
    s = server.shared()
    dir = helpers.tmpdir()
    s:add_snapshot { app = s.apps[1], bytes = downloads.archive(256) }
  end)
  after_each(function() helpers.remove(dir.path) end)

  local function run(mode, script, environment)
    local out, err, how, code = lifetimes.run(lifetimes.PROLOGUE .. script,
      lifetimes.arguments(s, dir .. "/d"), environment, mode)
    assert.equal("", err)
    assert.same({ "exit", 0 }, { how, code })
    return out
  end

  it("two states in two threads do not meet", function()
    run("thread", [[
      client:run(function()
        for _ = 1, 4 do client:spawn(client.account, client) end
        local info = assert(client:all_app_snapshots(app))[1]
        local name = tostring({}):gsub("%W", "")
          .. ("%.9f"):format(probe.now()) -- an address comes again
        local zip <close> = assert(info:download { path = dir,
          filename = name .. ".zip" })
        assert(zip:test())
      end)
      client:spawn(client.account, client) -- left to lua_close
      client:step(0)
    ]], { TIMES = 15 })
    assert.equal(30, #helpers.names(dir .. "/d"))
  end)

  it("a state goes from thread to thread", function()
    assert.equal("1 2 3 4 5 6 7 8 9 10 ", run("move", [[
      local n, task = 0, client:spawn(client.account, client)
      return function()
        n = n + 1
        assert(client:account())
        client:step(0)
        if n % 3 == 0 then
          assert(task:wait())
          task = client:spawn(client.account, client)
        end
        local info = assert(client:all_app_snapshots(app))[1]
        local zip <close> = assert(info:download { path = dir,
          overwrite = true })
        assert(zip:test())
        io.write(n, " ")
      end
    ]], { TIMES = 10 }))
  end)

  for name, script in pairs {
    ["nothing under way"] = "assert(client:account())",
    ["calls under way"] = [[
      for _ = 1, 4 do client:spawn(client.account, client) end
      client:step(0.002)
    ]],
    ["a name lookup under way"] = [[
      local other = new_client { base_url = "https://slow.invalid/v2" }
      other:spawn(other.account, other)
      until_true(function() return exists(os.getenv "SLOW_SIGN") end)
    ]],
    ["a sync under way"] = [[
      local info = assert(client:all_app_snapshots(app))[1]
      client:spawn(info.download, info, { path = dir,
        overwrite = true })
      until_true(function() return exists(os.getenv "SLOW_SIGN") end)
    ]],
  } do
    it("lua_close unloads modules with " .. name, function()
      local out = run("again", script, { SLOW_LOOKUP = "1", SLOW_SYNC = "1",
        SLOW_SIGN = dir .. "/sign", LD_PRELOAD = lifetimes.slow() })
      assert.matches("^closed [%d.]+ threads 1 descriptors 0\n"
        .. "closed [%d.]+ threads 1 descriptors 0\n$", out)
    end)
  end

  it("a state without os, io, coroutine, debug does it all", function()
    local script = [[
      assert(not os and not io and not coroutine and not debug)
      local key, base_url, snapshots_url, ca_file, app, dir = ...
      local square = require "squarecloud"
      local client <close> = square.Client { api_key = key,
        base_url = base_url, snapshots_url = snapshots_url, proxy = "",
        ca_file = ca_file }
      local zip = client:run(function()
        local task = client:spawn(client.all_app_snapshots, client, app)
        client:sleep(0.001)
        return assert(assert(task:wait())[1]:download(dir))
      end)
      assert(zip:test())
      assert(client:snapshot(app))
      assert(client:restore_snapshot(client:all_app_snapshots(app)[1]))
      print(#zip)
    ]]
    local out, err, how, code = lifetimes.run(script,
      lifetimes.arguments(s, dir .. "/d"), nil, "bare")
    assert.equal("", err)
    assert.equal("2\n", out)
    assert.same({ "exit", 0 }, { how, code })
  end)

  it("libcurl set up by the host stays the host's", function()
    local out, err = lifetimes.run([[
      local url, ca_file, key, base_url, snapshots_url, app = ...
      local square = require "squarecloud"
      local client = square.Client { api_key = key, base_url = base_url,
        snapshots_url = snapshots_url, proxy = "", ca_file = ca_file }
      assert(client:account())
      client:spawn(client.account, client) -- left to lua_close
      client:step(0)
    ]], { s.https .. "/", s.ca_file, s.key, s.base_url, s.snapshots_url,
      s.apps[1] }, nil, "curl")
    assert.equal("", err)
    assert.equal("the host's own: No error\n", out)
  end)

  it("lua-cjson keeps the host's settings, and we ours", function()
    assert.equal("same\n", run("close", [[
      local cjson = require "cjson"
      cjson.decode_max_depth(2)
      cjson.encode_max_depth(2)
      cjson.encode_keep_buffer(false)
      cjson.encode_invalid_numbers "null"
      cjson.decode_invalid_numbers(false)
      cjson.encode_sparse_array(true, 1, 1)
      cjson.encode_number_precision(3)
      local list = assert(client:all_app_snapshots(app))
      assert(list[1].bytes > 2 ^ 18 and client:restore_snapshot(list[1]))
      assert(cjson.decode_max_depth() == 2 and cjson.encode_max_depth() == 2)
      assert(cjson.encode_keep_buffer() == false)
      assert(cjson.encode_invalid_numbers() == "null")
      assert(cjson.decode_invalid_numbers() == false)
      assert(cjson.encode_number_precision() == 3)
      assert(not pcall(cjson.decode, ("["):rep(3) .. 1 .. ("]"):rep(3)))
      cjson.decode, cjson.encode, cjson.new = nil, nil, nil
      package.loaded.cjson = nil
      assert(client:account())
      print "same"
    ]]):gsub("closed.*", ""), nil)
  end)

  it("what nobody waits for goes to lua_setwarnf's function", function()
    local out = run("warn", [[
      client:spawn(function() error "nobody waits" end)
      client:step(0)
      local noisy <close> = new_client { trace = function() error "boo" end }
      assert(noisy:account())
      assert(noisy:account())
    ]])
    assert.matches("nobody waits", out, 1, true)
    local _, told = out:gsub("the trace function failed and was turned off", "")
    assert.equal(1, told)
  end)

  it("Lua's warn, off as it is at the start, says nothing", function()
    run("close", [[
      client:spawn(function() error "nobody waits" end)
      client:step(0)
    ]])
  end)
end)
