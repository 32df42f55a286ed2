-- What comes with the command: its manual page, which names every option, and
-- the shells' completions, which the shells themselves are driven with.

local lfs = require "lfs"
local command = require "spec.support.command"
local helpers = require "spec.support.helpers"
local quote = require "spec.support.quote"
local parser = require "squarecloud.cli.parser"

local function run(line)
  local pipe = assert(io.popen("exec 2>&1; " .. line))
  local out = pipe:read "a"
  return out, pipe:close()
end

-- Every command with its options' names, the command line's own under "".
local function options_of(main)
  local found = {}
  local function add(name, of)
    found[name] = {}
    for _, option in ipairs(of._options) do
      for _, alias in ipairs(option._aliases) do
        table.insert(found[name], alias)
      end
    end
  end
  add("", main)
  for _, one in ipairs(main._commands) do add(one._name, one) end
  return found
end

describe("squaresnap's manual page", function()
  local path, text
  setup(function()
    path = "doc/squaresnap.1"
    text = helpers.read_file(path):gsub("\\%-", "-")
  end)

  it("names every command and option", function()
    for name, options in pairs(options_of(parser.new(function() end))) do
      assert.is_truthy(name == "" or text:find(name, 1, true), name)
      for _, option in ipairs(options) do
        assert.is_truthy(text:find("%f[-]" .. option:gsub("%-", "%%-")
          .. "%f[^%w-]"), name .. " " .. option)
      end
    end
  end)

  it("names every exit code", function()
    for _, code in ipairs { 0, 1, 2, 3, 4, 5, 6, 7, 8, 130 } do
      assert.is_truthy(text:find("\n.TP\n.B " .. code .. "\n", 1, true))
    end
  end)

  it("is formatted without a warning", function()
    assert.equal("", (run("groff -man -ww -z -Tutf8 -K utf8 "
      .. quote.shell(path) .. " 2>&1")))
  end)
end)

describe("squaresnap completion", function()
  local function completion(shell)
    local result = command.run(nil, { "completion", shell })
    assert.equal(0, result.code)
    assert.equal("", result.err)
    return result.out
  end

  -- What is typed, with its Tabs, and the words that come of it. In fish, which
  -- is asked for its offers, a Tab is the end of a line.
  local TYPED = {
    { "squaresnap rest\t", { "restore" } },
    { "squaresnap restore --snapshot-f\t", { "restore", "--snapshot-first" } },
    { "squaresnap --json list --sho\t", { "--json", "list", "--show-urls" } },
    { "squaresnap download --verify f\t", { "download", "--verify", "full" } },
    { "squaresnap sync --dir mirr\t", { "sync", "--dir", "mirror" } },
    { "squaresnap prune --keep-dai\t", { "prune", "--keep-daily" } },
    { "squaresnap verify back\t", { "verify", "backup.zip" } },
    { "squaresnap completion z\t", { "completion", "zsh" } },
    { "squaresnap --api-key-f\t", { "--api-key-file" } },
  }

  local dir
  before_each(function()
    dir = helpers.tmpdir()
    lfs.mkdir(dir .. "/mirror")
    helpers.write_file(dir .. "/backup.zip", "")
  end)
  after_each(function() helpers.remove(dir.path) end)

  -- Types into a shell on a terminal. A function in squaresnap's place tells
  -- the words that it was called with.
  local function type_into(shell, start)
    local keys = { 'squaresnap() { printf "<%s>" words "$@"; echo; }; '
      .. start }
    for i, row in ipairs(TYPED) do keys[i + 1] = row[1] end
    keys[#keys + 1] = "exit\n"
    helpers.write_file(dir .. "/keys", table.concat(keys, "\n"))
    local shown = run(("cd %s && timeout 60 script -qec 'env -i TERM=dumb "
      .. 'HOME=%s PATH="$PATH" %s\' /dev/null <keys'):format(dir, dir, shell))
    local found = {}
    for line in shown:gmatch "\n<words>([^\r\n]*)" do
      found[#found + 1] = line
    end
    return found, shown
  end

  local function assert_completed(found, shown)
    for i, row in ipairs(TYPED) do
      assert.equal("<" .. table.concat(row[2], "><") .. ">",
        (found[i] or shown):gsub("/>", ">"), row[1])
    end
  end

  it("completes in bash", function()
    helpers.write_file(dir .. "/completion", completion "bash")
    assert_completed(type_into("bash --norc --noprofile -i",
      "source ./completion"))
  end)

  it("completes in zsh", function()
    helpers.write_file(dir .. "/_squaresnap", completion "zsh")
    assert_completed(type_into("zsh -f -i",
      "fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D"))
  end)

  it("completes in zsh that has evaluated it", function()
    helpers.write_file(dir .. "/completion", completion "zsh")
    assert_completed(type_into("zsh -f -i", "autoload -Uz compinit; "
      .. 'compinit -u -D; eval "$(<completion)"'))
  end)

  it("completes in fish", function()
    helpers.write_file(dir .. "/completion", completion "fish")
    for _, row in ipairs(TYPED) do
      local line, found = row[1]:match "[^\t]*", {}
      local typed = line:match "%S+$"
      local offers = run(("cd %s && HOME=%s fish --no-config -c "
        .. "'source completion; complete -C \"%s\"'"):format(dir, dir, line))
      -- fish 4.0 also offers what only has these letters somewhere in it
      for offer in offers:gmatch "[^\n]+" do
        if offer:sub(1, #typed) == typed then
          found[#found + 1] = offer:match "^[^\t/]*"
        end
      end
      assert.same({ row[2][#row[2]] }, found, offers)
    end
  end)

  for _, shell in ipairs { "bash", "zsh", "fish" } do
    it("has every command and option for " .. shell, function()
      local text = completion(shell)
      for name, options in pairs(options_of(parser.new(function() end))) do
        assert.is_truthy(text:find(name, 1, true), name)
        for _, option in ipairs(options) do
          local word = shell == "fish" and option:gsub("^%-%-?", "") or option
          assert.is_truthy(text:find(word, 1, true), name .. " " .. option)
        end
      end
    end)
  end
end)
