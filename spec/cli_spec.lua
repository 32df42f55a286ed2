-- The command squaresnap as a whole: its version and help, wrong usage, where
-- the key comes from and that it is never shown, exit codes, and an output
-- that takes no more. Each command has a spec of its own in cli/.

local lfs = require "lfs"
local square = require "squarecloud"
local command = require "spec.support.command"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local quote = require "spec.support.quote"
local server = require "spec.support.server"

local COMMANDS = { "create", "list", "download", "restore", "rehearse", "sync",
  "prune", "verify", "quota", "whoami", "completion" }

local function lines_of(text)
  local _, count = text:gsub("\n", "")
  return count
end

describe("squaresnap", function()
  local s, app
  before_each(function()
    s = server.shared()
    app = s.apps[1]
  end)

  describe("as a command", function()
    it("tells its version, the module's", function()
      local result = command.run(nil, { "--version" })
      assert.equal("squaresnap " .. square.version .. "\n", result.out)
      assert.equal("", result.err)
      assert.equal(0, result.code)
    end)

    it("works through a symlink, from any folder", function()
      local dir <close> = helpers.tmpdir()
      local pipe = assert(io.popen(command.line(nil, {}, {
        script = "sh -c 'command -v squaresnap'" })))
      local path = pipe:read "l"
      pipe:close()
      assert(lfs.link(path, dir .. "/linked", true))
      local result = command.run(nil, {}, { folder = dir.path,
        script = "./linked --version" })
      assert.equal("squaresnap " .. square.version .. "\n", result.out)
    end)

    it("is run by Lua 5.4, named in its first line", function()
      local file = package.searchpath("squarecloud.cli", package.path)
      local script = file:gsub("cli%.lua$", "bin/squaresnap")
      assert.equal("#!/usr/bin/env lua5.4",
        helpers.read_file(script):match "^[^\n]*")
      assert.equal("rwxr-xr-x", lfs.attributes(script, "permissions"))
    end)
  end)

  describe("helps", function()
    it("with all commands and the exit codes", function()
      for _, words in ipairs { { "--help" }, { "-h" } } do
        local result = command.run(nil, words)
        assert.equal(0, result.code)
        for _, name in ipairs(COMMANDS) do
          assert.matches("\n   " .. name .. " ", result.out)
        end
        assert.matches("130 interrupted", result.out:gsub("%s+", " "))
      end
    end)

    for _, name in ipairs(COMMANDS) do
      it("with an example of " .. name, function()
        local result = command.run(nil, { name, "--help" })
        assert.equal(0, result.code)
        assert.matches("\nExample:\n   [^\n]*squaresnap [^\n]*" .. name,
          result.out)
        assert.equal("", result.err)
      end)
    end

    it("in 80 columns", function()
      for _, name in ipairs(COMMANDS) do
        for line in command.run(nil, { name, "-h" }).out:gmatch "[^\n]+" do
          assert.is_true(#line <= 80, line)
        end
      end
    end)
  end)

  describe("refuses wrong usage with exit code 2, in one line:", function()
    local rows = {
      { "no command", {}, "a command is required" },
      { "an unknown command", { "downlod" }, "Did you mean 'download'" },
      { "an unknown option", { "list", "--nope" },
        "unknown option '%-%-nope'" },
      { "a key as an option", { "--api-key", "SECRET", "list" },
        "unknown option '%-%-api%-key'" },
      { "no id", { "create" }, "missing argument 'ID'" },
      { "an empty id", { "create", "" }, "the id is empty" },
      { "an id that is a dot", { "list", ".." }, "cannot be '%.' or '%.%.'" },
      { "an id with a line break", { "create", "a\nb" },
        "contains a control character" },
      { "two ids to download", { "download", "a", "b" }, "too many" },
      { "two ways to choose", { "download", "a", "--all", "--latest" },
        "can not be used together" },
      { "an empty version", { "restore", "a", "--version-id", "", "-y" },
        "%-%-version%-id is empty" },
      { "a version that is left out", { "restore", "a", "--version-id", "-y" },
        "%-%-version%-id' requires an argument" },
      { "no version to restore", { "restore", "a", "-y" },
        "needs %-%-version%-id or %-%-latest" },
      { "a restore without consent", { "restore", "a", "--latest" },
        "needs %-%-yes; nothing was sent" },
      { "a rehearsal without consent", { "rehearse", "a", "--latest" },
        "needs %-%-yes: the copy boots with the original's secrets" },
      { "an unknown check", { "download", "a", "--verify", "half" },
        "must be one of" },
      { "too many segments", { "download", "a", "--segments", "17" },
        "%-%-segments must be a whole number from 1 to 16" },
      { "a fraction of a snapshot", { "list", "--newest", "1.5" },
        "%-%-newest must be a whole number, at least 1" },
      { "days that are no number", { "list", "--expires-within", "soon" },
        "%-%-expires%-within must be a number" },
      { "a time that is none", { "list", "--since", "yesterday" },
        "%-%-since must be a time" },
      { "a date that is none", { "list", "--since", "2024-02-30" },
        "%-%-since must be a time" },
      { "one file for all", { "download", "a", "--all", "-o", "x.zip" },
        "needs a folder" },
      { "a file's name with a backslash", { "download", "a", "-o", "x\\.zip" },
        "not a plain file name" },
      { "sync without a folder", { "sync", "--all" }, "%-%-dir" },
      { "sync of nothing", { "sync", "--dir", "x" }, "needs ids, or %-%-all" },
      { "sync of all and one", { "sync", "a", "--all", "--dir", "x" },
        "takes no ids" },
      { "no jobs", { "sync", "--all", "--dir", "x", "-j", "0" },
        "%-j must be a whole number" },
      { "prune without rules", { "prune", "--dir", "x", "-y" },
        "needs keep rules" },
      { "prune with rules that are off",
        { "prune", "--dir", "x", "-y", "--keep-last", "0" }, "no policy" },
      { "prune without consent", { "prune", "--dir", "x", "--keep-last", "1" },
        "needs %-%-yes; nothing was removed" },
      { "a count that is none", { "prune", "--dir", "x", "--keep-daily", "x" },
        '%-%-keep%-daily must be a whole number or "unlimited"' },
      { "a duration that is none",
        { "prune", "--dir", "x", "-y", "--keep-within", "10x" },
        '%-%-keep%-within "10x": invalid unit "x"' },
      { "verify of nothing", { "verify" }, "missing argument 'FILE'" },
      { "an unknown shell", { "completion", "csh" }, "must be one of" },
      { "a timeout of nothing", { "--timeout", "0", "list" },
        "%-%-timeout must be a number" },
      { "negative retries", { "--retries", "x", "list" },
        "%-%-retries must be a whole number" },
      { "an address without https", { "--base-url", "http://example.com",
        "list" }, "%-%-base%-url" },
    }
    for _, row in ipairs(rows) do
      it(row[1], function()
        local result = command.run(s, row[2])
        assert.equal(2, result.code, result.err)
        assert.matches("^squaresnap: [^\n]*" .. row[3] .. "[^\n]*\n$",
          result.err)
        assert.equal("", result.out)
        assert.equal(0, #s:requests())
      end)
    end

    it("and says whose help tells more", function()
      assert.matches("see `squaresnap restore %-%-help`",
        command.run(nil, { "restore" }).err)
    end)
  end)

  it("takes global options before and behind the command", function()
    for _, words in ipairs { { "--json", "--utc", "list" },
      { "list", "--json", "--utc" }, { "--utc", "list", "--json" } } do
      assert.same({}, command.run(s, words):json())
    end
  end)

  describe("takes the addresses", function()
    local env
    before_each(function()
      env = { SQUARE_API_KEY = s.key, SQUARECLOUD_BASE_URL = s.http_base_url,
        SQUARECLOUD_SNAPSHOTS_URL = s.http_snapshots_url }
    end)

    local function run(...) return command.run(nil, { ... }, { env = env }) end

    it("from SQUARECLOUD_BASE_URL and SQUARECLOUD_SNAPSHOTS_URL", function()
      local dir <close> = helpers.tmpdir()
      s:add_snapshot { app = app, bytes = downloads.archive(8) }
      local result = run("download", app, "-q", "-o", dir.path)
      assert.equal(0, result.code, result.err)
      assert.equal(1, #s:requests { path = "/v2/apps/" .. app })
      assert.equal(1, #s:requests { path = "/applications/" })
      assert.equal("POST " .. s.http_base_url .. "/apps/x/snapshots\n",
        run("create", "-n", "x").out)
    end)

    it("from options first, and of variables only those with a text",
      function()
        env.SQUARECLOUD_BASE_URL = s.refused
        env.SQUARECLOUD_SNAPSHOTS_URL = ""
        assert.equal(0, run("--base-url=" .. s.http_base_url, "list").code)
        env.SQUARECLOUD_BASE_URL = ""
        assert.equal("POST https://api.squarecloud.app/v2/apps/x/snapshots\n",
          run("create", "-n", "x").out)
      end)

    it("and names the variable whose address is wrong", function()
      for name in pairs { SQUARECLOUD_BASE_URL = 1,
        SQUARECLOUD_SNAPSHOTS_URL = 1 } do
        local good = env[name]
        for _, bad in ipairs { "http://example.com", "nonsense", "http://",
          "https://user:SECRET@example.com", "https://a\nb" } do
          env[name] = bad
          local result = run "list"
          assert.equal(2, result.code, result.err)
          assert.matches("^squaresnap: " .. name .. " [^\n]+\n$", result.err)
          assert.is_nil(result.err:find("SECRET", 1, true))
        end
        env[name] = good
      end
      s:fault { fault = "respond", status = 200, body = "[]",
        type = "application/json", match = { path = "/v2" } }
      assert.matches("is SQUARECLOUD_BASE_URL right%?", run("list").err)
    end)
  end)

  describe("finds the key", function()
    local dir
    before_each(function() dir = helpers.tmpdir() end)
    after_each(function() helpers.remove(dir.path) end)

    local function whoami(env, ...)
      return command.run(s, { "--json", "whoami", ... },
        { key = false, env = env })
    end

    local function write_config(folder, text)
      assert(lfs.mkdir(folder))
      assert(lfs.mkdir(folder .. "/squarecloud"))
      helpers.write_file(folder .. "/squarecloud/config.json", text)
    end

    it("in the file that an option names", function()
      helpers.write_file(dir .. "/key", "  " .. s.key .. "\r\nnot this\n")
      local result = whoami({ SQUARECLOUD_API_KEY = "wrong" },
        "--api-key-file", dir .. "/key")
      assert.equal(dir .. "/key", result:json().key_source)
      assert.equal(0, result.code)
    end)

    it("in SQUARECLOUD_API_KEY, then SQUARE_API_KEY", function()
      assert.equal("SQUARECLOUD_API_KEY", whoami({ SQUARECLOUD_API_KEY = s.key,
        SQUARE_API_KEY = "wrong" }):json().key_source)
      assert.equal("SQUARE_API_KEY", whoami({ SQUARECLOUD_API_KEY = "",
        SQUARE_API_KEY = s.key }):json().key_source)
    end)

    it("where the platform's own command keeps it", function()
      write_config(dir .. "/config", ('{"auth_token":"%s"}'):format(s.key))
      local path = dir .. "/config/squarecloud/config.json"
      assert.equal(path, whoami({ XDG_CONFIG_HOME = dir .. "/config" })
        :json().key_source)
      lfs.mkdir(dir .. "/home")
      write_config(dir .. "/home/.config",
        ('{"auth_token":"%s"}'):format(s.key))
      assert.equal(0, whoami({ HOME = dir .. "/home" }).code)
      assert.equal("SQUARE_API_KEY", whoami({ HOME = dir .. "/home",
        SQUARE_API_KEY = s.key }):json().key_source)
    end)

    it("and leaves that file as it is", function()
      local text = ('{"auth_token": "%s" , "x":[]}'):format(s.key)
      write_config(dir .. "/config", text)
      local path = dir .. "/config/squarecloud/config.json"
      local before = lfs.attributes(path)
      whoami { XDG_CONFIG_HOME = dir .. "/config" }
      assert.equal(text, helpers.read_file(path))
      assert.equal(before.modification, lfs.attributes(path, "modification"))
      assert.same({ "config.json" },
        helpers.names(dir .. "/config/squarecloud"))
    end)

    local nothing = {
      ["none at all"] = "",
      ["broken JSON"] = "{",
      ["a list"] = "[1]",
      ["an empty token"] = '{"auth_token":""}',
      ["a token that is no text"] = '{"auth_token":7}',
    }
    for name, text in pairs(nothing) do
      it("nowhere in a configuration with " .. name, function()
        write_config(dir .. "/config", text)
        local result = whoami { XDG_CONFIG_HOME = dir .. "/config" }
        assert.equal(4, result.code)
        assert.matches("^squaresnap: no API key: set SQUARECLOUD_API_KEY",
          result.err)
        assert.equal("", result.out)
      end)
    end

    it("nowhere: exit code 4, nothing sent", function()
      for _, words in ipairs { { "list" }, { "create", app }, { "quota" },
        { "restore", app, "--latest", "--yes" }, { "download", app },
        { "rehearse", app, "--latest", "--yes" },
        { "sync", "--all", "--dir", dir .. "/mirror" } } do
        local result = command.run(s, words, { key = false })
        assert.equal(4, result.code)
        assert.equal(1, lines_of(result.err))
      end
      assert.equal(0, #s:requests())
      assert.is_nil(lfs.attributes(dir .. "/mirror"))
    end)

    it("in no file that cannot be read, is empty or holds control characters",
      function()
        helpers.write_file(dir .. "/empty", " \n\n")
        helpers.write_file(dir .. "/odd", "abc\1def\n")
        for _, name in ipairs { "missing", "empty", "odd", "." } do
          local result = whoami({ SQUARE_API_KEY = s.key }, "--api-key-file",
            dir .. "/" .. name)
          assert.equal(4, result.code, result.err)
          assert.matches("^squaresnap: no API key: [^\n]*\n$", result.err)
          assert.is_nil(result.err:find("abc", 1, true))
        end
      end)
  end)

  describe("never shows the key", function()
    it("in a message, a trace or JSON", function()
      s:add_snapshot { app = app, bytes = "PK\3\4 no archive" }
      local dir <close> = helpers.tmpdir()
      for _, words in ipairs { { "whoami" }, { "list" }, { "create", app },
        { "create", "-n", app }, { "create", "nobody" }, { "quota" },
        { "download", app, "-o", dir.path },
        { "restore", app, "--latest", "-n" } } do
        for _, more in ipairs { "--json", "--verbose", "--utc" } do
          table.insert(words, 1, more)
          local result = command.run(s, words)
          local shown = result.out .. result.err
          assert.is_nil(shown:find(s.key, 1, true), table.concat(words, " "))
          assert.is_nil(shown:find("Signature=", 1, true))
          assert.is_nil(shown:find("this is a bug", 1, true), shown)
        end
      end
      local bad = command.run(s, { "-v", "list" }, { key = "bad-key-bad" })
      assert.equal(4, bad.code)
      assert.is_nil((bad.out .. bad.err):find("bad-key-bad", 1, true))
    end)

    it("in the list of processes", function()
      local dir <close> = helpers.tmpdir()
      helpers.write_file(dir .. "/key", s.key)
      s:fault { fault = "stall", match = { path = "/v2/users/me" } }
      local process = command.start(s, { "whoami", "--api-key-file",
        dir .. "/key" }, { key = false })
      s:wait_requests { path = "/v2/users/me" }
      local pipe = assert(io.popen(("ps -ww -o args= -p %d; "
        .. "ps -ww -o args= --ppid %d"):format(process.pid, process.pid)))
      local shown = pipe:read "a"
      pipe:close()
      for _, name in ipairs { "cmdline", "environ" } do
        shown = shown .. helpers.read_file(("/proc/%d/%s"):format(process.pid,
          name))
      end
      s:release()
      assert.equal(0, process.wait().code)
      assert.matches("squaresnap", shown)
      assert.is_nil(shown:find(s.key:sub(-12), 1, true))
    end)
  end)

  describe("tells what went wrong and what to do next:", function()
    local rows = {
      { "a bad key", 4, { "list" }, { status = 401, code = "ACCESS_DENIED" },
        "check the key in SQUARE_API_KEY" },
      { "a scope that the key lacks", 4, { "list" }, { status = 403,
        code = "MISSING_SCOPE", message = "needs snapshots:read" },
        "needs snapshots:read; give the key that scope" },
      { "a plan that is too small", 4, { "list" },
        { status = 402, code = "UPGRADE_REQUIRED" },
        "name the applications %(`squaresnap list ID`%)" },
      { "an id nobody has", 5, { "create", "nobody" }, nil,
        "`squaresnap whoami` shows the ids; for a database add %-%-database" },
      { "a version nobody has", 5,
        { "restore", "$app", "--version-id", "nothing", "-y" }, nil,
        "`squaresnap list %x+` shows which versions" },
      { "a rate limit", 7, { "--retries", "0", "create", "$app" },
        { fault = "rate_limited", retry_after = 90 }, "run it again in 90 s" },
      { "a rate limit without a time", 7, { "--retries", "0", "list", "$app" },
        { fault = "rate_limited" }, "run it again in a minute" },
      { "a platform that fails", 1, { "--retries", "0", "list" },
        { status = 500, code = "INTERNAL_SERVER_ERROR" },
        "run it again later" },
      { "a create that may be carried out", 1, { "create", "$app" },
        { status = 500, code = "SNAPSHOT_FAILED" },
        "check with `squaresnap list %x+` before" },
      { "a gateway's page", 1, { "--retries", "0", "list" },
        { fault = "html" }, "run it again later" },
      { "an answer that is none", 1, { "list" },
        { status = 200, body = "[]", type = "application/json" },
        "is %-%-base%-url right" },
      { "a create that was answered with nonsense", 1, { "create", "$app" },
        { status = 200, body = "[]", type = "application/json" },
        "protocol: [^\n]*; it may have been carried out anyway: check "
        .. "with `squaresnap list %x+` before you run it again" },
      { "a restore whose answer is a redirect", 1, { "restore", "$app",
        "--version-id", "v", "-y" }, { fault = "redirect", to = "self",
        status = 307 }, "protocol: [^\n]*; it may have been carried out" },
      { "an id the platform does not know", 1, { "create", "$app" },
        { status = 400, code = "INVALID_ID" }, "check the id" },
      { "a code nobody knows", 1, { "list" },
        { status = 418, code = "TEAPOT", message = "short and stout" },
        "TEAPOT %(HTTP 418%): short and stout" },
    }
    for _, row in ipairs(rows) do
      local name, code, words, fault, expected = table.unpack(row)
      it(name, function()
        if fault then
          local armed = { fault = "respond", match = { path = "/v2" } }
          for key, value in pairs(fault) do armed[key] = value end
          s:fault(armed)
        end
        local given = {}
        for i, word in ipairs(words) do
          given[i] = word == "$app" and app or word
        end
        local result = command.run(s, given)
        assert.equal(code, result.code, result.err)
        assert.matches("^squaresnap: [^\n]*" .. expected .. "[^\n]*\n$",
          result.err)
      end)
    end

    it("nobody who listens", function()
      local result = command.run(nil, { "--retries=0", "list",
        "--base-url=" .. s.refused }, { key = s.key,
        env = { SQUARE_API_KEY = s.key } })
      assert.equal(1, result.code)
      assert.matches("network: [^\n]*; run it again later\n$", result.err)
    end)

    it("a certificate that nobody trusts, and SSL_CERT_FILE", function()
      local words = { "--base-url=" .. s.base_url, "list" }
      local env = { SQUARE_API_KEY = s.key }
      local result = command.run(nil, words, { env = env })
      assert.equal(1, result.code)
      assert.matches("tls: [^\n]*SSL_CERT_FILE", result.err)
      env.SSL_CERT_FILE = s.ca_file
      assert.equal(0, command.run(nil, words, { env = env }).code)
    end)

    it("a timeout that was given", function()
      s:fault { fault = "stall", match = { path = "/v2" } }
      local result = command.run(s, { "--timeout=0.2", "--retries=0", "list" })
      assert.equal(1, result.code)
      assert.matches("timeout: [^\n]*; run it again later\n$", result.err)
      s:release()
    end)

    it("what others put into names and messages, escaped", function()
      s:fault { fault = "respond", status = 404, code = "APP_NOT_FOUND",
        message = "\27[31mred\r\nsquaresnap: forged", match = {} }
      local result = command.run(s, { "list", app })
      assert.equal(1, lines_of(result.err))
      assert.is_nil(result.err:find("\27", 1, true))
      assert.matches("\\x1b%[31mred", result.err)
    end)
  end)

  describe("with an output", function()
    before_each(function()
      s:listing(app, '{"status":"success","response":' .. ("[%s]"):format(
        (('{"name":"a","size":1,"modified":"2024-06-27T06:23:42.326Z",'
        .. '"key":"versionId=%s"},'):format(("v"):rep(40))):rep(3000)
        :sub(1, -2)) .. "}")
    end)

    it("that is closed early ends quietly", function()
      for _, words in ipairs { { "list", app }, { "--json", "list", app } } do
        for _, trap in ipairs { "", "trap '' PIPE" } do
          local line = command.line(s, words, { shell = trap ~= "" and trap })
          local errors = os.tmpname()
          local pipe <close> = assert(io.popen(("{ %s; } 2>%s | head -c 100")
            :format(line, quote.shell(errors)), "r"))
          assert.equal(100, #pipe:read "a")
          assert.equal("", helpers.read_file(errors))
          os.remove(errors)
        end
      end
    end)

    it("that was closed from the start says so", function()
      local result = command.run(s, { "list", app }, { out = "&-" })
      assert.equal(1, result.code)
      assert.matches("^squaresnap: cannot write: [^\n]+\n$", result.err)
    end)

    it("that is full says so", function()
      for _, words in ipairs { { "list", app }, { "--json", "list", app },
        { "whoami" }, { "--json", "whoami" }, { "--version" },
        { "--help" }, { "completion", "bash" } } do
        local result = command.run(s, words, { out = "/dev/full" })
        assert.equal(1, result.code)
        assert.equal("squaresnap: cannot write: No space left on device\n",
          result.err)
      end
    end)

    describe("behind a message", function()
      local dir, words
      before_each(function()
        dir = helpers.tmpdir()
        words = { "verify", dir .. "/good.zip", dir .. "/bad.zip" }
        helpers.write_file(words[2], downloads.archive(8))
        helpers.write_file(words[3], "PK")
      end)
      after_each(function() helpers.remove(dir.path) end)

      it("that is full says so, too", function()
        local result = command.run(nil, words, { out = "/dev/full" })
        assert.equal(1, result.code)
        assert.matches("^squaresnap: [^\n]*bad%.zip[^\n]*\nsquaresnap: cannot "
          .. "write: No space left on device\n$", result.err)
      end)

      it("that nobody reads ends quietly", function()
        local result = command.run(nil, words, { out = "&5", shell = ("trap '' "
          .. "PIPE; mkfifo %s/p; exec 4<>%s/p 5>%s/p 4<&-"):format(dir, dir,
          dir) })
        assert.equal(1, result.code)
        assert.matches("^squaresnap: [^\n]*bad%.zip[^\n]*\n$", result.err)
      end)
    end)
  end)
end)
