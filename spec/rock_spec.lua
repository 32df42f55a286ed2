--- The rock: that the rockspecs, the Makefile and the tree name the same files,
-- that the versions agree, and what LuaRocks makes of the source rock: a whole
-- module with hidden symbols that stays in memory, and nothing beside it. (make
-- rock does the rest: lint, make, test, pack, install, demo.)

local helpers = require "spec.support.helpers"
local host = require "spec.support.host"
local quote = require "spec.support.quote"
local lists = require "spec.support.rockspec"
local server = require "spec.support.server"
local core = require "squarecloud.core"
local lfs = require "lfs"

local REWRITE = "to be written anew: lua5.4 spec/support/rockspec.lua"

local function words(text)
  local list = {}
  for word in text:gmatch "%S+" do list[#list + 1] = word end
  return list
end

local function sorted(list)
  table.sort(list)
  return list
end

-- The value of one of the Makefile's variables.
local function make_variable(name)
  return words(host.must(("make -s --no-print-directory --eval='said:;"
    .. "@echo $(%s)' said"):format(name)))
end

describe("the rockspec", function()
  local spec = lists.load()
  local build = spec.build

  it("names the C files that lie in csrc/", function()
    assert.message(REWRITE).same(lists.sources(),
      build.modules["squarecloud.core"].sources)
  end)

  it("names the C files that the Makefile compiles", function()
    assert.same(sorted(make_variable "SRC"),
      build.modules["squarecloud.core"].sources)
  end)

  it("names the Lua files that lie in lua/", function()
    local modules = {}
    for name, value in pairs(build.modules) do
      if name ~= "squarecloud.core" then modules[name] = value end
    end
    assert.message(REWRITE).same(lists.modules(), modules)
    assert.is_nil(lists.modules()["squarecloud.core"], "it would hide the C")
  end)

  it("installs the commands that lie in lua/squarecloud/bin/", function()
    local commands = build.install and build.install.bin or {}
    assert.message(REWRITE).same(lists.commands(), commands)
    for _, path in ipairs(commands) do
      assert.not_equal("squarecloud", path:match "[^/]*$",
        "the platform's own command")
    end
  end)

  it("links what the Makefile links, by name alone", function()
    local wanted = {}
    for _, word in ipairs(make_variable "LIBS") do
      wanted[#wanted + 1] = word ~= "-ldl" and word:match "^%-l(.*)" or nil
    end
    assert.same(wanted, build.modules["squarecloud.core"].libraries)
    for name, one in pairs(spec.external_dependencies) do
      assert.is_nil(one.header, name .. ": multiarch folders are not searched")
    end
  end)

  it("is written by its generator, and so is the release's", function()
    assert.same({ lists.released_path():match "[^/]*$",
      lists.path:match "[^/]*$" }, helpers.names "rockspec")
    assert.message(REWRITE).equal(lists.text(), helpers.read_file(lists.path))
    assert.message(REWRITE).equal(lists.released_text(),
      helpers.read_file(lists.released_path()))
  end)

  it("is taken by luarocks lint", function()
    for _, path in ipairs { lists.path, lists.released_path() } do
      local _, err, code = host.run("luarocks --lua-version=5.4 lint " .. path)
      assert.message(err).equal(0, code)
    end
  end)
end)

describe("the version", function()
  local version = lists.version()
  local heading, note = helpers.read_file("CHANGELOG.md")
    :match "\n## (%S+) *([^\n]*)\n"

  it("is three numbers, in one place", function()
    assert.is_truthy(version:find "^%d+%.%d+%.%d+$")
    assert.equal(version, core.version)
  end)

  it("is the changelog's newest", function()
    assert.equal(version, heading)
    assert.is_truthy(note == "(unreleased)"
      or note:find "^%(20%d%d%-[01]%d%-[0-3]%d%)$", note)
  end)

  it("is the release's, whose archive needs no address", function()
    local released = lists.load(lists.released_path())
    assert.equal(version .. "-1", released.version)
    assert.same({ url = "squarecloud-" .. version .. ".tar.gz" },
      released.source)
  end)
end)

local CONFIG = [[
rocks_servers = {}
rocks_provided = { ["lua-cjson"] = "2.1.0-1", luafilesystem = "1.8.0-1",
  argparse = "0.7.1-1" }
]]

describe("make dist", function()
  local dir
  before_each(function() dir = helpers.tmpdir() end)
  after_each(function() helpers.remove(dir.path) end)

  -- Runs it from a copy of its script, with the PATH given.
  local function refused(path)
    host.must(("mkdir -p %s/spec/support && cp spec/support/dist.sh "
      .. "%s/spec/support"):format(quote.shell(dir.path),
      quote.shell(dir.path)))
    local out, err, code = host.run(("env PATH=%s /bin/sh %s %s"):format(
      quote.shell(path), quote.shell(dir .. "/spec/support/dist.sh"),
      quote.shell(dir .. "/dist")))
    assert.equal("", out)
    assert.equal(1, code)
    assert.same({ "spec" }, helpers.names(dir.path))
    return err
  end

  it("says what it needs", function()
    local tools = helpers.tmpdir()
    host.must("ln -s $(command -v dirname) " .. quote.shell(tools.path))
    assert.equal("dist: please install: git luarocks zip\n",
      refused(tools.path))
    helpers.remove(tools.path)
  end)

  it("says that it is not in a checkout", function()
    assert.matches("^dist: git cannot read this folder: fatal: [^\n]*\n$",
      refused(os.getenv "PATH"))
  end)
end)

-- What `make dist` does, but with the tree as it is now.
local PACK = [[
cd DIR/pack && mkdir NAME && cp -R "$OLDPWD"/csrc "$OLDPWD"/lua "$OLDPWD"/doc \
  NAME/ && find NAME -name '*.o' -exec rm {} + &&
cp "$OLDPWD/rockspec/NAME-1.rockspec" . && tar cf - NAME | gzip >NAME.tar.gz &&
zip -q NAME-1.src.rock NAME-1.rockspec NAME.tar.gz &&
HOME=DIR/home TMPDIR=DIR/home LUAROCKS_CONFIG=DIR/config.lua \
  luarocks --lua-version=5.4 install --tree=DIR/tree NAME-1.src.rock]]

describe("the source rock, installed by luarocks", function()
  local dir, tree, object

  lazy_setup(function()
    dir = helpers.tmpdir()
    tree = dir .. "/tree"
    object = tree .. "/lib/lua/5.4/squarecloud/core.so"
    helpers.write_file(dir .. "/config.lua", CONFIG)
    assert(lfs.mkdir(dir .. "/pack"))
    assert(lfs.mkdir(dir .. "/home"))
    host.must((PACK:gsub("%u%u%u+", { DIR = quote.shell(dir.path),
      NAME = "squarecloud-" .. lists.version() })))
  end)

  lazy_teardown(function() helpers.remove(dir.path) end)

  -- Module paths that lead to the tree, and to the system for the rest.
  local function environment(overrides)
    local all = {
      LUA_PATH = ("%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua;;")
        :format(tree, tree),
      LUA_CPATH = tree .. "/lib/lua/5.4/?.so;;",
    }
    for name, value in pairs(overrides or {}) do all[name] = value end
    return all
  end

  it("puts the module, its command and its documentation there", function()
    assert.same({ "squarecloud" }, helpers.names(tree .. "/share/lua/5.4"))
    assert.same({ "squaresnap" }, helpers.names(tree .. "/bin"))
    assert.same(helpers.names "doc", helpers.names(("%s/lib/luarocks/rocks-5.4"
      .. "/squarecloud/%s-1/doc"):format(tree, lists.version())))
  end)

  it("gives away one symbol: luaopen_squarecloud_core", function()
    local names = {}
    for name in host.must("nm -D --defined-only " .. quote.shell(object))
      :gmatch "%S+ %a (%S+)\n" do
      names[#names + 1] = name
    end
    assert.same({ "luaopen_squarecloud_core" }, names)
  end)

  it("brings no Lua of its own", function()
    local needed = host.must("readelf -d " .. quote.shell(object))
    assert.is_truthy(needed:find "%(NEEDED%)[^\n]*libcurl")
    assert.is_nil(needed:find "%(NEEDED%)[^\n]*lua")
  end)

  it("holds every module, and each loads from there", function()
    local names = { "squarecloud.core" }
    for name, path in pairs(lists.modules()) do
      if not helpers.read_file(path):find "^%-%-%-@meta" then
        names[#names + 1] = name
      end
    end
    helpers.write_file(dir .. "/load.lua", [[
      local tree = table.remove(arg, 1)
      for _, name in ipairs(arg) do
        require(name)
        local from = package.searchpath(name, package.path)
          or package.searchpath(name, package.cpath)
        assert(from:sub(1, #tree) == tree, name .. " comes from " .. from)
      end
    ]])
    local _, err, code = host.run(("lua5.4 %s %s %s"):format(
      quote.shell(dir .. "/load.lua"), quote.shell(tree),
      table.concat(names, " ")), environment())
    assert.message(err).equal(0, code)
  end)

  it("runs the commands that it installs", function()
    for _, path in ipairs(lists.commands()) do
      local out, err, code = host.run(quote.shell(tree .. "/bin/"
        .. path:match "[^/]*$") .. " --version",
        { LUA_PATH = ";;", LUA_CPATH = ";;" })
      assert.message(err).equal(0, code)
      assert.is_truthy(out:find(core.version, 1, true))
    end
  end)

  it("stays in memory when the Lua state that loaded it is closed", function()
    local s = server.shared()
    host.compile("unload", dir .. "/unload")
    helpers.write_file(dir .. "/script.lua", [[
      require "lfs"
      local square = require "squarecloud"
      local key, base_url, ca_file = ...
      local client = square.Client { api_key = key, base_url = base_url,
        ca_file = ca_file, proxy = "" }
      assert(client:account())
    ]])
    local out, err, code = host.run(("%s %s %s %s %s"):format(
      quote.shell(dir .. "/unload"), quote.shell(dir .. "/script.lua"),
      s.key, s.base_url, quote.shell(s.ca_file)), environment())
    assert.equal("", err)
    assert.equal(0, code)
    assert.is_truthy(out:find("mapped " .. object .. "\n", 1, true))
    assert.is_nil(out:find("filesystem", 1, true), "others are let go")
    assert.equal(2, #s:requests { path = "/v2/users/me" })
  end)
end)
