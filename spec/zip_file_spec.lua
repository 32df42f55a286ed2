--- The ZipFile: what it tells of an archive, reads, checks and extracts, what
-- it refuses, and what is left of it when it is closed. What archives the
-- reader takes and refuses, one by one: spec/base/zip_spec.lua.

local lfs = require "lfs"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local square = require "squarecloud"
local zips = require "spec.support.zips"

local ENOENT, EISDIR = 2, 21
local TIME = 1719469422 -- 2024-06-27T06:23:42Z

describe("a ZipFile", function()
  local folder

  before_each(function() folder = helpers.tmpdir() end)
  after_each(function() helpers.remove(folder.path) end)

  local function path(name)
    return folder .. "/" .. name
  end

  local function open(bytes)
    return square.open_zip(zips.write(path "z.zip", bytes))
  end

  local function build(entries, options)
    return assert(open((zips.build(entries, options))))
  end

  local function raises(what, f, ...)
    local ok, why = pcall(f, ...)
    assert.is_false(ok, what)
    assert.truthy(tostring(why):find(what, 1, true), tostring(why))
  end

  -- nil, err of that kind, with the text in it.
  local function fails(kind, text, result, err, ...)
    assert.is_nil(result)
    assert.equal(kind, err.kind, tostring(err))
    assert.truthy(err.message:find(text, 1, true), err.message)
    assert.equal(0, select("#", ...))
    return err
  end

  it("closed while a task reads its directory gives that task `closed`",
    function()
      local s = server.shared()
      local client <close> = helpers.client(s)
      local zip = assert(client:download {
        url = s:put_file("c.zip", (zips.build { "a.txt" })),
        path = folder.path, verify = false })
      for _, method in ipairs { "names", "entries" } do
        client:run(function()
          local task = client:spawn(zip[method], zip)
          assert.equal("running", task.status)
          zip:close()
          local _, err = task:wait()
          assert.equal("closed", err.kind)
          zip = square.open_zip(zip.path)
        end)
        zip:close()
        zip = assert(client:download { url = s.https .. "/files/c.zip",
          path = folder.path, filename = method .. ".zip", verify = false })
      end
      zip:close()
    end)

  ------------------------------------------------------------------- opening

  it("opens a file by its path", function()
    local zip <close> = build { "a.txt" }
    assert.equal(path "z.zip", zip.path)
    assert.equal(lfs.attributes(path "z.zip", "size"), zip.bytes)
    assert.equal("integer", math.type(zip.bytes))
    assert.is_nil(zip.etag)
    assert.equal("userdata", type(zip))
  end)

  it("opens a relative path from where the process is", function()
    zips.write(path "z.zip", zips.build { "a.txt" })
    local before = lfs.currentdir()
    lfs.chdir(folder.path)
    local zip = square.open_zip "z.zip"
    local dotted = square.open_zip "./z.zip"
    lfs.chdir(before)
    assert.equal(path "z.zip", assert(zip).path)
    assert.same({ "a.txt" }, zip:names())
    assert.same({ "a.txt" }, assert(dotted):names())
    zip:close()
    dotted:close()
  end)

  it("opens what a symbolic link points to", function()
    zips.write(path "z.zip", zips.build { "a.txt" })
    lfs.link("z.zip", path "link", true)
    local zip <close> = assert(square.open_zip(path "link"))
    assert.equal(path "link", zip.path)
    assert.equal(1, #zip)
  end)

  it("does not open what is not there, or is no file", function()
    local err = fails("filesystem", path "none.zip",
      square.open_zip(path "none.zip"))
    assert.equal(ENOENT, err.errno)
    assert.equal("open_zip none.zip", err.operation)
    err = fails("filesystem", folder.path, square.open_zip(folder.path))
    assert.equal(EISDIR, err.errno)
    os.execute("mkfifo " .. path "pipe")
    fails("filesystem", path "pipe", square.open_zip(path "pipe"))
    fails("filesystem", "/dev/null", square.open_zip "/dev/null")
    fails("filesystem", path "none.zip/x",
      square.open_zip(path "none.zip/x"))
    lfs.link("nowhere", path "link", true)
    fails("filesystem", path "link", square.open_zip(path "link"))
  end)

  it("does not open what is no archive", function()
    for _, content in ipairs { "", "P", "PK\3\4", ("x"):rep(21),
      ("x"):rep(22), ("x"):rep(100000), "<html></html>",
      zips.build({ "a.txt" }):sub(1, -2) } do
      fails("integrity", path "z.zip", open(content))
    end
  end)

  it("opens an archive without an entry", function()
    for _, name in ipairs { "empty", "empty_comment", "empty_zip64" } do
      local zip <close> = assert(open(zips.sample(name)))
      assert.equal(0, #zip)
      assert.same({}, zip:names())
      assert.is_nil(zip:entries()())
      assert.is_true(zip:test())
      assert.equal(0, zip:extract(path "empty"))
      assert.same({}, helpers.names(path "empty"))
    end
  end)

  it("opens what is whole, and only that", function()
    for _, sample in ipairs(zips.samples) do
      local zip, err = open(zips.sample(sample.name))
      if sample.valid then
        local names = assert(zip, sample.name):names()
        assert.equal(#zip, #names, sample.name)
        zip:close()
      else
        assert.is_nil(zip, sample.name)
        assert.equal("integrity", err.kind, sample.name)
        assert.truthy(err.message:find(path "z.zip", 1, true), sample.name)
      end
    end
  end)

  it("wants one path, a string that can be one", function()
    raises("path", square.open_zip)
    raises("path", square.open_zip, nil)
    raises("path", square.open_zip, 1)
    raises("path", square.open_zip, {})
    raises("path", square.open_zip, "a", "b")
    raises("path", square.open_zip, "")
    raises("NUL", square.open_zip, "a\0b")
  end)

  it("keeps to the file it has opened", function()
    local zip <close> = build { { name = "a.txt", data = "first" } }
    os.remove(path "z.zip")
    zips.write(path "z.zip", zips.build { { name = "b.txt", data = "!" } })
    assert.same({ "a.txt" }, zip:names())
    assert.equal("first", zip:read "a.txt")
  end)

  ------------------------------------------------------------ names, entries

  it("names its entries in their order", function()
    local zip <close> = build { "b.txt", "a.txt", "d/", "d/ção.txt", "b.txt" }
    assert.same({ "b.txt", "a.txt", "d/", "d/ção.txt", "b.txt" },
      zip:names())
    assert.equal(5, #zip)
    zip:names()[1] = "mine"
    assert.equal("b.txt", zip:names()[1])
  end)

  it("tells of each entry", function()
    local text = ("deflated "):rep(1000)
    local zip <close> = build {
      { name = "a.txt", data = text, method = 8, mtime = TIME },
      { name = "d/", time = TIME },
      { name = "old.txt", data = "x", record = { dos_date = 0 },
        header = { dos_date = 0 } },
    }
    local seen = {}
    for name, entry, more in zip:entries() do
      assert.is_nil(more)
      seen[#seen + 1] = { name, entry }
    end
    assert.equal(3, #seen)
    local name, entry = table.unpack(seen[1])
    assert.equal("a.txt", name)
    assert.equal(#text, entry.bytes)
    assert.equal(#zips.deflate(text), entry.compressed)
    assert.equal(zips.crc32(text), entry.crc)
    assert.equal(TIME, entry.modified)
    for _, field in ipairs { "bytes", "compressed", "crc", "modified" } do
      assert.equal("integer", math.type(entry[field]), field)
    end
    assert.equal("d/", seen[2][1])
    assert.equal(TIME, seen[2][2].modified)
    assert.equal(0, seen[2][2].bytes)
    assert.equal("old.txt", seen[3][1])
  end)

  it("has iterators that do not know of each other", function()
    local zip <close> = build { "a", "b" }
    local one, other = zip:entries(), zip:entries()
    assert.equal("a", (one()))
    assert.equal("b", (one()))
    assert.equal("a", (other()))
    assert.is_nil(one())
    assert.is_nil(one())
    assert.equal("b", (other()))
  end)

  it("is kept alive by its iterator", function()
    local one = build({ "a", "b" }):entries()
    collectgarbage()
    collectgarbage()
    assert.equal("a", (one()))
    assert.equal("b", (one()))
  end)

  ------------------------------------------------------------------ read, test

  it("reads an entry", function()
    local text = ("deflated "):rep(50000)
    local zip <close> = build {
      { name = "stored.bin", data = "a\0b\r\n\255" },
      { name = "deflated.txt", data = text, method = 8 },
      { name = "empty", data = "" },
      { name = "d/" },
    }
    assert.equal("a\0b\r\n\255", zip:read "stored.bin")
    assert.is_true(text == zip:read "deflated.txt")
    assert.equal("", zip:read "empty")
    assert.equal("", zip:read "d/")
  end)

  it("does not read what is not there", function()
    local zip <close> = build { "a.txt" }
    for _, name in ipairs { "b.txt", "A.TXT", "./a.txt", "/a.txt", "a", "" } do
      local err = fails("not_found", path "z.zip", zip:read(name))
      assert.equal("read z.zip", err.operation)
    end
    fails("not_found", "\\x1b[2J", zip:read "\27[2J")
  end)

  it("does not read what it cannot", function()
    local encrypted <close> = assert(open(zips.sample "encrypted"))
    fails("integrity", "s.txt", encrypted:read "s.txt")
    local unknown <close> = assert(open(zips.sample "unknown"))
    fails("integrity", "p.txt", unknown:read "p.txt")
  end)

  it("does not read what is not as it was", function()
    local whole, map = zips.build { { name = "a.txt", data = "some text" },
      { name = "b.txt", data = "other text" } }
    local zip <close> = assert(open(zips.flip(whole, map[1].data)))
    fails("integrity", "a.txt", zip:read "a.txt")
    fails("integrity", "a.txt", zip:test())
    assert.equal("other text", zip:read "b.txt")
    fails("integrity", "a.txt", zip:extract(path "to"))
    assert.is_nil(lfs.attributes(path "to/a.txt"))
  end)

  it("is tested, whole", function()
    for _, name in ipairs { "stored", "deflated", "zip64", "descriptors",
      "duplicates", "utf8" } do
      local zip <close> = assert(open(zips.sample(name)))
      local ok, unverifiable = zip:test()
      assert.is_true(ok, name)
      assert.equal(0, unverifiable, name)
    end
  end)

  it("tells of entries that cannot be verified", function()
    for _, name in ipairs { "encrypted", "unknown" } do
      local zip <close> = assert(open(zips.sample(name)))
      local ok, unverifiable = zip:test()
      assert.is_true(ok, name)
      assert.equal(1, unverifiable, name)
    end
  end)

  it("fails its test when its contents lie", function()
    for _, sample in ipairs(zips.samples) do
      if sample.valid == "structure" then
        local zip <close> = assert(open(zips.sample(sample.name)))
        local err = fails("integrity", path "z.zip", zip:test())
        assert.equal("test z.zip", err.operation)
      end
    end
  end)

  it("wants the arguments that a method takes", function()
    local zip <close> = build { "a.txt" }
    raises("read", zip.read, zip)
    raises("read", zip.read, zip, 1)
    raises("read", zip.read, zip, "a.txt", {})
    raises("NUL", zip.read, zip, "a\0")
    for _, name in ipairs { "names", "entries", "test" } do
      raises(name, zip[name], zip, 1)
      assert.is_false(pcall(zip[name]))
      assert.is_false(pcall(zip[name], {}))
    end
  end)

  -------------------------------------------------------------------- extract

  it("extracts into a folder that it makes", function()
    local zip <close> = build {
      { name = "a.txt", data = "first", mode = 0x81a4, mtime = TIME },
      { name = "d/e/b.txt", data = "second", method = 8, mode = 0x81ed },
      { name = "empty/" },
      { name = "plain.txt", data = "third" },
    }
    assert.equal(3, zip:extract(path "new/deep"))
    local function at(name) return path("new/deep/" .. name) end
    assert.same({ "a.txt", "d", "empty", "plain.txt" },
      helpers.names(path "new/deep"))
    assert.equal("first", helpers.read_file(at "a.txt"))
    assert.equal("second", helpers.read_file(at "d/e/b.txt"))
    assert.equal("third", helpers.read_file(at "plain.txt"))
    assert.same({}, helpers.names(at "empty"))
    assert.equal(TIME, lfs.attributes(at "a.txt", "modification"))
    assert.equal("rw-------", downloads.mode(at "a.txt"))
    assert.equal("rwx------", downloads.mode(at "d/e/b.txt"))
    assert.equal("rw-------", downloads.mode(at "plain.txt"))
    for _, name in ipairs { "new", "new/deep", "new/deep/d/e",
      "new/deep/empty" } do
      assert.equal("rwx------", downloads.mode(path(name)))
    end
  end)

  it("extracts to a relative path from where the process is", function()
    local zip <close> = build { "a.txt" }
    local before = lfs.currentdir()
    lfs.chdir(folder.path)
    local count, err = zip:extract "to"
    lfs.chdir(before)
    assert.equal(1, count, err)
    assert.same({ "a.txt" }, helpers.names(path "to"))
  end)

  it("overwrites nothing unless told", function()
    local zip <close> = build { { name = "a.txt", data = "new" }, "b.txt" }
    lfs.mkdir(path "to")
    helpers.write_file(path "to/a.txt", "mine")
    fails("exists", path "to/a.txt", zip:extract(path "to"))
    fails("exists", path "to/a.txt",
      zip:extract(path "to", { overwrite = false }))
    assert.equal("mine", helpers.read_file(path "to/a.txt"))
    assert.same({ "a.txt" }, helpers.names(path "to"))
    assert.equal(2, zip:extract(path "to", { overwrite = true }))
    assert.equal("new", helpers.read_file(path "to/a.txt"))
    fails("exists", path "to/a.txt", zip:extract(path "to"))
  end)

  it("replaces a link, not what it points to", function()
    local zip <close> = build { { name = "a.txt", data = "new" } }
    lfs.mkdir(path "to")
    helpers.write_file(path "target", "theirs")
    lfs.link("../target", path "to/a.txt", true)
    assert.equal(1, zip:extract(path "to", { overwrite = true }))
    assert.equal("theirs", helpers.read_file(path "target"))
    assert.equal("new", helpers.read_file(path "to/a.txt"))
  end)

  it("follows no link beneath its folder", function()
    local zip <close> = build { { name = "d/a.txt", data = "new" } }
    lfs.mkdir(path "to")
    lfs.mkdir(path "elsewhere")
    lfs.link("../elsewhere", path "to/d", true)
    for _, overwrite in ipairs { false, true } do
      fails("filesystem", path "to/d",
        zip:extract(path "to", { overwrite = overwrite }))
    end
    assert.same({}, helpers.names(path "elsewhere"))
  end)

  it("refuses an archive that would write elsewhere, as a whole", function()
    for _, name in ipairs { "dotdot", "dotdot_inside", "dotdot_last",
      "absolute", "drive", "backslash", "nul", "newline", "long_name",
      "symlink", "symlink_then_file", "device", "fifo",
      "file_and_directory" } do
      local zip <close> = assert(open(zips.sample(name)), name)
      fails("integrity", path "z.zip", zip:extract(path "in/here"))
      assert.is_nil(lfs.attributes(path "evil.txt"), name)
      assert.is_nil(lfs.attributes(path "in/evil.txt"), name)
      assert.is_nil(lfs.attributes(path "in/here/ok.txt"), name)
    end
  end)

  it("says what it refuses on one line", function()
    local zip <close> = assert(open(zips.sample "escape"))
    local _, err = zip:extract(path "to")
    assert.equal("integrity", err.kind)
    assert.is_nil(tostring(err):find "%c")
  end)

  it("keeps to a number of bytes", function()
    local zip <close> = build { { name = "a", data = "12345" },
      { name = "b", data = "67890" } }
    local err = fails("integrity", "10 bytes",
      zip:extract(path "to", { max_bytes = 9 }))
    assert.truthy(err.message:find("9 are allowed", 1, true))
    assert.is_nil(lfs.attributes(path "to/a"))
    assert.equal(2, zip:extract(path "to", { max_bytes = 10 }))
  end)

  it("keeps to a number of entries", function()
    local zip <close> = build { "a", "b/", "c" }
    fails("integrity", "3 entries",
      zip:extract(path "to", { max_entries = 2 }))
    assert.is_nil(lfs.attributes(path "to/a"))
    assert.equal(2, zip:extract(path "to", { max_entries = 3 }))
  end)

  it("has a limit without being given one: a bomb is none to it", function()
    local zip <close> = build { { name = "bomb", raw = zips.bomb(40000),
      method = 8, bytes = 40000 * 258 + 1, crc = 0 } }
    fails("integrity", "bomb", zip:test())
    fails("integrity", "bomb", zip:extract(path "to", { max_bytes = 1 << 40 }))
    assert.same({}, helpers.names(path "to"))
  end)

  it("refuses limits that it does not know or cannot take", function()
    local zip <close> = build { "a" }
    for _, case in ipairs {
      { { max_byte = 1 }, "unknown option 'max_byte'" },
      { { path = "x" }, "unknown option 'path'" },
      { { max_bytes = "1" }, "'max_bytes'" },
      { { max_bytes = -1 }, "'max_bytes'" },
      { { max_bytes = 0.5 }, "'max_bytes'" },
      { { max_entries = {} }, "'max_entries'" },
      { { overwrite = 1 }, "'overwrite'" },
      { 1, "table" }, { "x", "table" }, { true, "table" },
    } do
      raises(case[2], zip.extract, zip, path "to", case[1])
    end
    raises("extract", zip.extract, zip)
    raises("extract", zip.extract, zip, 1)
    raises("extract", zip.extract, zip, {})
    raises("extract", zip.extract, zip, "")
    raises("NUL", zip.extract, zip, "a\0b")
    raises("extract", zip.extract, zip, path "to", {}, 1)
    assert.is_nil(lfs.attributes(path "to"))
  end)

  it("says why a folder cannot be used", function()
    local zip <close> = build { "a" }
    helpers.write_file(path "file", "mine")
    fails("filesystem", path "file", zip:extract(path "file"))
    fails("filesystem", path "file", zip:extract(path "file/below"))
    lfs.mkdir(path "to")
    lfs.mkdir(path "to/a")
    fails("exists", path "to/a", zip:extract(path "to"))
    fails("filesystem", path "to/a",
      zip:extract(path "to", { overwrite = true }))
  end)

  ------------------------------------------------------------------- the object

  it("is read-only, with the fields of a record", function()
    local zip <close> = build { "a" }
    assert.is_nil(zip.nonsense)
    assert.is_nil(zip[1])
    raises("read-only", function() zip.path = "x" end)
    raises("read-only", function() zip.nonsense = "x" end)
    local fields = {}
    for name, value in pairs(zip) do fields[name] = value end
    assert.same({ path = zip.path, bytes = zip.bytes }, fields)
    assert.same(fields, zip:to_table())
  end)

  it("tells its path, fit to be shown", function()
    local zip <close> = build { "a" }
    assert.equal("squarecloud.ZipFile (" .. path "z.zip" .. ")",
      tostring(zip))
    local odd = path "a\27[2J\n.zip"
    helpers.write_file(odd, zips.build { "a" })
    local other <close> = assert(square.open_zip(odd))
    assert.is_nil(tostring(other):find "%c")
    assert.equal(odd, other.path)
    other:close()
    assert.is_nil(tostring(other):find "%c")
  end)

  it("raises from every method once it is closed", function()
    local zip = build { "a" }
    local entries = zip:entries()
    local fields = zip:to_table()
    zip:close()
    for name, call in pairs {
      names = function() zip:names() end,
      entries = function() zip:entries() end,
      read = function() zip:read "a" end,
      test = function() zip:test() end,
      extract = function() zip:extract(path "to") end,
      length = function() return #zip end,
      iterator = entries,
    } do
      local ok, why = pcall(call)
      assert.is_false(ok, name)
      assert.truthy(tostring(why):find("closed", 1, true), name)
    end
    assert.truthy(tostring(zip):find("closed", 1, true))
    assert.same(fields, zip:to_table())
    assert.equal(path "z.zip", zip.path)
    assert.is_nil(lfs.attributes(path "to"))
    zip:close()
    zip:close()
  end)

  -- How many descriptors this process has open on `name`.
  local function descriptors(name)
    local pipe <close> = assert(io.popen("ls -l /proc/" .. tostring(
      lfs.symlinkattributes("/proc/self", "target")) .. "/fd 2>&1"))
    local count = 0
    for line in pipe:lines() do
      if line:find(name, 1, true) then count = count + 1 end
    end
    return count
  end

  it("closes at the end of its scope, and when it is collected", function()
    local name = path "z.zip"
    do
      local zip <close> = build { "a" }
      assert.equal(1, #zip)
      assert.equal(1, descriptors(name))
    end
    assert.equal(0, descriptors(name))
    do
      local zip = build { "a" }
      assert.equal(1, #zip)
    end
    collectgarbage()
    collectgarbage()
    assert.equal(0, descriptors(name))
    for _ = 1, 50 do open "no archive" end
    assert.equal(0, descriptors(name))
  end)
end)
