--- make install, for a Lua without LuaRocks: into a folder of its own, from
-- where the module and the command do their work with nothing of the checkout.

local helpers = require "spec.support.helpers"
local host = require "spec.support.host"
local quote = require "spec.support.quote"
local lists = require "spec.support.rockspec"
local server = require "spec.support.server"
local core = require "squarecloud.core"

local SCRIPT = [[
local key, base_url, snapshots_url, ca_file, dir = ...
local square = require "squarecloud"
local client <close> = square.Client { api_key = key, base_url = base_url,
  snapshots_url = snapshots_url, ca_file = ca_file, proxy = "" }
local snapshot = assert(client:snapshot "application_id")
local info = assert(client:all_app_snapshots "application_id")[1]
assert(info.version_id == snapshot.version_id)
local mirror <close> = assert(square.mirror.open(dir .. "/mirror"))
assert(assert(mirror:sync(client, { apps = { "application_id" } }))
  .downloaded == 1)
local zip <close> = assert(info:download(dir .. "/backups"))
print(zip:test(), zip:read "main.lua", assert(client:restore_snapshot(info)))
]]

describe("make install", function()
  local dir, root

  lazy_setup(function()
    dir = helpers.tmpdir()
    root = dir .. "/a folder/opt/lua tree"
    -- what was built for this process, so that nothing is built for it again
    local built = package.searchpath("squarecloud.core", package.cpath)
      :gsub("/squarecloud/core%.so$", "")
    host.must(("make -s install B=%s -o %s DESTDIR=%s PREFIX=%s"):format(
      quote.shell(built), quote.shell(built .. "/squarecloud/core.so"),
      quote.shell(dir .. "/a folder"), quote.shell "/opt/lua tree"))
  end)
  lazy_teardown(function() helpers.remove(dir.path) end)

  local function environment()
    return { LUA_PATH = ("%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua;;")
      :format(root, root), LUA_CPATH = root .. "/lib/lua/5.4/?.so;;" }
  end

  it("puts the same files there as the rock has", function()
    for _, path in pairs(lists.modules()) do
      assert.equal(helpers.read_file(path), helpers.read_file(
        root .. "/share/lua/5.4/" .. path:gsub("^lua/", "")), path)
    end
    local count = host.must("find " .. quote.shell(root .. "/share/lua")
      .. " -type f | wc -l")
    local modules = 0
    for _ in pairs(lists.modules()) do modules = modules + 1 end
    assert.equal(modules, tonumber(count))
    assert.same({ "squaresnap" }, helpers.names(root .. "/bin"))
    assert.same({ "squaresnap.1" }, helpers.names(root .. "/share/man/man1"))
  end)

  it("gives a module that does the main job", function()
    local s = server.shared()
    s:add_app { id = "application_id", name = "mine",
      files = { ["main.lua"] = "print 'hello'\n" } }
    helpers.write_file(dir .. "/script.lua", SCRIPT)
    local words = { "lua5.4", dir .. "/script.lua", s.key, s.base_url,
      s.snapshots_url, s.ca_file, dir .. "/out" }
    for i, word in ipairs(words) do words[i] = quote.shell(word) end
    local out, err, code = host.run(table.concat(words, " "),
      environment())
    assert.equal("", err)
    assert.equal(0, code)
    assert.matches("^true\tprint 'hello'\n\tsquarecloud.Response %(success",
      out)
  end)

  it("gives a command that runs", function()
    local out, err, code = host.run(quote.shell(root .. "/bin/squaresnap")
      .. " --version", environment())
    assert.message(err).equal(0, code)
    assert.matches(core.version, out, 1, true)
  end)
end)
