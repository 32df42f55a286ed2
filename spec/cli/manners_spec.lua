-- What holds for every command of squaresnap: text and JSON, in a pipe and on
-- a terminal, with colours and without; streams that are closed; that it runs
-- no other program, and loads no more than it needs.

local lfs = require "lfs"
local child = require "spec.support.child"
local command = require "spec.support.command"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"

local COLOUR = "\27%[%d*m"

-- A terminal's text as a pipe's: without colours and what redraws.
local function plain(shown)
  return (shown:gsub("\27%[[?%d;]*%a", ""):gsub("\r\n", "\n"))
end

describe("squaresnap", function()
  local s, app, dir
  before_each(function()
    s = server.shared()
    app = s.apps[1]
    dir = helpers.tmpdir()
    for day = 1, 3 do
      s:add_snapshot { app = app, bytes = downloads.archive(8),
        version_id = "v" .. day, modified = os.time() + 3600 - day * 86400 }
    end
  end)
  after_each(function() helpers.remove(dir.path) end)

  -- Each command: its words; what a person reads (a pattern), and whether a
  -- program gets a list (else an object); `first`, what must have been done.
  local COMMANDS = {
    create = { { "create", "$app" }, "^[%d-]+ [%d:]+  $app  %S+\n$" },
    list = { { "list", "$app" }, "^CREATED .*  v1\n.*  v2\n.*  v3\n$",
      list = true, colours = true },
    download = { { "download", "$app", "-q", "-o", "$dir/d" },
      "^$dir/d/$app_%w+.zip\n$" },
    restore = { { "restore", "$app", "-q", "-y", "--version-id", "v1" },
      "^restored  $app  v1\n$" },
    rehearse = { { "rehearse", "$app", "-q", "-y", "--latest", "--settle",
      "0" }, "^[%d-]+ [%d:]+  $app  v1  %x+  deleted\n$" },
    sync = { { "sync", "$app", "--dir", "$dir/m", "--no-progress" },
      "^downloaded  [%d-]+ [%d:]+  8%.2 KiB  $dir/m/app/", list = true },
    prune = { { "prune", "--dir", "$dir/m", "--keep-last", "1", "-y" },
      "^kept +[%d-]+ [%d:]+  8%.2 KiB  last snapshot +/.*\nremoved +",
      list = true, first = { "sync", "$app", "--dir", "$dir/m" } },
    verify = { { "verify", "$dir/f.zip" }, "^ok  $dir/f.zip  2 entries" },
    quota = { { "quota" }, "^plan +.*\nmade   1\n" },
    whoami = { { "whoami" }, "^account .*\nTYPE .*\napp +$app ",
      colours = true },
  }

  local function fill(text, escape)
    return (text:gsub("%$(%a+)", function(name)
      local value = name == "app" and app or name == "dir" and dir.path
      return value and (escape and value:gsub("%p", "%%%0") or value)
    end))
  end

  local function words_of(words, ...)
    local filled = { ... }
    for _, word in ipairs(words) do filled[#filled + 1] = fill(word) end
    return filled
  end

  local function prepare(entry)
    helpers.write_file(dir .. "/f.zip", downloads.archive(8))
    if entry.first then
      assert.equal(0, command.run(s, words_of(entry.first)).code)
    end
  end

  -- The manual page names what a program gets.
  local manual
  local function assert_told(name, document)
    manual = manual or helpers.read_file "doc/squaresnap.1"
    local told = manual:match("\n%.SH JSON\n(.-)\n%.SH ")
    local of_list = told:match "\n%.B list\n(.-)\n%.TP"
    told = told:match("\n%.B [%l, ]*%f[%l]" .. name .. "%f[%L][^\n]*(.-)\n%.TP")
    if told:find("%.B list", 1) then told = told .. of_list end
    for field in pairs(document[1] or document) do
      assert.is_truthy(told:find("%f[%w_]" .. field .. "%f[^%w_]"), field)
    end
  end

  for name, entry in pairs(COMMANDS) do
    describe(name, function()
      before_each(function() prepare(entry) end)

      it("tells a person in a pipe", function()
        local result = command.run(s, words_of(entry[1]))
        assert.equal(0, result.code, result.err)
        assert.matches(fill(entry[2], true), result.out)
        assert.is_nil((result.out .. result.err):find "[\27\r]")
      end)

      it("tells a person at a terminal", function()
        local result = command.terminal(s, words_of(entry[1]),
          { columns = 200 }).wait()
        assert.equal(0, result.code, result.out)
        assert.matches(fill(entry[2], true):gsub("%$$", ""),
          plain(result.out))
        assert.equal(entry.colours or false,
          result.out:find(COLOUR) ~= nil)
      end)

      it("without colours where they are not wanted", function()
        if not entry.colours then return end
        for _, how in ipairs { { env = { NO_COLOR = "1" } },
          { env = { TERM = "dumb" } }, { word = "--no-color" } } do
          local result = command.terminal(s, words_of(entry[1], how.word),
            { env = how.env }).wait()
          assert.equal(0, result.code, result.out)
          assert.is_nil(result.out:find("\27", 1, true))
        end
        -- an empty one means nothing
        assert.matches(COLOUR, command.terminal(s, words_of(entry[1]),
          { env = { NO_COLOR = "" } }).wait().out)
      end)

      for _, where in ipairs { "in a pipe", "at a terminal" } do
        it("tells a program " .. where, function()
          local words = words_of(entry[1], "--json")
          local result
          if where == "in a pipe" then
            result = command.run(s, words)
          else
            table.insert(words, 2, "-q")
            result = command.terminal(s, words).wait()
          end
          assert.equal(0, result.code, result.out)
          local text = plain(result.out)
          assert.is_nil(text:find("\27", 1, true))
          for _, line in ipairs(result:json_lines()) do
            assert.equal(entry.list or false, line[1] ~= nil)
          end
          assert.equal(1, select(2, text:gsub("\n", "")))
          assert_told(name, result:json_lines()[1])
          -- whole numbers are written whole; only times have fractions
          local numbers = text:gsub('"timestamp":[%d.]+', "")
            :gsub('"seconds":%b{}', "")
            :gsub('\\"', ""):gsub('"[^"]*"', "")
          assert.is_nil(numbers:find "%d[.eE]")
        end)
      end
    end)
  end

  describe("with streams that were closed from the start", function()
    it("opens no file and no connection in their places", function()
      for _, closed in ipairs { "0<&- 1>&- 2>&-", "1>&-", "2>&-" } do
        s:fault { fault = "stall", bytes = 6000,
          match = { path = "/applications" } }
        local line = command.line(s, { "-v", "download", app, "-o",
          dir .. "/" .. closed }):gsub("<'/dev/null'$", closed)
        local pipe = assert(io.popen("exec 2>/dev/null </dev/null; echo $$; "
          .. line, "r"))
        local pid = pipe:read "n"
        downloads.wait(function()
          return lfs.attributes(dir .. "/" .. closed, "nlink")
            and #helpers.names(dir .. "/" .. closed) > 0
        end, "the part")
        local links = assert(io.popen(("sh -c 'for n in 0 1 "
          .. "2; do readlink /proc/%d/fd/$n; done'"):format(pid)))
        for place in links:lines() do
          assert.is_truthy(place == "/dev/null" or place:find "^pipe:", place)
        end
        links:close()
        s:clear_faults()
        s:release()
        pipe:close()
        assert.equal(1, #helpers.names(dir .. "/" .. closed))
      end
    end)

    it("says that it cannot write", function()
      local result = command.run(s, { "quota" }, { out = "&-" })
      assert.equal(1, result.code)
      assert.equal("squaresnap: cannot write: Bad file descriptor\n",
        result.err)
    end)
  end)

  describe("gives --json", function()
    it("an empty list as []", function()
      s:remove_snapshots { app = app }
      lfs.mkdir(dir .. "/m")
      for _, words in ipairs { { "list", app }, { "list" },
        { "sync", app, "--dir", dir .. "/m" },
        { "sync", app, "-n", "--dir", dir .. "/n" },
        { "prune", "-y", "--keep-last=1", "--dir", dir .. "/m" } } do
        table.insert(words, 1, "--json")
        assert.equal("[]\n", command.run(s, words).out)
      end
    end)
  end)

  it("runs no other program, which would inherit the key", function()
    assert.equal(0, command.run(s, { "sync", app, "--dir",
      dir .. "/m" }).code)
    local process = command.terminal(s, { "prune", "--keep-last=1", "--dir",
      dir .. "/m" })
    downloads.wait(function()
      return process.shown():find("[y/N] ", 1, true)
    end, "the question")
    local pids, parents = {}, {}
    local pipe = assert(io.popen("ps -ww -eo "
      .. "pid=,ppid=,args="))
    for line in pipe:lines() do
      local pid, parent, args = line:match "^%s*(%d+)%s+(%d+)%s+(.*)$"
      parents[parent] = args
      if args:find("^lua5%.4 .*squaresnap ")
        and args:find(dir .. "/m", 1, true) then
        pids[#pids + 1] = pid
      end
    end
    pipe:close()
    process.type "n\n"
    assert.equal(1, process.wait().code)
    assert.equal(1, #pids)
    assert.is_nil(parents[pids[1]])
  end)

  describe("loads", function()
    local function loaded(...)
      local words = {}
      for i, word in ipairs { ... } do words[i] = ("%q"):format(word) end
      local out, err = child.run(([[
        local code = require("squarecloud.cli").main { %s }
        for name in pairs(package.loaded) do io.stderr:write(name, " ") end
        os.exit(code, true)
      ]]):format(table.concat(words, ",")))
      assert.is_true(#out > 0)
      return " " .. err
    end

    it("no libcurl to say its help and completions", function()
      for _, words in ipairs { { "--help" }, { "list", "--help" },
        { "completion", "bash" } } do
        assert.is_nil(loaded(table.unpack(words))
          :find(" squarecloud.core ", 1, true))
      end
    end)

    it("neither retention nor mirror to say its version", function()
      local names = loaded "--version"
      assert.matches(" squarecloud.core ", names, 1, true)
      for _, name in ipairs { "squarecloud.retention", "squarecloud.mirror",
        "squarecloud.progress", "lfs" } do
        assert.is_nil(names:find(" " .. name .. " ", 1, true), name)
      end
    end)
  end)
end)
