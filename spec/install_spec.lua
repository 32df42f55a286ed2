--- make install and make uninstall, for a Lua without LuaRocks: into a folder
-- of its own, from where the module and the command do their work with nothing
-- of the checkout; and out of it again.

local lfs = require "lfs"
local command = require "spec.support.command"
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
assert(info == assert(snapshot:resolve()))
local mirror <close> = assert(square.mirror.open(dir .. "/mirror"))
assert(assert(mirror:sync(client, { apps = { "application_id" } }))
  .downloaded == 1)
local zip <close> = assert(info:download(dir .. "/backups"))
print(zip:test(), zip:read "main.lua", assert(client:restore_snapshot(info)))
]]

-- What was built for this process, so that nothing is built for it again.
local built = package.searchpath("squarecloud.core", package.cpath)
  :gsub("/squarecloud/core%.so$", "")

-- Runs make with variables; more for the shell in `before`.
-- @return what it printed, its errors, whether it succeeded
local function make(target, variables, before)
  local words = {}
  for name, value in pairs(variables) do
    words[#words + 1] = quote.shell(name .. "=" .. value)
  end
  local out, err, code = host.run("sh -c " .. quote.shell(
    ("%s make -s %s B=%s -o %s %s"):format(before or "", target,
      quote.shell(built), quote.shell(built .. "/squarecloud/core.so"),
      table.concat(words, " "))))
  return out, err, code == 0
end

local function must(...)
  local out, err, ok = make(...)
  assert.message(err).is_true(ok)
  return out
end

-- Everything under a folder, the modules left out.
local function tree(path)
  return host.must(("cd %s && find . -path ./share/lua -prune -o -type f "
    .. "-print | sort"):format(quote.shell(path)))
end

describe("make install", function()
  local dir, root

  lazy_setup(function()
    dir = helpers.tmpdir()
    root = dir .. "/a folder/lua's tree"
    must("install", { PREFIX = root })
  end)
  lazy_teardown(function() helpers.remove(dir.path) end)

  local function environment()
    return { LUA_PATH = ("%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua;;")
      :format(root, root), LUA_CPATH = root .. "/lib/lua/5.4/?.so;;" }
  end

  it("puts the same modules there as the rock has", function()
    local count = 0
    for _, path in pairs(lists.modules()) do
      assert.equal(helpers.read_file(path), helpers.read_file(
        root .. "/share/lua/5.4/" .. path:gsub("^lua/", "")), path)
      count = count + 1
    end
    assert.equal(count, tonumber(host.must("find "
      .. quote.shell(root .. "/share/lua") .. " -type f | wc -l")))
  end)

  it("puts the rest where the shells and man look", function()
    assert.equal([[
./bin/squaresnap
./lib/lua/5.4/squarecloud/core.so
./lib/lua/5.4/squarecloud/installed.txt
./share/bash-completion/completions/squaresnap
./share/fish/vendor_completions.d/squaresnap.fish
./share/man/man1/squaresnap.1
./share/zsh/site-functions/_squaresnap
]], tree(root))
    for shell, path in pairs { bash = "bash-completion/completions/squaresnap",
      fish = "fish/vendor_completions.d/squaresnap.fish",
      zsh = "zsh/site-functions/_squaresnap" } do
      assert.equal(command.run(nil, { "completion", shell }).out,
        helpers.read_file(root .. "/share/" .. path))
    end
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

  it("gives a command that runs without an environment", function()
    local out, err, code = host.run(("env -i %s --version"):format(
      quote.shell(root .. "/bin/squaresnap")))
    assert.message(err).equal(0, code)
    assert.equal("squaresnap " .. core.version .. "\n", out)
  end)

  it("says what a shell must set, and that is enough", function()
    local said = must("install", { PREFIX = root })
    local first, exports = said:match "^([^\n]*)\n(.*)$"
    assert.equal(("squaresnap %s is in %s/bin"):format(core.version, root),
      first)
    helpers.write_file(dir .. "/profile", exports)
    local out, err, code = host.run(("env -i PATH=/usr/bin:/bin sh -c %s")
      :format(quote.shell((". %s && command -v squaresnap && lua5.4 -e 'print("
        .. "package.searchpath(\"squarecloud\", package.path))'"):format(
        quote.shell(dir .. "/profile")))))
    assert.message(err).equal(0, code)
    assert.equal(("%s/bin/squaresnap\n%s/share/lua/5.4/squarecloud/init.lua\n")
      :format(root, root), out)
    assert.equal(first .. "\n", must("install", { PREFIX = root },
      exports):gsub("# so that zsh.*", ""))
  end)
end)

describe("make uninstall", function()
  local dir, root
  before_each(function()
    dir = helpers.tmpdir()
    root = dir .. "/a home/.local"
  end)
  after_each(function() helpers.remove(dir.path) end)

  it("removes what install has put there, and the folders", function()
    must("install", { PREFIX = root })
    must("uninstall", { PREFIX = root })
    assert.same({}, helpers.names(dir.path))
  end)

  it("leaves what was there before or has come since", function()
    host.must(("mkdir -p %s && cd %s && echo 1 >bin/mine"):format(
      quote.shell(root .. "/bin"), quote.shell(root)))
    must("install", { PREFIX = root })
    helpers.write_file(root .. "/share/man/man1/other.1", "2")
    must("uninstall", { PREFIX = root })
    assert.equal("./bin/mine\n./share/man/man1/other.1\n", tree(root))
    assert.same({ "man1" }, helpers.names(root .. "/share/man"))
    assert.same({ "man" }, helpers.names(root .. "/share"))
  end)

  it("removes what an older version had and the new one has not", function()
    must("install", { PREFIX = root })
    local old = root .. "/share/lua/5.4/squarecloud/old"
    assert(lfs.mkdir(old))
    helpers.write_file(old .. "/gone.lua", "")
    local record = root .. "/lib/lua/5.4/squarecloud/installed.txt"
    helpers.write_file(record, ("%s%s/\n%s/gone.lua\n"):format(
      helpers.read_file(record), old, old))
    must("install", { PREFIX = root })
    assert.is_nil(lfs.attributes(old))
    must("uninstall", { PREFIX = root })
    assert.same({}, helpers.names(dir.path))
  end)

  it("heeds DESTDIR, as install does", function()
    local set = { DESTDIR = dir .. "/stage", PREFIX = "/opt/my lua" }
    assert.equal(("squaresnap %s is in %s/stage/opt/my lua/bin\n"):format(
      core.version, dir), must("install", set))
    assert.matches('package.path = "/opt/my lua/share/lua/5.4/?.lua;',
      helpers.read_file(dir .. "/stage/opt/my lua/bin/squaresnap"), 1, true)
    must("uninstall", set)
    assert.same({}, helpers.names(dir .. "/stage"))
  end)

  it("says that there is nothing", function()
    local _, err, ok = make("uninstall", { PREFIX = root })
    assert.is_false(ok)
    assert.matches("^uninstall: nothing that make install put there is in "
      .. "[^\n]*/a home/.local\nmake: [^\n]*\n$", err)
  end)
end)

describe("make install refuses", function()
  local dir
  before_each(function() dir = helpers.tmpdir() end)
  after_each(function() helpers.remove(dir.path) end)

  -- Fails with one line of its own (and make's), and leaves nothing.
  local function refused(line, variables, before)
    local left = host.must("find " .. quote.shell(dir.path))
    local out, err, ok = make("install", variables, before)
    assert.is_false(ok)
    assert.equal("", out)
    assert.equal("install: " .. line, err:gsub("^File size limit exceeded\n",
      ""):match "^([^\n]*)\nmake: [^\n]*\n$", err)
    assert.equal(left, host.must("find " .. quote.shell(dir.path)))
  end

  it("a PREFIX that cannot be written to", function()
    helpers.write_file(dir .. "/file", "")
    refused("cannot write to " .. dir .. "/file", { PREFIX = dir .. "/file/x" })
    refused("cannot make /proc/x", { PREFIX = "/proc/x" })
  end)

  it("a PREFIX that Lua would take for two", function()
    refused("Lua finds no modules in a PREFIX with ; or ? in it",
      { PREFIX = dir .. "/a;b" })
  end)

  it("to overwrite what is not its own", function()
    host.must(("cd %s && mkdir bin && echo mine >bin/squaresnap"):format(
      quote.shell(dir.path)))
    refused(dir .. "/bin/squaresnap is there, and not from make install: "
      .. "remove it first (luarocks --lua-version=5.4 remove squarecloud, if "
      .. "that put it there)", { PREFIX = dir.path })
  end)

  it("to leave the half of it when the disk is full", function()
    refused("cannot write " .. dir .. "/home/lib/lua/5.4/squarecloud/core.so",
      { PREFIX = dir .. "/home" }, "ulimit -f 200;")
  end)
end)
