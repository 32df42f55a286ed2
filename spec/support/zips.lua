--[[
zips.lua - ZIP files made byte by byte, honest or lying in any field.

  local zips = require "spec.support.zips"
  local bytes = zips.build({ { name = "a.txt", data = "hello" } }, options)
  zips.write(path, bytes)

build gives the whole file as a string, and as a second result its map:
  map[i] = { header = offset, data = offset, data_end = offset,
             record = offset, name = name }
  map.directory, map.directory_end, map.end64, map.locator, map.end_record
all as offsets from 0 (end64 and locator only when there are such).

An entry (a string is { name = string, data = "" }):
  name, data      what it is called and holds ("" when absent)
  method          0 stored (default), 8 deflate; others take `raw` as it is
  raw             the bytes in the file instead of what method makes of data
  crc, bytes      default: of data;  compressed: default #raw
  flags           general purpose bits (bit 3 is set by descriptor, bit 11 by
                  utf8 = true)
  mode            Unix mode with type (0x81a4: a file, 0644); makes it Unix's
  made_by, attributes   raw fields, when mode will not do
  time            epoch seconds in UTC for the DOS fields (default: 1980)
  mtime           epoch seconds for an extended timestamp (0x5455)
  extra, local_extra, comment    appended as they are
  zip64           true: sizes and offset are in ZIP64 fields
  descriptor      true: sizes and CRC behind the data, with signature;
                  "unsigned": without; "lying": with another CRC
  gap             bytes between this entry and the next
  header, record  { field = value } overrides for the local header or the
                  directory's record only.  Fields: signature, needed, flags,
                  method, dos_time, dos_date, crc, compressed, bytes, name,
                  extra; the record also: made_by, disk, attributes, offset

Options:
  prefix          bytes before the archive; offsets count them unless
                  shift = false
  suffix          bytes behind it
  comment         the archive's
  zip64           true: ZIP64 end record and locator
  before_directory   bytes between the last entry and the directory
  ending, ending64, locator   { field = value } overrides.  Fields: disk,
                  start_disk, here, entries, size, offset (and comment_size;
                  ending64: length; locator: disk, at, disks)

Also here:
  zips.crc32(s)          zips.deflate(s)   deflate, in stored blocks
  zips.bomb(n)           deflate bytes that unpack to n * 258 + 1 zeros
  zips.sample(name)      an odd or hostile archive by name, as bytes
  zips.samples           all of them, in order: { name =, about =, valid = },
                         where valid is true when layout and contents are
                         whole (its names may still be evil), "structure" when
                         only reading b.txt or a.txt shows what is wrong,
                         false when the layout already does
  zips.many(n, entry, options)   n stored entries as quickly as can be, where
                         entry(i) gives a name and data; without options,
                         ZIP64 when needed
  zips.flip(s, at, mask) one byte changed (at counts from 0; mask 0xff)
  zips.splice(s, at, bytes)   bytes written over s from at (from 0)
]]
local zips = {}

local pack, char = string.pack, string.char

local crc_table = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do
    c = c & 1 == 1 and 0xedb88320 ~ (c >> 1) or c >> 1
  end
  crc_table[i] = c
end

function zips.crc32(s)
  local c = 0xffffffff
  for i = 1, #s do
    c = crc_table[(c ~ s:byte(i)) & 0xff] ~ (c >> 8)
  end
  return c ~ 0xffffffff
end

