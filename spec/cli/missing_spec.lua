--- A machine that lacks what the command needs: it names what to install, and
-- does not take it for a bug of its own.

local command = require "spec.support.command"
local helpers = require "spec.support.helpers"
local host = require "spec.support.host"
local quote = require("spec.support.quote").shell

describe("squaresnap names what to install", function()
  local dir
  before_each(function()
    dir = helpers.tmpdir()
    assert(os.execute("mkdir " .. quote(dir .. "/squarecloud")))
  end)
  after_each(function() helpers.remove(dir.path) end)

  -- Gives the command a folder of modules in place of the machine's: all of
  -- those that it needs, but one.
  local function run_without(name, arguments)
    for _, one in ipairs { "argparse", "cjson", "lfs", "squarecloud.core" } do
      local file = package.searchpath(one, helpers.absolute(package.path))
        or package.searchpath(one, helpers.absolute(package.cpath))
      if one ~= name then
        assert(os.execute(("ln -s %s %s"):format(quote(file), quote(dir .. "/"
          .. one:gsub("%.", "/") .. file:match "%.%w+$"))))
      end
    end
    local own = helpers.absolute(package.path):match "[^;]*/lua/%?%.lua"
    return command.run(nil, arguments, { env = { SQUARE_API_KEY = "a",
      LUA_PATH = ("%s;%s;%s/?.lua"):format(own,
        own:gsub("%?%.lua$", "?/init.lua"), dir),
      LUA_CPATH = dir .. "/?.so" } })
  end

  local function says(line, result)
    assert.equal("squaresnap: " .. line .. "\n", result.err)
    assert.equal("", result.out)
    assert.equal(1, result.code)
  end

  it("for argparse", function()
    says("the Lua module argparse is missing: install Debian's package "
      .. "lua-argparse or the rock argparse",
      run_without("argparse", { "list" }))
  end)

  it("for lua-cjson", function()
    says("the Lua module cjson is missing: install Debian's package lua-cjson "
      .. "or the rock lua-cjson", run_without("cjson", { "--version" }))
  end)

  it("for LuaFileSystem", function()
    for _, arguments in ipairs { { "sync", "--all", "--dir", dir .. "/m" },
      { "download", "a", "-o", dir .. "/d" } } do
      says("the Lua module lfs is missing: install Debian's package "
        .. "lua-filesystem or the rock luafilesystem",
        run_without("lfs", arguments))
      os.execute("rm -r " .. quote(dir .. "/") .. "*")
      assert(os.execute("mkdir " .. quote(dir .. "/squarecloud")))
    end
  end)

  it("for its part in C", function()
    says("squarecloud's part in C (squarecloud/core.so) is missing: install "
      .. "squarecloud again", run_without("squarecloud.core", { "quota" }))
  end)

  -- A part in C that was linked with a library which is gone since.
  local function run_linked_with(library)
    host.must(([[cd %s && echo 'int answer = 42;' >lib.c &&
      cc -shared -fPIC -Wl,-soname=%s -o libgone.so lib.c &&
      echo 'extern int answer; int luaopen_squarecloud_core(void *L)
        { (void)L; return answer; }' >core.c &&
      cc -shared -fPIC -o squarecloud/core.so core.c -L. -lgone &&
      rm libgone.so]]):format(quote(dir.path), library))
    local own = helpers.absolute(package.cpath)
    return command.run(nil, { "--version" },
      { env = { LUA_CPATH = dir .. "/?.so;" .. own } })
  end

  it("for a library of its part in C", function()
    for library, package in pairs { ["libcurl.so.99"] = "libcurl4-openssl-dev",
      ["libzip.so.99"] = "libzip-dev" } do
      says(("%s is missing: install Debian's package %s, then squarecloud "
        .. "again"):format(library, package), run_linked_with(library))
    end
  end)

  it("for anything else that keeps the part in C from loading", function()
    says("squarecloud's part in C does not load (libother.so.9: cannot open "
      .. "shared object file: No such file or directory): install squarecloud "
      .. "again", run_linked_with "libother.so.9")
  end)
end)
