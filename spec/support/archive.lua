--- Large ZIP files for what takes its time, written entry by entry: nothing
-- here holds more than one block.
--
--   archive.random(path, mib)      stored entries of random bytes
--   archive.deflated(path, mib)    deflated text, about a third of its size
--
-- Deflating and CRCs are gzip's: its file is a raw deflate stream between ten
-- bytes of head and eight of CRC and size.

local archive = {}

local GZIP_HEAD, GZIP_TAIL = 10, 8
local MIB = 1 << 20

local function gzip(path, level)
  local pipe = assert(io.popen(("gzip -n -%d <'%s'"):format(level, path)))
  local out = pipe:read "a"
  assert(pipe:close(), "gzip")
  local crc, size = ("<I4I4"):unpack(out, #out - GZIP_TAIL + 1)
  return out:sub(GZIP_HEAD + 1, -GZIP_TAIL - 1), crc, size
end

-- An archive being written; `add` an entry, `finish` it with the directory.
local function new_writer(path)
  local file = assert(io.open(path, "wb"))
  local at, records = 0, {}
  local writer = {}

  function writer.add(name, data, method, crc, size)
    local fields = ("<I2I2I2I2I2I4I4I4I2I2"):pack(20, 0, method, 0, 33, crc,
      #data, size, #name, 0)
    records[#records + 1] = "PK\1\2" .. ("<I2"):pack(20) .. fields
      .. ("<I2I2I2I4I4"):pack(0, 0, 0, 0, at) .. name
    assert(file:write("PK\3\4", fields, name, data))
    at = at + 4 + #fields + #name + #data
    return at
  end

  function writer.finish()
    local directory = table.concat(records)
    assert(file:write(directory, "PK\5\6", ("<I2I2I2I2I4I4I2"):pack(0, 0,
      #records, #records, #directory, at, 0)))
    assert(file:close())
    return at + #directory + 22
  end

  return writer
end

-- `bytes` from `make(path)`, by way of a file.
local function by_way_of_file(make)
  local path = os.tmpname()
  make(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "a"
  file:close()
  return path, bytes
end

--- `mib` MiB in stored entries, no two alike. Returns the file's size.
function archive.random(path, mib)
  local writer = new_writer(path)
  local block, i = 8, 0
  while mib > 0 do
    local size = math.min(block, mib)
    local from, bytes = by_way_of_file(function(name)
      assert(os.execute(("head -c %d /dev/urandom >'%s'"):format(size * MIB,
        name)))
    end)
    local _, crc = gzip(from, 1)
    os.remove(from)
    i, mib = i + 1, mib - size
    writer.add(("random-%03d.bin"):format(i), bytes, 0, crc, #bytes)
  end
  return writer.finish()
end

-- Lines as of logs: words of a small language, numbers between them.
local function text(size)
  local random, words, parts = math.random, {}, {}
  math.randomseed(1, 2)
  for i = 1, 4000 do
    local letters = {}
    for k = 1, random(2, 11) do letters[k] = random(97, 122) end
    words[i] = string.char(table.unpack(letters))
  end
  local length = 0
  while length < size do
    local line = {}
    for i = 1, 12 do line[i] = words[random(random(4000))] end
    line[13] = ("%08x"):format(random(0xffffffff))
    line[14] = tostring(random(99999)) .. "\n"
    parts[#parts + 1] = table.concat(line, " ")
    length = length + #parts[#parts]
  end
  return table.concat(parts)
end

--- At least `mib` MiB: one deflated block of text under many names. Returns
-- the file's size, and what it unpacks to.
function archive.deflated(path, mib)
  local from = by_way_of_file(function(name)
    local file = assert(io.open(name, "wb"))
    assert(file:write(text(8 * MIB)))
    assert(file:close())
  end)
  local data, crc, size = gzip(from, 6)
  os.remove(from)
  local writer, i, at = new_writer(path), 0, 0
  while at < mib * MIB do
    i = i + 1
    at = writer.add(("logs/%04d.txt"):format(i), data, 8, crc, size)
  end
  return writer.finish(), i * size
end

return archive
