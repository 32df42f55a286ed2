-- squaresnap download, and verify: what is chosen, where it goes, what is
-- checked; a full disk, and files that are there already.

local lfs = require "lfs"
local command = require "spec.support.command"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"

local TIME = 1750000000 -- 2025-06-15T15:06:40Z
local LATER = TIME + 7200

-- A file's bytes in the archive changed, its CRC as it was.
local function broken(archive)
  return (archive:gsub("000000000000002\n", "00000000000beef\n", 1))
end

describe("squaresnap download", function()
  local s, app, database, dir
  before_each(function()
    s = server.shared()
    app, database = s.apps[1], s.databases[1]
    dir = helpers.tmpdir()
    s:add_snapshot { app = app, bytes = downloads.archive(8),
      version_id = "v-old", modified = TIME }
    s:add_snapshot { app = app, bytes = downloads.archive(16),
      version_id = "v-new", modified = LATER }
  end)
  after_each(function() helpers.remove(dir.path) end)

  local function download(...)
    return command.run(s, { "download", app, ... }, { folder = dir.path })
  end
  local function download_json(...)
    return command.run(s, { "--json", "download", app, ... },
      { folder = dir.path })
  end

  local old_name, new_name
  before_each(function()
    old_name = app .. "_20250615T150640Z.zip"
    new_name = app .. "_20250615T170640Z.zip"
  end)

  it("takes the newest, into the current folder, and prints the path",
    function()
      for _, words in ipairs { {}, { "--latest", "--force" } } do
        local result = download(table.unpack(words))
        assert.equal(0, result.code)
        assert.equal(dir .. "/" .. new_name .. "\n", result.out)
        assert.equal(downloads.archive(16),
          helpers.read_file(dir .. "/" .. new_name))
      end
    end)

  it("takes -o as a folder, made if missing, or a file that ends in .zip",
    function()
      for _, row in ipairs { { "new/folder", "new/folder/" .. new_name },
        { "new/", "new/" .. new_name }, { "one.zip", "one.zip" },
        { dir .. "/deep/er/two.zip", "deep/er/two.zip" },
        { "folder.zip/", "folder.zip/" .. new_name } } do
        local result = download("-o", row[1])
        assert.equal(0, result.code, result.err)
        assert.equal(dir .. "/" .. row[2] .. "\n", result.out)
        assert.equal("rw-------", downloads.mode(dir .. "/" .. row[2]))
      end
    end)

  it("takes the version that is asked for", function()
    local result = download("--version-id", "v-old", "--output", "x.zip")
    assert.equal(0, result.code)
    assert.equal(downloads.archive(8), helpers.read_file(dir .. "/x.zip"))
  end)

  it("knows no version that is not in the list: exit code 5", function()
    local result = download("--version-id", "v-gone")
    assert.equal(5, result.code)
    assert.matches("v%-gone is not in its list; `squaresnap list " .. app
      .. "` shows", result.err)
    assert.equal(0, #downloads.requests(s))
  end)

  it("has nothing to take where there are no snapshots: exit code 5",
    function()
      s:remove_snapshots { app = app }
      assert.equal(5, download().code)
      assert.equal(0, download("--all").code)
    end)

  it("downloads a database's", function()
    s:add_snapshot { database = database, bytes = downloads.archive(8),
      version_id = "d", modified = TIME }
    local result = command.run(s, { "download", database, "--database" },
      { folder = dir.path })
    assert.equal(0, result.code, result.err)
    assert.same({ database .. "_postgres_20250615T150640Z.zip" },
      helpers.names(dir.path))
  end)

  it("gives a JSON object a file, without secrets", function()
    local result = download_json()
    local one = result:json()
    assert.equal("downloaded", one.status)
    assert.equal(dir .. "/" .. new_name, one.path)
    assert.matches('"bytes":' .. #downloads.archive(16) .. ",", result.out, 1,
      true)
    assert.equal("v-new", one.version_id)
    assert.matches('^"%x+"$', one.etag)
    assert.is_nil(one.url)
    assert.is_nil(one.key)
  end)

  it("replaces a file only with --force: exit code 1", function()
    helpers.write_file(dir .. "/" .. new_name, "mine")
    local result = download()
    assert.equal(1, result.code)
    assert.matches("already exists; use %-%-force to replace it\n$", result.err)
    assert.equal("mine", helpers.read_file(dir .. "/" .. new_name))
    local told = download_json():json()
    assert.equal("failed", told.status)
    assert.equal("exists", told.error.kind)
    assert.equal(0, download("--force").code)
    assert.equal(downloads.archive(16),
      helpers.read_file(dir .. "/" .. new_name))
  end)

  describe("with --all", function()
    it("takes them oldest first, and leaves those that are there", function()
      local result = download("--all", "-o", "all")
      assert.equal(0, result.code)
      assert.equal(("%s/all/%s\n%s/all/%s\n"):format(dir, old_name, dir,
        new_name), result.out)
      local count = #downloads.requests(s)
      local again = download_json("--all", "-o", "all")
      assert.equal(0, again.code)
      for _, one in ipairs(again:json_lines()) do
        assert.equal("present", one.status)
      end
      assert.equal(count, #downloads.requests(s))
    end)

    it("tells snapshots of one second apart", function()
      s:add_snapshot { app = app, bytes = downloads.archive(24),
        version_id = "v-twin", modified = LATER + 0.5 }
      local result = download("--all")
      assert.equal(0, result.code, result.err)
      local stem = new_name:gsub("%.zip$", "")
      assert.same({ old_name, stem .. "_v-new.zip", stem .. "_v-twin.zip" },
        helpers.names(dir.path))
      assert.equal(downloads.archive(24),
        helpers.read_file(dir .. "/" .. stem .. "_v-twin.zip"))
    end)

    it("does not take another file for one that is there", function()
      helpers.write_file(dir .. "/" .. old_name, "mine")
      local result = download("--all")
      assert.equal(3, result.code)
      assert.matches("use %-%-force to replace it", result.err)
      assert.equal("mine", helpers.read_file(dir .. "/" .. old_name))
      assert.is_truthy(lfs.attributes(dir .. "/" .. new_name))
    end)

    it("goes on when one fails: exit code 3", function()
      s:fault { fault = "expired", match = { pattern = "versionId=v%-old" } }
      local result = download_json("--all")
      assert.equal(3, result.code)
      local lines = result:json_lines()
      assert.equal("expired", lines[1].error.kind)
      assert.equal("downloaded", lines[2].status)
    end)
  end)

  it("checks as told", function()
    s:remove_snapshots { app = app }
    s:add_snapshot { app = app, modified = TIME,
      bytes = broken(downloads.archive(8)) }
    local result = command.run(s, { "--retries=0", "download", app },
      { folder = dir.path })
    assert.equal(8, result.code)
    assert.matches("integrity: [^\n]*; nothing was kept", result.err)
    assert.same({}, helpers.names(dir.path))
    for _, how in ipairs { "structure", "none" } do
      assert.equal(0, download("--verify", how, "--force").code)
    end
    assert.equal(8, command.run(s, { "--retries=0", "download", app,
      "--force", "--verify=full" }, { folder = dir.path }).code)
  end)

  it("uses several connections when told", function()
    s:remove_snapshots { app = app }
    local path = s.dir .. "/large.zip"
    downloads.write_large(path, 20)
    s:add_snapshot { app = app, path = path, modified = TIME }
    assert.equal(0, download("--segments", "3").code)
    assert.is_true(#downloads.requests(s) > 1)
    assert.is_true(os.rename(path, dir .. "/copy"))
    assert.is_true(os.execute(("cmp -s %s/copy %s/%s"):format(dir, dir,
      old_name)))
  end)

  describe("says how it goes", function()
    it("in plain lines where there is no terminal", function()
      local result = download()
      assert.matches("^" .. app .. ": [^\n]+\n$", result.err)
      assert.is_nil(result.err:find("\27", 1, true))
    end)

    it("in one line with --no-progress", function()
      assert.equal(app .. ": 16.2 KiB, every CRC checked\n",
        download("--no-progress").err)
    end)

    it("not at all with -q", function()
      local result = download("-q")
      assert.equal("", result.err)
      assert.equal(dir .. "/" .. new_name .. "\n", result.out)
    end)

    it("request by request with -v", function()
      local result = download("-v")
      assert.matches("request GET " .. s.http .. "/applications/", result.err,
        1, true)
      assert.is_nil(result.err:find("?", 1, true))
    end)
  end)

  it("keeps what came when the disk is full, and goes on when it is not",
    function()
      local disk <close>, why = downloads.small_disk(dir .. "/disk", 4096)
      if not disk then return pending(why) end
      s:remove_snapshots { app = app }
      local path = s.dir .. "/store/large.zip"
      downloads.write_large(path, 12)
      s:add_snapshot { app = app, path = path, modified = TIME,
        version_id = "v" }
      for _, words in ipairs { { "download", app, "-o", disk.path },
        { "sync", app, "--dir", disk.path .. "/m" } } do
        local full = command.run(s, words)
        assert.equal(1, full.code)
        assert.matches("filesystem: [^\n]*; free some space, then run the "
          .. "same command again to resume\n", full.err)
        assert.is_nil(full.out:find("downloaded", 1, true))
        disk.grow()
        local done = command.run(s, words)
        assert.equal(0, done.code, done.err)
        assert.is_true(os.execute(("cmp -s %s $(find %s -name '*.zip')")
          :format(path, disk.path)))
        os.execute(("rm -r %s/*; mount -o remount,size=4m %s"):format(
          disk.path, disk.path))
      end
    end)

  it("keeps what came at a limit to a file's size", function()
    s:remove_snapshots { app = app }
    s:add_snapshot { app = app, bytes = downloads.archive(600),
      modified = TIME, version_id = "v" }
    -- the largest file a process may write: in the shell's blocks of 512 bytes
    local full = command.run(s, { "--retries=0", "download", app },
      { folder = dir.path, shell = "ulimit -f 600" })
    assert.equal(1, full.code)
    assert.matches("filesystem: [^\n]*; free some space, then run the same "
      .. "command again to resume\n$", full.err)
    assert.equal(0, download().code)
    assert.equal(downloads.archive(600),
      helpers.read_file(dir .. "/" .. old_name))
  end)

  it("says how to go on when the line is cut", function()
    s:fault { fault = "cut", bytes = 9000,
      match = { path = "/applications" } }
    local cut = command.run(s, { "--retries=0", "download", app },
      { folder = dir.path })
    assert.equal(1, cut.code)
    assert.matches("network: [^\n]*; run the same command again to resume\n$",
      cut.err)
    s:clear_faults()
    assert.equal(0, download().code)
    local ranges = downloads.ranges(s)
    assert.equal("bytes=9000-", ranges[#ranges]:sub(1, 11))
    assert.equal(downloads.archive(16),
      helpers.read_file(dir .. "/" .. new_name))
  end)

  it("says what to do when the address has expired: exit code 8", function()
    s:fault { fault = "expired", match = { path = "/applications" } }
    local result = download()
    assert.equal(8, result.code)
    assert.matches("expired: [^\n]*; run the same command again", result.err)
  end)

  describe("and squaresnap verify", function()
    it("checks files down to every CRC", function()
      download("--all")
      local result = command.run(nil, { "verify", old_name, new_name },
        { folder = dir.path })
      assert.equal(0, result.code)
      assert.equal("", result.err)
      assert.equal(("ok  %s  2 entries, 8.2 KiB\nok  %s  2 entries, 16.2 KiB\n")
        :format(old_name, new_name), result.out)
      local one = command.run(nil, { "--json", "verify", new_name },
        { folder = dir.path }):json()
      assert.same({ file = new_name, status = "ok", entries = 2,
        bytes = #downloads.archive(16), unverifiable = 0 }, one)
    end)

    it("tells a broken one: exit code 8, of several 3", function()
      download()
      local bytes = helpers.read_file(dir .. "/" .. new_name)
      helpers.write_file(dir .. "/broken.zip", broken(bytes))
      local function verify(...)
        return command.run(nil, { "--json", "verify", ... },
          { folder = dir.path })
      end
      local bad = verify "broken.zip"
      assert.equal(8, bad.code)
      assert.equal("integrity", bad:json().error.kind)
      assert.matches("data%.txt[^\n]*; download it again\n$", bad.err)
      assert.equal(3, verify("broken.zip", new_name).code)
      assert.equal(1, verify("missing.zip").code)
      assert.equal(1, verify("missing.zip", "broken.zip").code)
    end)
  end)
end)
