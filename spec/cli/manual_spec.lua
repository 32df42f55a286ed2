-- What comes with the command: its manual page, which names every option, and
-- the shells' completions.

local lfs = require "lfs"
local command = require "spec.support.command"
local helpers = require "spec.support.helpers"
local parser = require "squarecloud.cli.parser"

local function run(line)
  local pipe = assert(io.popen("exec 2>&1; unset LD_PRELOAD; " .. line))
  local out = pipe:read "a"
  return out, pipe:close()
end

local function has(program)
  return (run("command -v " .. program)) ~= ""
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
    path = package.searchpath("squarecloud.cli", package.path)
      :gsub("squarecloud/cli%.lua$", "man/squaresnap.1")
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

  it("is read by man without a warning", function()
    if not has "man" or not has "groff" then return end
    local absolute = path:sub(1, 1) == "/" and path
      or lfs.currentdir() .. "/" .. path
    assert.equal("", (run("LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 "
      .. "-Z " .. command.quote(absolute) .. " >/dev/null")))
  end)
end)

describe("squaresnap completion", function()
  local function completion(shell)
    local result = command.run(nil, { "completion", shell })
    assert.equal(0, result.code)
    assert.equal("", result.err)
    return result.out
  end

  -- What bash offers for the words, the last of which is being typed.
  local function offered(words)
    local dir <close> = helpers.tmpdir()
    helpers.write_file(dir .. "/completion", completion "bash")
    local quoted = {}
    for i, word in ipairs(words) do quoted[i] = command.quote(word) end
    local out = run(("bash --norc -c 'source %s/completion; COMP_WORDS=(%s); "
      .. "COMP_CWORD=%d; _squaresnap; printf \"%%s \" \"${COMPREPLY[@]}\"'")
      :format(dir, table.concat(quoted, " "):gsub("'", ""), #words - 1))
    return out
  end

  it("is bash's: commands, options, choices", function()
    assert.equal("restore ", offered { "squaresnap", "res" })
    assert.equal("--snapshot-first ",
      offered { "squaresnap", "restore", "--snapshot-" })
    assert.equal("--show-urls ",
      offered { "squaresnap", "--json", "list", "--sh" })
    assert.equal("full ", offered { "squaresnap", "download", "--verify",
      "f" })
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

    it("is accepted by " .. shell, function()
      if not has(shell) then return end
      local dir <close> = helpers.tmpdir()
      helpers.write_file(dir .. "/completion", completion(shell))
      assert.equal("", (run(shell .. " -n " .. dir .. "/completion")))
    end)
  end
end)
