--- What installs the dependencies (spec/support/deps.sh): by purpose, and in
-- words that a person can act on.

local helpers = require "spec.support.helpers"
local host = require "spec.support.host"
local quote = require("spec.support.quote").shell

local TOOLS = { "apt-get", "awk", "cat", "grep", "id", "mktemp", "rm", "sed",
  "sh", "tail", "tee" }

describe("installing dependencies", function()
  local dir
  setup(function() dir = helpers.tmpdir() end)
  teardown(function() helpers.remove(dir.path) end)

  -- Runs it as a user who is not root, on a machine with nothing but `tools`.
  local function run(purpose, tools)
    local bin = helpers.tmpdir(dir.path)
    for _, name in ipairs(tools) do
      local at = host.must("command -v " .. name):gsub("\n", "")
      host.must(("ln -s %s %s/%s"):format(at, bin.path, name))
    end
    host.must("chmod -R a+rX " .. dir.path)
    local _, _, not_root = os.execute "test $(id -u) = 0"
    local as_nobody = not_root == 0
      and "setpriv --reuid=65534 --regid=65534 --clear-groups " or ""
    return host.run(("%senv PATH=%s sh -s %s <spec/support/deps.sh"):format(
      as_nobody, quote(bin.path), purpose))
  end

  it("installs for the demo only what the demo needs", function()
    local out, err, code = run("demo", TOOLS)
    assert.equal("", out)
    assert.equal(1, code)
    local named = {}
    for name in err:gmatch "%S+" do named[name] = true end
    for _, name in ipairs { "build-essential", "lua-socket", "zip" } do
      assert.is_true(named[name], name)
    end
    for _, name in ipairs { "fish", "zsh", "groff-base", "lua-busted",
      "luarocks", "lua-argparse" } do
      assert.is_nil(named[name], name)
    end
  end)

  it("tells root's command line to who is neither root nor has sudo",
    function()
      local _, err, code = run("lint", TOOLS)
      assert.equal(1, code)
      assert.equal("deps: this needs root: please run\n"
        .. "  apt-get install --no-install-recommends lua-check clang "
        .. "clang-tidy clang-format cppcheck\n", err)
    end)

  it("tells the packages where there is no apt-get", function()
    local tools = { table.unpack(TOOLS, 2) }
    local _, err, code = run("valgrind", tools)
    assert.equal(1, code)
    assert.equal("deps: please install (names as Debian has them): valgrind\n",
      err)
  end)

  it("says nothing when nothing is missing", function()
    local out, err, code = host.run "sh spec/support/deps.sh demo"
    assert.same({ "", "", 0 }, { out, err, code })
  end)
end)
