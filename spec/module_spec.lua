--- The module's table: what it gives, and its parts in Lua, which load when
-- they are first used.

local child = require "spec.support.child"
local core = require "squarecloud.core"
local helpers = require "spec.support.helpers"
local square = require "squarecloud"

local CPATH = helpers.absolute(package.cpath)

describe("the module", function()
  it("passes on what is in C", function()
    for _, name in ipairs { "Client", "open_zip", "version" } do
      assert.is_not_nil(square[name])
      assert.equal(core[name], square[name])
    end
    assert.is_nil(square.something)
    assert.is_nil(square[0 / 0])
  end)

  it("loads what is in C when it is first used, or counted out", function()
    for _, use in ipairs { "Client", "open_zip", "version", "all" } do
      local out, err = child.run([[
        local square, use = require "squarecloud", ...
        assert(not package.loaded["squarecloud.core"])
        local names = {}
        if use == "all" then
          for name in pairs(square) do names[#names + 1] = name end
          table.sort(names)
        else
          names[1] = square[use] and use
        end
        assert(package.loaded["squarecloud.core"])
        print(table.concat(names, " "))
      ]], { use }, { LUA_CPATH = CPATH })
      assert.equal(use == "all" and "Client open_zip version\n" or use .. "\n",
        out, err)
    end
  end)

  it("finds what is in C in a host that took its globals away", function()
    local out, err = child.run([[
      local square, print, type = require "squarecloud", print, type
      local globals = _G
      for name in pairs(globals) do globals[name] = nil end
      print(type(square.Client), type(square.open_zip), square.other)
    ]], {}, { LUA_CPATH = CPATH })
    assert.equal("function\tfunction\tnil\n", out, err)
  end)

  it("loads at once what may not be found later", function()
    local folder = package.searchpath("squarecloud.core", CPATH)
      :gsub("squarecloud/core%.so$", "")
    local out, err = child.run([[
      local lfs = require "lfs"
      assert(lfs.chdir(...))
      local square = require "squarecloud"
      assert(lfs.chdir "/")
      print(type(square.Client))
    ]], { folder }, { LUA_PATH = helpers.absolute(package.path),
      LUA_CPATH = "./?.so;;" })
    assert.equal("function\n", out, err)
  end)

  it("is missing at once where what is in C is not to be found", function()
    local out, err = child.run [[
      package.cpath = package.cpath:gsub("[^;]*build[^;]*", "/nowhere/?.so")
      package.preload.cjson = function() return {} end
      print(pcall(require, "squarecloud"))
    ]]
    assert.matches("^false\t[^\n]*module 'squarecloud.core' not found", out,
      1, nil, err)
  end)

  it("tells the libraries that it runs on", function()
    assert.matches("^libcurl/%d+%.%d+%.%d+ %g+ libzip/%d+%.%d+",
      core.libraries())
  end)

  it("loads its parts when they are first used", function()
    local out, err = child.run [[
      local square = require "squarecloud"
      for _, name in ipairs { "retention", "mirror", "progress" } do
        local module = "squarecloud." .. name
        assert(not rawget(square, name), name)
        if name ~= "retention" then assert(not package.loaded[module]) end
        assert(square[name] == require(module) and rawget(square, name))
      end
      print "fine"
    ]]
    assert.equal("fine\n", out, err)
  end)

  it("says so when it can have no descriptor", function()
    local out, err = child.run([[
      local square = require "squarecloud"
      local Client, held = square.Client, {}
      repeat
        local file = io.open "/dev/null"
        held[#held + 1] = file
      until not file
      local ok, why = pcall(Client, "key")
      for _, file in ipairs(held) do file:close() end
      print(ok, why.kind, why.errno, square.Client("key") ~= nil)
    ]], {}, {}, "ulimit -n 256;")
    assert.equal("false\tfilesystem\t24\ttrue\n", out, err)
  end)

  it("says so when the current directory is gone", function()
    local out, err = child.run [[
      local lfs = require "lfs"
      local square = require "squarecloud"
      local dir = os.tmpname()
      os.remove(dir)
      assert(lfs.mkdir(dir) and lfs.chdir(dir) and lfs.rmdir(dir))
      print(pcall(square.open_zip, "a.zip"))
      local mirror, why = square.mirror.open "here"
      print(mirror, why.kind, why)
    ]]
    assert.matches("^false\tthe current directory: No such file or directory\n"
      .. "nil\tfilesystem\t[^\n]*current directory", out, err)
  end)
end)
