-- zip_layout.c and zip.c: what is a whole ZIP, and what may be extracted.


local lfs = require "lfs"
local probe = require "zip_probe"
local zips = require "spec.support.zips"
local tool = require "spec.support.tool"

local scratch

local function remove(path)
  local kind = lfs.symlinkattributes(path, "mode")
  if kind == "directory" then
    for name in lfs.dir(path) do
      if name ~= "." and name ~= ".." then remove(path .. "/" .. name) end
    end
    assert(lfs.rmdir(path))
  elseif kind then
    assert(os.remove(path))
  end
end

local function slurp(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "a"
  file:close()
  return bytes
end

-- Every file and directory beneath `dir`, as "path" or "path/", sorted.
local function tree(dir, prefix, out)
  prefix, out = prefix or "", out or {}
  if lfs.attributes(dir, "mode") ~= "directory" then return out end
  for name in lfs.dir(dir) do
    if name ~= "." and name ~= ".." then
      local path = dir .. "/" .. name
      if lfs.symlinkattributes(path, "mode") == "directory" then
        out[#out + 1] = prefix .. name .. "/"
        tree(path, prefix .. name .. "/", out)
      else
        out[#out + 1] = prefix .. name
      end
    end
  end
  table.sort(out)
  return out
end

local function path(name) return scratch .. "/" .. (name or "test.zip") end

local function file(bytes) return zips.write(path(), bytes) end

local function open(bytes)
  return assert(probe.open(type(bytes) == "string" and file(bytes) or path()))
end

local function refused(kind, pattern, ...)
  local ok, err = ...
  assert.is_nil(ok)
  assert.equal(kind, err.kind)
  if pattern then assert.matches(pattern, err.message) end
  return err
end

-- For zips.many: in folders of a thousand.
local function small(i)
  return ("%03d/%06d.txt"):format(i // 1000, i), "entry " .. i
end

local function made(entries, options) return (zips.build(entries, options)) end

local function sh(command)
  local script = "cd '%s' && %s"
  assert(os.execute(script:format(scratch, command)))
end

before_each(function()
  scratch = os.tmpname()
  os.remove(scratch)
  assert(lfs.mkdir(scratch))
end)

after_each(function() remove(scratch) end)

describe("the check of a ZIP", function()
  for _, sample in ipairs(zips.samples) do
    local title = sample.name .. ": " .. sample.about
    if sample.valid == true then
      it("takes " .. title, function()
        local z <close> = open(zips.sample(sample.name))
        assert.is_table(probe.layout(path()))
        assert.is_true(z:load())
        assert.equal("integer", math.type((z:test())))
      end)
    elseif sample.valid == "structure" then
      it("takes the structure only of " .. title, function()
        local z <close> = open(zips.sample(sample.name))
        assert.is_table(probe.layout(path()))
        assert.is_true(z:load())
        refused("integrity", "test%.zip: entry '[ab]%.txt': ", z:test())
        refused("integrity", "entry '[ab]%.txt'", z:read "b.txt")
        refused("integrity", "entry '[ab]%.txt'", z:extract(path "out"))
        for _, name in ipairs(tree(path "out")) do
          assert.equal("a.txt", name)
        end
      end)
    else
      it("refuses " .. title, function()
        local z <close> = open(zips.sample(sample.name))
        local err = refused("integrity", "test%.zip: ", z:load())
        assert.same(err, refused("integrity", nil, z:load()))
        refused("integrity", nil, z:test())
        refused("integrity", nil, z:read "a.txt")
        refused("integrity", nil, z:extract(path "out"))
        assert.is_nil(lfs.attributes(path "out"))
        assert.equal(0, #z)
      end)
    end
  end

  it("names the entry whose local header lies", function()
    local function layout(name) return probe.layout(file(zips.sample(name))) end
    for _, name in ipairs {
      "header_crc", "header_name", "header_method", "offset_far",
      "stored_sizes",
    } do
      refused("integrity", "^entry 'b%.txt': ", layout(name))
    end
    refused("integrity", "^entry 'a': overlaps", layout "overlap")
    refused("integrity", "record number 2$", layout "record_signature")
  end)

  it("gives the figures of what it found", function()
    local bytes, map = zips.build {
      { name = "a", data = "12345" },
      { name = "b", data = "123", method = 8 },
    }
    assert.same({
      entries = 2,
      unpacked = 8,
      compressed = 5 + 8,
      directory_offset = map.directory,
      directory_size = map.directory_end - map.directory,
    }, probe.layout(file(bytes)))
  end)

  it("refuses every file that is cut, wherever", function()
    local bytes = zips.sample "zip64"
    for n = 0, #bytes - 1 do
      refused("integrity", nil, probe.layout(file(bytes:sub(1, n))))
    end
  end)

  it("refuses every archive with bytes behind, whatever they are", function()
    local bytes = zips.sample "stored"
    for _, more in ipairs {
      "\0", "PK", "PK\5\6", ("PK\5\6"):rep(30), (" "):rep(70000),
    } do
      refused("integrity", nil, probe.layout(file(bytes .. more)))
    end
  end)

  -- What a flip can change without anybody being able to tell: versions,
  -- times, attributes, the comment.  Everything else has to be noticed.
  it("notices each flipped bit of signatures, sizes, CRCs, names, offsets " ..
     "and data", function()
    local bytes, map = zips.build {
      { name = "a.txt", data = "first" },
      { name = "b.txt", data = "second", method = 8 },
    }
    local silent = {}
    local function let(from, n)
      for i = from, from + n - 1 do
        silent[i] = true
      end
    end
    for _, entry in ipairs(map) do
      let(entry.header + 4, 2) -- version needed
      let(entry.header + 6, 2) -- flags, in part
      let(entry.header + 10, 4) -- time and date
      let(entry.header + 28, 2) -- the extra field's length, of stored nothing
      let(entry.record + 4, 6) -- versions, flags in part
      let(entry.record + 12, 4)
      let(entry.record + 36, 6) -- attributes
    end
    let(map[2].data, 1) -- "the last block" and padding: nothing follows it
    for at = 0, #bytes - 1 do
      if not silent[at] then
        for bit = 0, 7 do
          local z <close> = open(zips.flip(bytes, at, 1 << bit))
          local ok, err = z:test()
          -- A method that nobody knows cannot be verified, and is said so.
          local method = ok == 1
          if not method then
            assert.is_nil(ok, ("byte %d, bit %d"):format(at, bit))
            assert.equal("integrity", err.kind)
          end
        end
      end
    end
  end)

  it("takes archives from the zip command, in each of its ways", function()
    sh "mkdir -p d/empty && seq 20000 > d/many && echo x > d/x"
    sh "printf '' > d/none"
    for _, way in ipairs {
      "zip -qr test.zip d",
      "zip -q0r test.zip d",
      "zip -qr - d > test.zip",
      "zip -qr -fz test.zip d",
      "zip -qr -fz - d > test.zip",
      "zip -qrX test.zip d",
      "zip -qrD test.zip d",
      "zip -qr test.zip d && zip -qd test.zip d/x",
      "zip -qr test.zip d && echo comment | zip -qz test.zip",
    } do
      os.remove(path())
      remove(path "out")
      sh(way)
      local z <close> = open()
      assert.is_true(z:load(), way)
      assert.equal(0, (z:test()), way)
      assert.is_number(z:extract(path "out"))
      assert.equal(slurp(path "d/many"), slurp(path "out/d/many"))
      assert.equal("", slurp(path "out/d/none"))
    end
  end)

  it("counts what cannot be verified, and verifies the rest", function()
    for _, name in ipairs { "encrypted", "unknown" } do
      local z <close> = open(zips.sample(name))
      assert.equal(1, z:test())
    end
    for _, name in ipairs { "lzma", "zstd" } do -- which newer libzips can read
      local z <close> = open(zips.sample(name))
      assert.is_true(z:test() <= 1)
    end
    os.remove(path())
    sh "echo secret > s && echo plain > p"
    sh "zip -q -P pw test.zip s && zip -q test.zip p"
    local z <close> = open()
    assert.equal(1, z:test())
    assert.is_true(z:entries()[1].encrypted)
    assert.is_false(z:entries()[2].encrypted)
    refused("integrity", "entry 's': is encrypted", z:read "s")
    assert.equal("plain\n", z:read "p")
  end)

  it("still finds what is broken beside what cannot be verified", function()
    local z <close> = open(made {
      { name = "l.txt", data = "content", raw = "xxxx", method = 98 },
      { name = "b.txt", data = "second", crc = 1 },
    })
    refused("integrity", "entry 'b%.txt'", z:test())
  end)

  it("is quick with 70 000 entries, deflates nothing for the layout, and " ..
     "keeps within bounds with a bomb", function()
    file(zips.many(70000, small))
    local started = os.clock()
    assert.equal(70000, probe.layout(path()).entries)
    assert.is_true(os.clock() - started < tool.seconds(0.3))
    local z <close> = open()
    assert.equal(0, z:test())
    assert.equal(70000, #z)
    assert.equal("entry 69999", z:read "069/069999.txt")
    local bomb <close> = open(zips.sample "bomb")
    local o = {}
    refused("integrity", "longer than the directory says", bomb:test(o))
    assert.is_true(o.done <= 2 * 256 * 1024)
  end)

  it("takes a count of entries modulo 65536, as old writers state " ..
     "it", function()
    local z <close> = open(zips.many(65540, function(i)
      return tostring(i), ""
    end, { ending = { entries = 4, here = 4 } }))
    assert.is_true(z:load())
    assert.equal(65540, #z)
  end)

  it("needs no time for names whose hashes are all the same", function()
    local name = {}
    local z <close> = open(zips.many(1 << 15, function(i)
      for bit = 0, 14 do -- 33 * "A" + "b" == 33 * "B" + "A" in bytes
        name[bit + 1] = (i >> bit & 1) == 1 and "Ab" or "BA"
      end
      return table.concat(name), ""
    end))
    local started = os.clock()
    assert.equal(0, z:test())
    assert.is_true(os.clock() - started < tool.seconds(2))
  end)

  it("ends when cancelled: before, and between chunks", function()
    local z <close> = open(made {
      { name = "a", data = ("x"):rep(300000) },
      { name = "b", data = ("y"):rep(300000) },
    })
    refused("cancelled", nil, probe.layout(path(), true))
    refused("cancelled", nil, z:load { cancel = true })
    assert.is_true(z:load()) -- a cancelled load says nothing of the file
    refused("cancelled", nil, z:test { cancel = true })
    local o = { cancel_at = 1 }
    refused("cancelled", nil, z:test(o))
    assert.equal(256 * 1024, o.done)
    assert.equal(1, o.ticks)
    refused("cancelled", nil, z:read("b", 0, { cancel_at = 1 }))
    o = {}
    assert.equal(0, z:test(o))
    assert.equal(600000, o.done)
  end)

  it("says what the disk says, and what is no file", function()
    local z <close> = assert(probe.open(scratch))
    refused("filesystem", "not a regular file", z:load())
    assert.is_nil((probe.open(path "absent.zip")))
  end)

  it("notices a file that becomes shorter, or changes, after it was " ..
     "loaded", function()
    local bytes = made { { name = "a", data = ("x"):rep(300000) } }
    local z <close> = open(bytes)
    assert.is_true(z:load())
    local f = assert(io.open(path(), "r+b"))
    f:seek("set", 1000)
    f:write "y"
    f:close()
    refused("integrity", "entry 'a'", z:test())
    file(bytes:sub(1, 1000))
    refused("integrity", "entry 'a'", z:read "a")
  end)

  it("never moves the descriptor's own offset", function()
    local z <close> = open(zips.sample "deflated")
    assert.equal(0, z:test())
    assert.is_string(z:read "d.txt")
    assert.is_number(z:extract(path "out"))
    assert.equal(0, z:offset())
    assert.equal(#slurp(path()), z:size())
  end)

  it("works on several threads at once", function()
    file(zips.many(3000, small))
    for _ = 1, 5 do
      assert.is_true(probe.parallel(path(), 8))
    end
  end)
end)

describe("an entry", function()
  it("has its name, sizes, CRC, method and time", function()
    local z <close> = open(made {
      { name = "a.txt", data = "first", time = 1719469422 },
      {
        name = "b.txt",
        data = "second",
        method = 8,
        time = 0x40000000,
        mtime = 1719469423,
      },
      { name = "d/", mode = 0x41ed },
      { name = "old", record = { dos_date = 0 } },
      { name = "before", mtime = -86400 },
    })
    assert.is_true(z:load())
    local list = z:entries()
    assert.same({
      name = "a.txt",
      bytes = 5,
      compressed = 5,
      crc = zips.crc32 "first",
      method = 0,
      modified = 1719469422,
      directory = false,
      encrypted = false,
    }, list[1])
    assert.equal(8, list[2].method)
    assert.equal(6 + 5, list[2].compressed)
    assert.equal(1719469423, list[2].modified)
    assert.is_true(list[3].directory)
    assert.equal(315532800, list[3].modified) -- 1980-01-01, the DOS epoch
    assert.equal(0, list[4].modified)
    assert.equal(-86400, list[5].modified)
  end)

  it("has the DOS time of any day as UTC", function()
    for _, t in ipairs {
      315532800, 951782400, 951868798, 1078012800, 1709164800, 4107542398,
      4354819198,
    } do
      local z <close> = open(made { { name = "a", time = t } })
      assert.is_true(z:load())
      assert.equal(t, z:entries()[1].modified)
    end
  end)

  it("keeps its UTF-8 name, and one of code page 437 becomes UTF-8", function()
    local z <close> = open(zips.sample "utf8")
    assert.is_true(z:load())
    assert.equal("ação/日本語.txt", z:entries()[1].name)
    assert.equal("über.txt", z:entries()[2].name)
    local c <close> = open(zips.sample "cp437")
    assert.is_true(c:load())
    assert.equal("über.txt", c:entries()[1].name)
  end)

  it("is read whole, the first of its name", function()
    local big = ("0123456789abcdef"):rep(50000)
    local z <close> = open(made {
      { name = "a", data = "first" },
      { name = "a", data = "second" },
      { name = "none" },
      { name = "big", data = big, method = 8 },
      { name = "nothing", raw = "\3\0", method = 8 },
      { name = "zeros", data = "a\0b\0" },
    })
    assert.equal("first", z:read "a")
    assert.equal("", z:read "none")
    assert.equal("", z:read "nothing")
    assert.equal("a\0b\0", z:read "zeros")
    assert.is_true(big == z:read "big")
    assert.equal("first", z:read("a", 5))
    refused("bad_request", "'a': has 5 bytes, 4 are allowed", z:read("a", 4))
    refused("not_found", "no entry 'b'", z:read "b")
    refused("not_found", nil, z:read "")
    refused("not_found", nil, z:read(("x"):rep(100000)))
  end)

  it("is shown in messages without its control characters", function()
    local z <close> = open(made { { name = "a\nb", data = "1", crc = 1 } })
    refused("integrity", "entry 'a\\x0ab': ", z:test())
  end)
end)

describe("extracting", function()
  local function new(name) return { name = name, data = "new" } end

  it("writes files and directories with their contents", function()
    local z <close> = open(zips.sample "directories")
    local out = path "new/parents/out"
    assert.equal(2, z:extract(out))
    assert.same({ "d/", "d/e/", "d/e/f.txt", "g/", "g/h.txt" }, tree(out))
    assert.equal("deep", slurp(out .. "/d/e/f.txt"))
    assert.equal("no entry for g", slurp(out .. "/g/h.txt"))
  end)

  it("masks modes to the owner's and keeps times", function()
    local z <close> = open(made {
      { name = "d/", mode = 0x41ff, time = 1000000000 },
      { name = "d/run", data = "!", mode = 0x8fff, time = 1100000000 },
      { name = "read", data = "!", mode = 0x8124, mtime = 1200000001 },
      { name = "none", data = "!" },
      { name = "new/x", data = "!", mode = 0x81b6 },
    })
    assert.equal(4, z:extract(path "out"))
    local function attributes(name)
      local a = lfs.attributes(path "out" .. "/" .. name)
      return a.permissions, a.modification
    end
    assert.same({ "rwx------", 1000000000 }, { attributes "d" })
    assert.same({ "rwx------", 1100000000 }, { attributes "d/run" })
    assert.same({ "r--------", 1200000001 }, { attributes "read" })
    assert.same({ "rw-------", 315532800 }, { attributes "none" })
    assert.equal("rw-------", (attributes "new/x"))
    assert.equal("rwx------", (attributes "new"))
    assert.equal("rwx------", (attributes "."))
  end)

  it("takes the last of two files with one name", function()
    local z <close> = open(zips.sample "duplicates")
    assert.equal(2, z:extract(path "out"))
    assert.same({ "a.txt", "b.txt" }, tree(path "out"))
    assert.equal("last", slurp(path "out/a.txt"))
  end)

  it("leaves out `.` and empty parts of a name, and knows the same file by " ..
     "it", function()
    local z <close> = open(made {
      "./",
      { name = "./a//b/./c", data = "first" },
      { name = "a/b/c", data = "last" },
      { name = "a/./", mode = 0x41ed },
    })
    assert.equal(1, z:extract(path "out"))
    assert.same({ "a/", "a/b/", "a/b/c" }, tree(path "out"))
    assert.equal("last", slurp(path "out/a/b/c"))
  end)

  it("does nothing for an empty archive but make the directory", function()
    local z <close> = open(zips.sample "empty")
    assert.equal(0, z:extract(path "out"))
    assert.same({}, tree(path "out"))
    assert.equal("directory", lfs.attributes(path "out", "mode"))
  end)

  it("takes names as long as the system has them", function()
    local part = ("x"):rep(255)
    local long = (("y"):rep(200) .. "/"):rep(17) .. "z"
    local z <close> = open(made {
      { name = "a/" .. part, data = "1" },
      { name = long, data = "2" },
    })
    assert.equal(2, z:extract(path "out"))
    assert.equal("1", slurp(path "out/a/" .. part))
    assert.equal("2", slurp(path "out/" .. long))
  end)

  for _, name in ipairs {
    "dotdot", "dotdot_inside", "dotdot_last", "absolute", "drive",
    "drive_slash", "backslash", "nul", "newline", "escape", "delete",
    "no_name", "dot", "long_name", "long_path", "long_part", "symlink",
    "symlink_dos", "symlink_then_file", "device", "fifo", "socket",
    "file_and_directory", "directory_and_file", "full_directory",
    "unicode_path", "encrypted", "unknown",
  } do
    it("refuses " .. name .. " before anything is written", function()
      local z <close> = open(zips.sample(name))
      assert.is_true(z:load())
      local out = path "deep/er/out"
      local ok, err, count = z:extract(out)
      assert.is_nil(ok)
      assert.equal("integrity", err.kind)
      assert.matches("test%.zip: entry '", err.message)
      assert.equal(0, count)
      assert.same({ "test.zip" }, tree(scratch))
      refused("integrity", nil, z:extract(out, { overwrite = true }))
      assert.same({ "test.zip" }, tree(scratch))
    end)
  end

  it("refuses names made of every control character", function()
    for byte = 0, 31 do
      local name = "a" .. string.char(byte) .. "b"
      local z <close> = open(made { { name = name, data = "!" } })
      refused("integrity", "control character", z:extract(path "out"))
    end
    assert.same({ "test.zip" }, tree(scratch))
  end)

  it("keeps to its limits, before anything is written", function()
    local z <close> = open(made {
      { name = "a", data = "12345" },
      { name = "a", data = "123" },
      { name = "b", data = "12" },
    })
    local out = path "out"
    refused("integrity", "unpacks to 5 bytes, 4 are allowed",
            z:extract(out, { max_bytes = 4 }))
    refused("integrity", "3 entries, 2 are allowed",
            z:extract(out, { max_entries = 2 }))
    assert.same({ "test.zip" }, tree(scratch))
    assert.equal(2, z:extract(out, { max_bytes = 5, max_entries = 3 }))
  end)

  it("overwrites nothing unless told, and then writes nothing at " ..
     "all", function()
    local z <close> = open(made { new "new", new "d/old" })
    assert(lfs.mkdir(path "out"))
    assert(lfs.mkdir(path "out/d"))
    zips.write(path "out/d/old", "old")
    refused("exists", "out/d/old: ", z:extract(path "out"))
    assert.same({ "d/", "d/old" }, tree(path "out"))
    assert.equal("old", slurp(path "out/d/old"))
    assert.equal(2, z:extract(path "out", { overwrite = true }))
    assert.equal("new", slurp(path "out/d/old"))
    assert.same({ "d/", "d/old", "new" }, tree(path "out"))
    assert.equal(2, z:extract(path "out", { overwrite = true }))
  end)

  it("goes through the link that the target itself is", function()
    local z <close> = open(made { { name = "d/a", data = "1" } })
    assert(lfs.mkdir(path "real"))
    assert(lfs.link(path "real", path "out", true))
    assert.equal(1, z:extract(path "out"))
    assert.equal("1", slurp(path "real/d/a"))
  end)

  it("goes through no link beneath it", function()
    local z <close> = open(made { new "first", new "d/a" })
    assert(lfs.mkdir(path "real"))
    assert(lfs.mkdir(path "out"))
    assert(lfs.link(path "real", path "out/d", true))
    for _, overwrite in ipairs { false, true } do
      local limits = { overwrite = overwrite }
      refused("filesystem", "out/d: ", z:extract(path "out", limits))
      assert.same({}, tree(path "real"))
      assert.same({ "d" }, tree(path "out"))
    end
  end)

  it("goes through no link for a directory's entry", function()
    local z <close> = open(made { { name = "d/e/", mode = 0x41ed } })
    assert(lfs.mkdir(path "real"))
    assert(lfs.mkdir(path "out"))
    assert(lfs.link(path "real", path "out/d", true))
    refused("filesystem", "out/d: ", z:extract(path "out"))
    assert.same({}, tree(path "real"))
  end)

  it("replaces a link in a file's place, never what it points to", function()
    local z <close> = open(made { new "a", new "b" })
    assert(lfs.mkdir(path "out"))
    zips.write(path "real", "old")
    assert(lfs.link(path "real", path "out/a", true))
    assert(lfs.link(path "absent", path "out/b", true))
    refused("exists", "out/[ab]: ", z:extract(path "out"))
    assert.equal(2, z:extract(path "out", { overwrite = true }))
    assert.equal("old", slurp(path "real"))
    assert.equal("new", slurp(path "out/a"))
    assert.equal("file", lfs.symlinkattributes(path "out/a", "mode"))
    assert.is_nil(lfs.attributes(path "absent"))
  end)

  it("names the path when a file is where a directory belongs, or the " ..
     "reverse", function()
    local z <close> = open(made { new "first", new "d/a" })
    assert(lfs.mkdir(path "out"))
    zips.write(path "out/d", "file")
    local over = { overwrite = true }
    refused("filesystem", "out/d: ", z:extract(path "out", over))
    assert.same({ "d" }, tree(path "out"))
    os.remove(path "out/d")
    assert(lfs.mkdir(path "out/d"))
    assert(lfs.mkdir(path "out/d/a"))
    refused("exists", "out/d/a: ", z:extract(path "out"))
    refused("filesystem", "out/d/a: ", z:extract(path "out", over))
    assert.same({ "d/", "d/a/" }, tree(path "out"))
    zips.write(path "file", "")
    refused("filesystem", "file: ", z:extract(path "file"))
    refused("filesystem", "file/out: ", z:extract(path "file/out"))
  end)

  it("takes away the temporary file when cancelled or broken", function()
    local z <close> = open(made {
      { name = "d/a", data = ("x"):rep(600000) },
      { name = "d/b", data = ("x"):rep(600000), crc = 1 },
    })
    local o = { cancel_at = 300000 }
    refused("cancelled", nil, z:extract(path "out", {}, o))
    assert.equal(512 * 1024, o.done)
    assert.same({ "d/" }, tree(path "out"))
    local _, err, count = z:extract(path "out")
    assert.equal("integrity", err.kind)
    assert.equal(1, count)
    assert.same({ "d/", "d/a" }, tree(path "out"))
    refused("cancelled", nil, z:extract(path "out2", {}, { cancel = true }))
    assert.same({}, tree(path "out2"))
  end)

  it("says that the disk is full, and leaves nothing half", function()
    local bytes = made { { name = "d/a", data = ("x"):rep(600000) } }
    local script = ([[
      package.cpath = %q
      local z = assert(require "zip_probe".open(%q))
      local ok, err = z:extract(%q)
      print(ok, err.kind, err.errno, err.message)
    ]]):format(package.cpath, file(bytes), path "out")
    zips.write(path "run.lua", script)
    local lua = arg and arg[-1] or "lua5.4"
    if not lua:match "lua[^/]*$" then lua = "lua5.4" end
    local limited = "trap '' XFSZ; ulimit -f 500; %s %s 2>&1"
    local pipe = assert(io.popen(limited:format(lua, path "run.lua")))
    local said = pipe:read "a"
    pipe:close()
    assert.matches("^nil\tfilesystem\t27\t.*out/d/a", said)
    assert.same({ "d/" }, tree(path "out"))
  end)

  it("extracts what other tools made, byte for byte", function()
    sh "mkdir -p src/a/b && seq 50000 > src/a/b/seq"
    sh "echo x > 'src/with space'"
    sh "head -c 700000 /dev/urandom > src/random"
    sh "cd src && zip -qr ../test.zip ."
    local z <close> = open()
    assert.equal(3, z:extract(path "out"))
    sh "diff -r src out"
  end)
end)