-- Deflate without any compressing: blocks of the type "stored".
function zips.deflate(s)
  local out, at = {}, 1
  repeat
    local piece = s:sub(at, at + 65534)
    at = at + #piece
    local last = at > #s and 1 or 0
    out[#out + 1] = pack("<BI2I2", last, #piece, ~#piece & 0xffff) .. piece
  until last == 1
  return table.concat(out)
end

-- One block of fixed Huffman codes: a zero, n times "258 bytes from 1 back",
-- the end.  Codes go in from their highest bit, 13 bits a match.
function zips.bomb(n)
  local out, held, bits = {}, 0, 0
  local function put(code, width)
    for i = width - 1, 0, -1 do
      held = held | (code >> i & 1) << bits
      bits = bits + 1
      if bits == 8 then
        out[#out + 1], held, bits = char(held), 0, 0
      end
    end
  end
  put(1, 1) -- the last block
  put(2, 2) -- of type 1, lowest bit first
  put(0x30, 8) -- literal 0
  for _ = 1, n do
    put(0xc5, 8) -- 285: length 258
    put(0, 5) -- distance 1
  end
  put(0, 7)
  if bits > 0 then out[#out + 1] = char(held) end
  return table.concat(out)
end

function zips.flip(s, at, mask)
  return s:sub(1, at) .. char(s:byte(at + 1) ~ (mask or 0xff)) .. s:sub(at + 2)
end

function zips.splice(s, at, bytes)
  return s:sub(1, at) .. bytes .. s:sub(at + #bytes + 1)
end

function zips.write(path, bytes)
  local file = assert(io.open(path, "wb"))
  assert(file:write(bytes))
  assert(file:close())
  return path
end

local function dos(time)
  if not time then return 0, 1 << 5 | 1 end
  local t = os.date("!*t", time)
  return t.hour << 11 | t.min << 5 | t.sec // 2,
    (t.year - 1980) << 9 | t.month << 5 | t.day
end

local function timestamp(mtime)
  return mtime and pack("<I2I2Bi4", 0x5455, 5, 1, mtime) or ""
end

-- The fields of an entry as they would be without a lie.
local function fields_of(entry)
  if type(entry) == "string" then entry = { name = entry } end
  local data = entry.data or ""
  local method = entry.method or 0
  local raw = entry.raw or (method == 8 and zips.deflate(data)) or data
  local flags = entry.flags or 0
  if entry.descriptor then flags = flags | 8 end
  if entry.utf8 then flags = flags | 0x800 end
  local dos_time, dos_date = dos(entry.time)
  return entry,
    {
      needed = entry.zip64 and 45 or 20,
      flags = flags,
      method = method,
      dos_time = dos_time,
      dos_date = dos_date,
      crc = entry.crc or zips.crc32(data),
      compressed = entry.compressed or #raw,
      bytes = entry.bytes or #data,
      name = entry.name,
      extra = "",
      made_by = entry.made_by or (entry.mode and 3 << 8 | 20 or 20),
      attributes = entry.attributes or (entry.mode and entry.mode << 16 or 0),
      disk = 0,
    },
    raw
end

local function override(fields, changes)
  local result = {}
  for k, v in pairs(fields) do
    result[k] = v
  end
  for k, v in pairs(changes or {}) do
    result[k] = v
  end
  return result
end

local function header(f)
  return pack(
    "<I4I2I2I2I2I2I4I4I4I2I2",
    f.signature or 0x04034b50,
    f.needed,
    f.flags,
    f.method,
    f.dos_time,
    f.dos_date,
    f.crc,
    f.compressed,
    f.bytes,
    #f.name,
    #f.extra
  ) .. f.name .. f.extra
end

local function record(f, comment)
  return pack(
    "<I4I2I2I2I2I2I2I4I4I4I2I2I2I2I2I4I4",
    f.signature or 0x02014b50,
    f.made_by,
    f.needed,
    f.flags,
    f.method,
    f.dos_time,
    f.dos_date,
    f.crc,
    f.compressed,
    f.bytes,
    #f.name,
    #f.extra,
    #comment,
    f.disk,
    0,
    f.attributes,
    f.offset
  ) .. f.name .. f.extra .. comment
end

local function descriptor(entry, f)
  if not entry.descriptor then return "" end
  local crc = entry.descriptor == "lying" and ~f.crc & 0xffffffff or f.crc
  local sizes = entry.zip64 and "<I4I8I8" or "<I4I4I4"
  local mark = entry.descriptor == "unsigned" and "" or "PK\7\8"
  return mark .. pack(sizes, crc, f.compressed, f.bytes)
end

local function local_part(entry, f)
  local changes = {}
  if entry.zip64 then
    changes.compressed, changes.bytes = 0xffffffff, 0xffffffff
    changes.extra = pack("<I2I2I8I8", 1, 16, f.bytes, f.compressed)
  end
  if entry.descriptor then
    changes.crc, changes.compressed, changes.bytes = 0, 0, 0
    changes.extra = ""
  end
  changes.extra = (changes.extra or "") .. timestamp(entry.mtime)
    .. (entry.local_extra or "")
  return header(override(override(f, changes), entry.header))
end

local function central_part(entry, f, offset)
  local changes = { offset = offset, extra = "" }
  if entry.zip64 then
    changes.compressed, changes.bytes = 0xffffffff, 0xffffffff
    changes.offset = 0xffffffff
    changes.extra = pack("<I2I2I8I8I8", 1, 24, f.bytes, f.compressed, offset)
  end
  changes.extra = changes.extra .. timestamp(entry.mtime) .. (entry.extra or "")
  local fields = override(override(f, changes), entry.record)
  return record(fields, entry.comment or "")
end

local function end_record(f, comment)
  return pack(
    "<I4I2I2I2I2I4I4I2",
    0x06054b50,
    f.disk,
    f.start_disk,
    f.here or f.entries,
    f.entries,
    f.size,
    f.offset,
    f.comment_size or #comment
  ) .. comment
end

local function end_record64(f)
  return pack(
    "<I4I8I2I2I4I4I8I8I8I8",
    0x06064b50,
    f.length or 44,
    45,
    45,
    f.disk,
    f.start_disk,
    f.here or f.entries,
    f.entries,
    f.size,
    f.offset
  )
end

-- The n entries and what follows them. part(i, at, offset) gives the bytes of
-- one, which begin at `at`, and the directory's record of it, which calls that
-- `offset`. `map` gets the archive's own offsets, and each entry's record.
local function assemble(n, part, map, options)
  local prefix = options.prefix or ""
  local base = options.shift == false and #prefix or 0
  local out, size, central = { prefix }, #prefix, {}
  local function add(s)
    out[#out + 1] = s
    size = size + #s
  end
  for i = 1, n do
    local bytes
    bytes, central[i] = part(i, size, size - base)
    add(bytes)
  end
  add(options.before_directory or "")
  map.directory = size
  for i = 1, n do
    if map[i] then map[i].record = size end
    add(central[i])
  end
  map.directory_end = size
  local ending = {
    disk = 0,
    start_disk = 0,
    entries = n,
    size = size - map.directory,
    offset = map.directory - base,
  }
  if options.zip64 then
    map.end64 = size
    add(end_record64(override(ending, options.ending64)))
    map.locator = size
    local l = { disk = 0, at = map.end64 - base, disks = 1 }
    l = override(l, options.locator)
    add(pack("<I4I4I8I4", 0x07064b50, l.disk, l.at, l.disks))
    ending.entries, ending.size, ending.offset = 0xffff, 0xffffffff, 0xffffffff
  end
  map.end_record = size
  add(end_record(override(ending, options.ending), options.comment or ""))
  add(options.suffix or "")
  return table.concat(out), map
end

function zips.build(entries, options)
  local map = {}
  return assemble(#entries, function(i, at, offset)
    local entry, f, raw = fields_of(entries[i])
    local first = local_part(entry, f)
    local data = at + #first
    map[i] = { name = f.name, header = at, data = data,
      data_end = data + #raw }
    return first .. raw .. descriptor(entry, f) .. (entry.gap or ""),
      central_part(entry, f, offset)
  end, map, options or {})
end

-- Makes no table for an entry: with a collector that is always at work, or
-- under valgrind, that is what takes long.
function zips.many(n, entry, options)
  local _, f = fields_of { name = "" }
  return (assemble(n, function(i, _, offset)
    local data
    f.name, data = entry(i)
    f.crc, f.bytes, f.compressed = zips.crc32(data), #data, #data
    f.offset = offset
    return header(f) .. data, record(f, "")
  end, {}, options or { zip64 = n > 0xfffe }))
end

zips.samples = {}
local by_name = {}

-- Samples of one kind: (name, about, entries, options) or (name, about, make).
local function kind(valid)
  return function(name, about, entries, options)
    local sample = { name = name, valid = valid, about = about }
    zips.samples[#zips.samples + 1] = sample
    by_name[name] = type(entries) == "function" and entries
      or function() return (zips.build(entries, options)) end
  end
end

local whole, broken, rotten = kind(true), kind(false), kind "structure"

local first = { name = "a.txt", data = "first" }
local two = { first, { name = "b.txt", data = "second file" } }

-- `first`, and a second file with some fields of its own.
local function second(changes)
  local entry = { name = "b.txt", data = "second" }
  for k, v in pairs(changes) do
    entry[k] = v
  end
  return { first, entry }
end

-- A good file, and one that is not to be extracted.
local function evil(name, changes)
  local entry = { name = name, data = "!" }
  for k, v in pairs(changes or {}) do
    entry[k] = v
  end
  return { "ok.txt", entry }
end

---- whole archives

whole("empty", "22 bytes", {})
whole("empty_comment", "no entry, a comment", {}, { comment = "nothing" })
whole("empty_zip64", "no entry, ZIP64", {}, { zip64 = true })
whole("stored", "two stored files", two)
whole("deflated", "method 8",
  { { name = "d.txt", data = ("deflated "):rep(20000), method = 8 } })
whole("comment", "a comment with an end record's signature", two, {
  comment = "see PK\5\6 and more, 22 bytes of it at least",
})
whole("zip64", "ZIP64 everywhere", {
  { name = "a.txt", data = "first", zip64 = true },
  { name = "b.txt", data = "second", zip64 = true, method = 8 },
}, { zip64 = true })
whole("descriptors", "data descriptors, 32 and 64 bits, signed and not", {
  { name = "a", data = "1", method = 8, descriptor = true },
  { name = "b", data = "2", method = 8, descriptor = "unsigned" },
  { name = "c", data = "3", method = 8, descriptor = true, zip64 = true },
  { name = "d", data = "4", method = 8, descriptor = "unsigned", zip64 = true },
})
whole("utf8", "UTF-8 names with and without the flag", {
  { name = "ação/日本語.txt", data = "flagged", utf8 = true },
  { name = "über.txt", data = "not flagged" },
})
whole("cp437", "a name in code page 437",
  { { name = "\x81ber.txt", data = "umlaut" } })
whole("duplicates", "one name twice", {
  { name = "a.txt", data = "first" },
  { name = "b.txt", data = "between" },
  { name = "a.txt", data = "last" },
})
whole("directories", "directories with entries of their own", {
  { name = "d/", mode = 0x41ed },
  { name = "d/e/", mode = 0x41ed },
  { name = "d/e/f.txt", data = "deep", mode = 0x81a4 },
  { name = "g/h.txt", data = "no entry for g", mode = 0x81ed },
})
whole("gaps", "unused bytes between entries", {
  { name = "a", data = "1", gap = "unused" },
  { name = "b", data = "2" },
}, { before_directory = "more" })
whole("out_of_order", "a directory in another order than the data", function()
  local bytes, map = zips.build {
    { name = "a", data = "1" },
    { name = "b", data = "2" },
  }
  local one = bytes:sub(map[1].record + 1, map[2].record)
  local other = bytes:sub(map[2].record + 1, map.directory_end)
  return zips.splice(bytes, map.directory, other .. one)
end)
whole("empty_inside", "an empty archive, stored near the end", function()
  return (zips.build { first, { name = "inner.zip", data = (zips.build {}) } })
end)
whole("inside", "an archive, stored near the end", function()
  local inner = zips.build(two)
  return (zips.build { first, { name = "inner.zip", data = inner } })
end)
whole("encrypted", "encrypted, and one that is not", {
  { name = "s.txt", data = ("x"):rep(12) .. "secret", flags = 1, bytes = 6 },
  first,
})
whole("unknown", "method 98, which no libzip knows", {
  { name = "p.txt", data = "content", raw = "xxxx", method = 98 },
  first,
})

-- Whether this libzip can verify these two depends on its build.
whole("lzma", "method 14", {
  {
    name = "l.txt",
    data = "content",
    raw = "\9\4\5\0]\0\0\128\0\0001\155\202\25\218\233\202\215L\209_\255\253"
      .. "\1520\0",
    method = 14,
    flags = 2,
  },
  first,
})
whole("zstd", "method 93", {
  {
    name = "z.txt",
    data = "content",
    raw = "(\xb5/\xfd \7\x39\0\0content",
    method = 93,
  },
  first,
})

---- whole, but nothing may be extracted

whole("dotdot", "../", evil "../evil.txt")
whole("dotdot_inside", "a/../../", evil "a/../../evil.txt")
whole("dotdot_last", "a/..", evil "a/..")
whole("absolute", "/abs", evil "/tmp/evil.txt")
whole("drive", "C:\\", evil "C:\\evil.txt")
whole("drive_slash", "C:/", evil "C:/evil.txt")
whole("backslash", "..\\", evil "..\\evil.txt")
whole("nul", "a NUL in the name", evil "evil.txt\0.png")
whole("newline", "a line feed in the name", evil "evil\n.txt")
whole("escape", "an escape sequence in the name", evil "evil\27[2J.txt")
whole("delete", "DEL in the name", evil "evil\127.txt")
whole("no_name", "an empty name", evil "")
whole("dot", "a file called .", evil ".")
whole("long_name", "60 000 characters", evil(("x"):rep(60000)))
whole("long_path", "60 000 characters in short parts",
  evil(("xxxxx/"):rep(10000) .. "x"))
whole("long_part", "a part of 256 characters", evil("a/" .. ("x"):rep(256)))
whole("symlink", "a symbolic link",
  evil("link", { data = "/etc/passwd", mode = 0xa1ff }))
whole("symlink_dos", "the same, said to be made by DOS",
  evil("link", { attributes = 0xa1ff << 16 }))
whole("symlink_then_file", "a link, then a file through it", {
  "ok.txt",
  { name = "d", data = "/tmp", mode = 0xa1ff },
  { name = "d/evil.txt", data = "!" },
})
whole("device", "a device", evil("null", { data = "", mode = 0x21b6 }))
whole("fifo", "a pipe", evil("pipe", { data = "", mode = 0x11b6 }))
whole("socket", "a socket", evil("sock", { data = "", mode = 0xc1b6 }))
whole("file_and_directory", "a file a, and a file a/b", {
  "ok.txt",
  { name = "a", data = "1" },
  { name = "a.txt", data = "2" },
  { name = "a/b", data = "3" },
})
whole("directory_and_file", "a directory a/, and a file a",
  { "ok.txt", "a/", { name = "a", data = "1" } })
whole("full_directory", "a directory with content", evil "d/")
whole("unicode_path", "a ../ in the Unicode path field only", evil("fine.txt", {
  extra = pack("<I2I2BI4", 0x7075, 5 + 11, 1, zips.crc32 "fine.txt")
    .. "../evil.txt",
}))

---- structure that is not whole

broken("nothing", "no byte", function() return "" end)
broken("short", "21 bytes", function() return zips.build({}):sub(1, 21) end)
broken("zeros", "zeros", function() return ("\0"):rep(1000) end)
broken("prefix", "a self-extracting archive",
  two, { prefix = "#!/bin/sh\nexit\n" })
broken("prefix_unshifted", "bytes before, offsets as without",
  two, { prefix = "garbage", shift = false })
broken("suffix", "bytes behind", two, { suffix = "garbage" })
broken("suffix_zeros", "zeros behind", two, { suffix = ("\0"):rep(4096) })
broken("twice", "two archives in one file", function()
  local bytes = zips.build(two)
  return bytes .. bytes
end)
broken("empty_prefix", "bytes before an empty archive",
  {}, { prefix = "garbage" })
broken("comment_cut", "a comment shorter than said",
  two, { comment = "four", ending = { comment_size = 5 } })
broken("cut_end", "the end record cut",
  function() return zips.build(two):sub(1, -5) end)
broken("cut_directory", "the directory cut, end record in place", function()
  local bytes, map = zips.build(two)
  return bytes:sub(1, map.directory + 30) .. bytes:sub(map.end_record + 1)
end)
broken("cut_middle", "a hole cut into the data", function()
  local bytes, map = zips.build(two)
  return bytes:sub(1, map[1].data) .. bytes:sub(map[1].data_end + 1)
end)
broken("zero_directory", "zeros for the directory", function()
  local bytes, map = zips.build(two)
  local n = map.end_record - map.directory
  return zips.splice(bytes, map.directory, ("\0"):rep(n))
end)
broken("count_more", "one entry more than there are",
  two, { ending = { entries = 3 } })
broken("count_less", "one entry fewer", two, { ending = { entries = 1 } })
broken("count_none", "no entry stated", two, { ending = { entries = 0 } })
broken("count_huge", "entries for terabytes",
  two, { zip64 = true, ending64 = { entries = 1 << 60 } })
broken("count_here", "counts of this disk and of all differ",
  two, { ending = { here = 1 } })
broken("directory_offset", "the directory elsewhere", function()
  local _, map = zips.build(two)
  return (zips.build(two, { ending = { offset = map.directory - 1 } }))
end)
broken("directory_size", "the directory larger", function()
  local _, map = zips.build(two)
  local size = map.end_record - map.directory + 1
  return (zips.build(two, { ending = { size = size } }))
end)
broken("disks", "said to be split",
  two, { ending = { disk = 1, start_disk = 1 } })
broken("locator", "a ZIP64 locator to elsewhere",
  two, { zip64 = true, locator = { at = 7 } })
broken("locator_far", "a ZIP64 locator behind the file",
  two, { zip64 = true, locator = { at = -1 } })
broken("end64_length", "a ZIP64 end record of another length",
  two, { zip64 = true, ending64 = { length = 45 } })
broken("end64_disagrees", "ZIP64 and plain counts differ", function()
  local bytes, map = zips.build(two, { zip64 = true })
  return zips.splice(bytes, map.end_record + 8, pack("<I2I2", 3, 3))
end)
broken("extra64", "no ZIP64 field for a size of all ones", {
  { name = "a.txt", data = "first", zip64 = true, record = { extra = "" } },
})
broken("extra64_cut", "a ZIP64 field too short", {
  {
    name = "a.txt",
    data = "first",
    zip64 = true,
    record = { extra = pack("<I2I2I8", 1, 8, 5) },
  },
})
broken("record_signature", "a record without its signature",
  second { record = { signature = 0x02014b51 } })
broken("header_signature", "a local header without its signature",
  second { header = { signature = 0x04034b51 } })
broken("header_name", "another name in the local header",
  second { header = { name = "c.txt" } })
broken("header_name_longer", "a longer name in the local header",
  second { header = { name = "b.txt.exe" } })
broken("header_method", "another method in the local header",
  second { header = { method = 8 } })
broken("header_crc", "another CRC in the local header",
  second { header = { crc = 1 } })
broken("header_size", "another size in the local header",
  second { header = { bytes = 1 } })
broken("header_compressed", "another compressed size in the local header",
  second { header = { compressed = 1 } })
broken("header_encrypted", "encrypted in the local header only",
  second { header = { flags = 1 } })
broken("descriptor", "a descriptor with another CRC",
  second { method = 8, descriptor = "lying" })
broken("offset_wrong", "an offset one byte back",
  second { record = { offset = 39 } })
broken("offset_far", "an offset behind the file",
  second { record = { offset = 0x7fffffff } })
broken("offset_overflow", "an offset that overflows", second {
  record = { offset = 0xffffffff, extra = pack("<I2I2I8", 1, 8, -1) },
})
broken("compressed_far", "data that reaches behind the file",
  second { compressed = 0x7fffffff, bytes = 0x7fffffff })
broken("compressed_overflow", "a compressed size that overflows", second {
  record = {
    compressed = 0xffffffff,
    bytes = 0xffffffff,
    extra = pack("<I2I2I8I8", 1, 16, -1, -1),
  },
})
broken("stored_sizes", "stored, two sizes", second { bytes = 5 })
broken("overlap_directory", "an entry that runs into the directory", {
  { name = "a.txt", data = "first", raw = "fir", compressed = 5 },
})
broken("claims_too_much", "far more than 1032 times the file", {
  { name = "bomb", raw = "\3\0", method = 8, bytes = 1 << 28, crc = 0 },
})
broken("utf8_lie", "said to be UTF-8, and is not",
  second { name = "\xff\xfe.txt", utf8 = true })
broken("overlap", "an entry inside another", function()
  local inner = header(select(2, fields_of { name = "b", data = "12345678" }))
  local bytes, map = zips.build {
    { name = "a", data = inner .. "12345678" },
    { name = "b", data = "12345678" },
  }
  return zips.splice(bytes, map[2].record + 42, pack("<I4", map[1].data))
end)
broken("same_place", "two entries with one piece of data, as in bombs",
  function()
  local entry = { name = "a", data = "1234" }
  local bytes, map = zips.build { entry, entry }
  return zips.splice(bytes, map[2].record + 42, pack("<I4", 0))
end)

---- structure whole, contents not: found by reading all of it

rotten("crc_stored", "a wrong CRC in both places, stored", second { crc = 1 })
rotten("crc_deflated", "the same, deflated", second { method = 8, crc = 1 })
rotten("flip_stored", "a flipped byte, stored", function()
  local bytes, map = zips.build(two)
  return zips.flip(bytes, map[2].data + 3)
end)
rotten("flip_deflated", "a flipped byte, deflated", function()
  local data = ("deflated "):rep(99)
  local bytes, map = zips.build(second { data = data, method = 8 })
  return zips.flip(bytes, map[2].data + 300, 1)
end)
rotten("hole", "a block of zeros", function()
  local bytes, map = zips.build(second { data = ("x"):rep(100000), method = 8 })
  return zips.splice(bytes, map[2].data + 4096, ("\0"):rep(8192))
end)
rotten("size_less", "unpacks to more than said",
  second { method = 8, bytes = 5 })
rotten("size_more", "unpacks to less than said",
  second { method = 8, bytes = 7 })
rotten("size_of_nothing", "no data, but a size",
  second { raw = "", method = 8, bytes = 5, crc = 0 })
rotten("crc_of_nothing", "no data, but a CRC", second { data = "", crc = 5 })
rotten("deflate_garbage", "no deflate stream",
  second { raw = "\xff\xff\xff\xff", method = 8 })
rotten("deflate_cut", "a deflate stream cut short",
  second { raw = zips.deflate("second"):sub(1, -3), method = 8 })
rotten("bomb", "unpacks to 20 MB where 100 bytes are said", function()
  local raw = zips.bomb(80000)
  return (zips.build(second { raw = raw, method = 8, bytes = 100, crc = 1 }))
end)

function zips.sample(name)
  local make = assert(by_name[name], "no such sample")
  return make()
end

return zips
