-- squaresnap and a person: bars on a terminal, and Ctrl-C, after which the same
-- command goes on.

local lfs = require "lfs"
local command = require "spec.support.command"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local quote = require "spec.support.quote"
local server = require "spec.support.server"

local TIME = 1750000000 -- 2025-06-15T15:06:40Z
local MIB = 1024 * 1024

describe("squaresnap", function()
  local s, app, other, dir
  before_each(function()
    s = server.shared()
    app, other = s.apps[1], s.apps[2]
    dir = helpers.tmpdir()
  end)
  after_each(function() helpers.remove(dir.path) end)

  -- Snapshots whose downloads stand still after `bytes`, until `go_on`.
  local function stall(ids, mib, bytes, time)
    local path = s.dir .. "/store/stalled.zip"
    downloads.write_large(path, mib)
    for i, id in ipairs(ids) do
      s:add_snapshot { app = id, path = path, modified = (time or TIME) + i,
        version_id = "v-" .. id:sub(1, 4) }
    end
    s:fault { fault = "stall", bytes = bytes,
      match = { path = "/applications" } }
    return path
  end

  local function go_on()
    s:clear_faults()
    s:release()
  end

  local function wait_for(process, pattern)
    return downloads.wait(function()
      return process.shown():find(pattern)
    end, pattern)
  end

  describe("on a terminal", function()
    -- Snapshots whose downloads take two seconds.
    local function slow(ids)
      s:configure { limit_rate = MIB }
      for i, id in ipairs(ids) do
        s:add_snapshot { app = id, bytes = downloads.archive(2048),
          modified = TIME + i, version_id = "v" }
      end
    end

    it("draws a bar with rate and time left", function()
      slow { app }
      local process = command.terminal(s, { "download", app, "-o", dir.path },
        { columns = 120 })
      wait_for(process, app .. " %[[^\n]*%d+%% +[%d.]+/2%.0 MiB +%d[%d.]* "
        .. "[KM]iB/s +%d+:%d%d")
      local result = process.wait()
      assert.equal(0, result.code, result.out)
      assert.matches(app .. "  2%.0 MiB", result.out)
      assert.matches("/" .. app .. "_20250615T150641Z.zip\r\n$", result.out)
    end)

    it("draws several at once for sync -j", function()
      slow { app, other }
      local process = command.terminal(s, { "sync", app, other, "--dir",
        dir .. "/m", "-j", "2" }, { columns = 120 })
      wait_for(process, app .. " %[[^\n]*%%[^\n]*\n[^\n]*" .. other .. " %[")
      local result = process.wait()
      assert.equal(0, result.code, result.out)
      assert.matches("2 downloaded, 4%.0 MiB\r\n$", result.out)
    end)

    local plain = {
      { "with --no-progress", { "--no-progress" } },
      { "with -q", { "-q" } },
      { "on a dumb terminal", {}, { TERM = "dumb" } },
    }
    for _, row in ipairs(plain) do
      it("draws none " .. row[1], function()
        stall({ app }, 3, 2 * MIB)
        local words = { "download", app, "-o", dir.path,
          table.unpack(row[2]) }
        local process = command.terminal(s, words, { env = row[3] })
        s:wait_requests { path = "/applications" }
        go_on()
        local result = process.wait()
        assert.equal(0, result.code, result.out)
        assert.is_nil(result.out:find("\27", 1, true))
        assert.is_nil(result.out:find("[=", 1, true))
      end)
    end

    it("draws one without colours where NO_COLOR is set", function()
      slow { app }
      local process = command.terminal(s, { "download", app, "-o", dir.path },
        { columns = 120, env = { NO_COLOR = "1" } })
      local shown = process.wait().out
      assert.matches("%[=+>", shown)
      assert.is_nil(shown:find "\27%[%d+m")
    end)

    it("keeps the bar whole while --verbose tells", function()
      slow { app }
      local process = command.terminal(s, { "-v", "download", app, "-o",
        dir.path }, { columns = 120 })
      local result = process.wait()
      assert.equal(0, result.code, result.out)
      assert.matches("\rrequest GET " .. s.http
        .. "/applications/[^?\n]*\27%[K\r\n", result.out)
      assert.matches("%[=+>", (result.out:gsub("\27%[%d+m", "")))
    end)
  end)

  describe("at a Ctrl-C", function()
    -- Far enough for a record of what is there to be written.
    local size, at = 24, 20 * MIB

    local function assert_whole(path)
      assert.is_true(os.execute(("cmp -s %s %s"):format(
        quote.shell(s.dir .. "/store/stalled.zip"), quote.shell(path))))
    end

    it("in a pipe keeps the part; the same command finishes it", function()
      stall({ app }, size, at)
      local name = dir .. "/" .. app .. "_20250615T150641Z.zip"
      local words = { "download", app, "-o", dir.path }
      local process = command.start(s, words)
      downloads.wait_record(name .. ".part")
      process.interrupt()
      local result = process.wait()
      assert.equal(130, result.code)
      assert.equal("", result.out)
      assert.matches("squaresnap: interrupted; what was downloaded is kept: "
        .. "run the same command again to resume\n$", result.err)
      assert.is_nil(result.err:find("traceback", 1, true))
      assert.is_nil(lfs.attributes(name))
      go_on()
      local again = command.run(s, words)
      assert.equal(0, again.code, again.err)
      assert_whole(name)
      local ranges = downloads.ranges(s)
      assert.is_true(tonumber(ranges[#ranges]:match "^bytes=(%d+)-")
        >= 8 * MIB, ranges[#ranges])
      assert.same({ app .. "_20250615T150641Z.zip" },
        helpers.names(dir.path))
    end)

    it("on a terminal, too", function()
      stall({ app }, size, at)
      local name = dir .. "/" .. app .. "_20250615T150641Z.zip"
      local words = { "download", app, "-o", dir.path }
      local process = command.terminal(s, words)
      downloads.wait_record(name .. ".part")
      process.type "\3"
      local result = process.wait()
      assert.equal(130, result.code, result.out)
      assert.matches("squaresnap: interrupted; what was downloaded is kept",
        result.out)
      go_on()
      local again = command.terminal(s, words).wait()
      assert.equal(0, again.code, again.out)
      assert_whole(name)
    end)

    it("goes on even with the little that came before the first record",
      function()
        stall({ app }, 3, 2 * MIB)
        local name = dir .. "/" .. app .. "_20250615T150641Z.zip"
        local words = { "download", app, "-o", dir.path }
        local process = command.start(s, words)
        downloads.wait(function()
          return lfs.attributes(name .. ".part", "size") == 2 * MIB
        end, "two MiB")
        process.interrupt()
        assert.equal(130, process.wait().code)
        assert.is_truthy(lfs.attributes(name .. ".part.meta"))
        go_on()
        assert.equal(0, command.run(s, words).code)
        assert_whole(name)
        local ranges = downloads.ranges(s)
        assert.not_equal("bytes=0-", ranges[#ranges])
      end)

    it("in a sync keeps all parts, and lets the mirror go", function()
      local time = os.time() - 86400 -- an expired one's part is removed
      stall({ app, other }, size, at, time)
      local words = { "sync", app, other, "--dir", dir .. "/m" }
      local process = command.start(s, words)
      for i, id in ipairs { app, other } do
        downloads.wait_record(("%s/m/app/%s/%s_%s_v-%s.zip.part"):format(dir,
          id, id, os.date("!%Y%m%dT%H%M%SZ", time + i), id:sub(1, 4)))
      end
      process.interrupt()
      local result = process.wait()
      assert.equal(130, result.code, result.err)
      go_on()
      local again = command.run(s, words)
      assert.equal(0, again.code, again.err)
      assert.matches("^2 downloaded", again.err:match "[^\n]*\n$")
      local ranges = downloads.ranges(s)
      for i = #ranges - 1, #ranges do
        assert.not_equal("bytes=0-", ranges[i])
      end
    end)

    it("in a create says that it may be carried out", function()
      s:fault { fault = "stall", match = { method = "POST" } }
      local process = command.start(s, { "create", app })
      s:wait_requests { method = "POST" }
      process.interrupt()
      local result = process.wait()
      assert.equal(130, result.code)
      assert.matches("^squaresnap: interrupted; the request may still be "
        .. "carried out: check with `squaresnap list`", result.err)
      s:release()
    end)

    it("elsewhere just ends", function()
      s:fault { fault = "stall", match = { path = "/v2" } }
      local process = command.start(s, { "list" })
      s:wait_requests { path = "/v2" }
      process.interrupt()
      local result = process.wait()
      assert.equal(130, result.code)
      assert.equal("squaresnap: interrupted\n", result.err)
      s:release()
    end)
  end)

  it("that is killed goes on with the same command", function()
    stall({ app }, 24, 20 * MIB)
    local name = dir .. "/" .. app .. "_20250615T150641Z.zip"
    local words = { "download", app, "-o", dir.path }
    for _, signal in ipairs { "TERM", "KILL" } do
      local process = command.start(s, words)
      downloads.wait_record(name .. ".part")
      process.signal(signal)
      process.wait()
    end
    go_on()
    assert.equal(0, command.run(s, words).code)
    local ranges = downloads.ranges(s)
    assert.not_equal("bytes=0-", ranges[#ranges])
  end)
end)
