--- The static way: the program of doc/embedding.md, with Lua, lua-cjson and the
-- whole module inside, is built as that page says and does the main job.

local lfs = require "lfs"
local documents = require "spec.support.documents"
local helpers = require "spec.support.helpers"
local host = require "spec.support.host"
local quote = require "spec.support.quote"
local server = require "spec.support.server"
local core = require "squarecloud.core"

-- What every script begins with; `...` is what main.run passes.
local HEAD = [[
local key, base_url, snapshots_url, ca_file, dir = ...
local square = require "squarecloud"
local client = square.Client { api_key = key, base_url = base_url,
  snapshots_url = snapshots_url, ca_file = ca_file, proxy = "" }
local app = client:app "application_id"
]]

describe("a program with everything inside", function()
  local dir, s

  lazy_setup(function()
    dir = helpers.tmpdir()
    for _, name in ipairs { "csrc", "lua" } do
      assert(lfs.link(lfs.currentdir() .. "/" .. name, dir .. "/" .. name,
        true))
    end
    local commands
    for _, block in ipairs(documents.blocks "doc/embedding.md") do
      if block.name then
        helpers.write_file(dir .. "/" .. block.name, block.text)
      else
        commands = block.text
      end
    end
    host.must(("cd %s\nexport CFLAGS=-O0\n%s"):format(
      quote.shell(dir.path), commands))
  end)
  lazy_teardown(function() helpers.remove(dir.path) end)

  before_each(function()
    s = server.shared()
    s:add_app { id = "application_id", name = "mine",
      files = { ["main.lua"] = "print 'hello'\n" } }
  end)

  -- Module paths lead nowhere: what is not inside is not found.
  local function run(script)
    helpers.write_file(dir .. "/script.lua", HEAD .. script)
    local words = { dir .. "/host", dir .. "/script.lua", s.key, s.base_url,
      s.snapshots_url, s.ca_file, dir.path }
    for i, word in ipairs(words) do words[i] = quote.shell(word) end
    return host.run(table.concat(words, " "),
      { LUA_PATH = "/nowhere/?.lua", LUA_CPATH = "/nowhere/?.so" })
  end

  it("creates, lists, downloads, checks, extracts and restores", function()
    local live = s:app_dir "application_id"
    local out, err, code = run [[
      local snapshot = assert(app:snapshot())
      local info = assert(app:all_snapshots())[1]
      assert(info == assert(snapshot:resolve()))
      local done
      local zip <close> = assert(info:download { path = dir .. "/backups",
        progress = function(bytes) done = bytes end })
      assert(done == info.bytes and done == zip.bytes)
      assert(zip:test())
      print(zip:read "main.lua", assert(zip:extract(dir .. "/out")))
      print(assert(info:restore()).status)
    ]]
    assert.equal("", err)
    assert.equal(0, code)
    assert.equal("print 'hello'\n\t1\nsuccess\n", out)
    assert.equal(helpers.read_file(live .. "/main.lua"),
      helpers.read_file(dir .. "/out/main.lua"))
  end)

  it("has the parts in Lua, and searches for none of it", function()
    local out, err, code = run [[
      print(square.version, select(2, require "squarecloud.retention"))
      print(debug.getinfo(square.retention.apply, "S").source)
      for line in io.lines "/proc/self/maps" do
        assert(not line:find "core%.so", line)
      end
    ]]
    assert.equal("", err)
    assert.equal(0, code)
    assert.equal(core.version .. "\t:preload:\n"
      .. "=lua/squarecloud/retention/init.lua\n", out)
  end)

  it("gets errors as a script does", function()
    local out, err, code = run [[
      print(client:snapshot "no_such_application")
      assert(client:snapshot "no_such_application")
    ]]
    local words = "snapshot no_such_application: not_found: APP_NOT_FOUND"
    assert.is_truthy(out:find("nil\t" .. words, 1, true))
    assert.is_truthy(err:find("host: " .. words, 1, true))
    assert.equal(1, code)
  end)

  it("ends well in the middle of a download", function()
    s:add_snapshot { app = "application_id", bytes = ("x"):rep(2 ^ 20) }
    s:configure { limit_rate = 2 ^ 14 }
    local _, err, code, how = run [[
      local info = assert(app:all_snapshots())[1]
      info:download { path = dir .. "/cut", verify = false,
        progress = function(done)
          if done > 0 then error "that is enough" end
        end }
    ]]
    assert.is_truthy(err:find "that is enough")
    assert.same({ "exit", 1 }, { how, code })
    assert.is_nil(table.concat(helpers.names(dir .. "/cut"), " ")
      :find "zip$")
  end)
end)
