-- record.c: the text that says which bytes of a part are there.

local probe = require "store_probe"

local MAX = math.maxinteger

local function record(more)
  local r = { object = "/applications/ab12/a1.zip v=45ec", etag = '"9c1e"',
              total = 1048576, pieces = { { 0, 262144, 1048576 } } }
  for k, v in pairs(more or {}) do r[k] = v end
  return r
end

-- FNV-1a, as the format has it.
local function sum(text)
  local h = 0xcbf29ce484222325
  for i = 1, #text do h = (h ~ text:byte(i)) * 0x100000001b3 end
  return h
end

-- A record's text from its lines, with a checksum that is right.
local function sealed(...)
  local text = table.concat({ ... }, "\n") .. "\n"
  return ("%ssum %016x\n"):format(text, sum(text))
end

local HEAD, OBJECT, ETAG = "squarecloud part 1", "object /a v=1", 'etag "e"'

describe("a record", function()
  it("has the documented text", function()
    local text = sealed(HEAD, "object /applications/ab12/a1.zip v=45ec",
                        'etag "9c1e"', "total 1048576",
                        "piece 0 262144 1048576")
    assert.equal(text, probe.format(record()))
    assert.matches("\nsum %x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x\n$", text)
  end)

  it("reads what it wrote", function()
    local many = {}
    for i = 1, probe.PIECES_MAX do
      local at = (probe.PIECES_MAX - i) * 1000
      many[i] = { at, at + i, at + 1000 }
    end
    for _, r in ipairs {
      record(), record { etag = "" }, record { object = "x" },
      record { object = ("o"):rep(511), etag = ("e"):rep(191) },
      record { object = "a  b c \xc3\xa9", etag = "\xff\xfe" },
      record { total = 0, pieces = { { 0, 0, 0 } } },
      record { total = MAX, pieces = { { 0, MAX - 1, MAX } } },
      record { total = 9, pieces = { { 5, 5, 9 }, { 0, 5, 5 } } },
      record { total = probe.PIECES_MAX * 1000, pieces = many },
    } do
      assert.same(r, probe.parse(assert(probe.format(r))))
    end
  end)

  it("fits, however large its numbers are", function()
    local huge = {}
    for i = 1, probe.PIECES_MAX do huge[i] = { MAX, MAX, MAX } end
    assert.is_string(probe.format(record {
      object = ("o"):rep(511), etag = ("e"):rep(191), total = MAX,
      pieces = huge }))
  end)

  it("is written whole or not at all", function()
    local text = probe.format(record())
    for cap = 0, #text do assert.is_nil(probe.format(record(), cap)) end
    assert.equal(text, probe.format(record(), #text + 1))
  end)

  it("is not written when it is more than lines", function()
    for _, control in ipairs { "\n", "\r", "\27", "\127" } do
      assert.is_nil(probe.format(record { object = "a" .. control .. "b" }))
      assert.is_nil(probe.format(record { etag = "a" .. control .. "b" }))
    end
  end)
end)

describe("a record is refused", function()
  it("when it is torn, at every offset", function()
    local text = probe.format(record { pieces = {
      { 0, 5, 10 }, { 10, 10, 20 }, { 20, 1048576, 1048576 } } })
    assert.is_table(probe.parse(text))
    for n = 0, #text - 1 do
      local zeros = ("\0"):rep(#text - n)
      assert.is_nil(probe.parse(text:sub(1, n)), n)
      assert.is_nil(probe.parse(text:sub(n + 2)), n)
      assert.is_nil(probe.parse(text:sub(1, n) .. text:sub(n + 2)), n)
      assert.is_nil(probe.parse(text:sub(1, n) .. zeros), n)
    end
  end)

  it("when any bit of it is another", function()
    local text = probe.format(record())
    for i = 1, #text do
      for bit = 0, 7 do
        local byte = string.char(text:byte(i) ~ 1 << bit)
        local other = text:sub(1, i - 1) .. byte .. text:sub(i + 1)
        assert.is_nil(probe.parse(other), i)
      end
    end
  end)

  it("when something follows it", function()
    local text = probe.format(record())
    for _, more in ipairs { "\n", "\0", "x", text } do
      assert.is_nil(probe.parse(text .. more))
    end
  end)

  local whole = { HEAD, OBJECT, ETAG, "total 20", "piece 0 5 20" }
  local function but(line, i)
    local lines = { table.unpack(whole) }
    lines[i] = line
    return lines
  end

  it("only then", function()
    assert.same({ object = "/a v=1", etag = '"e"', total = 20,
                  pieces = { { 0, 5, 20 } } },
                probe.parse(sealed(table.unpack(whole))))
  end)

  for title, lines in pairs {
    ["of the next version"] = but("squarecloud part 2", 1),
    ["of a far version"] = but("squarecloud part 10", 1),
    ["of no version"] = but("squarecloud part", 1),
    ["foreign"] = but("aria2 control", 1),
    ["without a heading"] = { table.unpack(whole, 2) },
    ["empty"] = {},
    ["of a heading"] = { HEAD },
    ["without an object"] = { HEAD, ETAG, "total 20", "piece 0 5 20" },
    ["with an empty object"] = but("object ", 2),
    ["with an object too long"] = but("object " .. ("o"):rep(512), 2),
    ["with an etag too long"] = but("etag " .. ("e"):rep(192), 3),
    ["without a total"] = { HEAD, OBJECT, ETAG, "piece 0 5 20" },
    ["with an unknown total"] = but("total -1", 4),
    ["with no number as its total"] = but("total x", 4),
    ["with a total and more"] = but("total 20 1", 4),
    ["with a total too large"] = but("total 9223372036854775808", 4),
    ["with another total"] = but("total 21", 4),
    ["without pieces"] = { HEAD, OBJECT, ETAG, "total 20" },
    ["with a piece of two"] = but("piece 0 20", 5),
    ["with a piece of four"] = but("piece 0 5 20 20", 5),
    ["with a piece of words"] = but("piece 0 5 x", 5),
    ["with a blank too much"] = but("piece 0  5 20", 5),
    ["with a signed piece"] = but("piece +0 5 20", 5),
    ["with hexadecimals"] = but("piece 0x0 0x5 0x14", 5),
    ["with a number that wraps"] = but("piece 0 18446744073709551621 20", 5),
    ["with a negative mark"] = but("piece 0 -5 20", 5),
    ["with a mark behind its end"] = but("piece 0 21 20", 5),
    ["with an overlap"] = but("piece 0 5 20\npiece 10 10 20", 5),
    ["with a gap"] = but("piece 1 5 20", 5),
    ["with an unknown line"] = but("pieces 0 5 20", 5),
    ["with an empty line"] = but("piece 0 5 20\n", 5),
    ["with a NUL in a line"] = but("piece 0 5 20\0", 5),
    ["with a NUL at a line's start"] = but("piece 0 5 20\n\0", 5),
    ["with DOS line ends"] = but("squarecloud part 1\r", 1),
  } do
    it("when it is " .. title .. ", the checksum right", function()
      assert.is_nil(probe.parse(sealed(table.unpack(lines))))
    end)
  end

  it("when it has more pieces than there is room for", function()
    local function pieces(count)
      local lines = { HEAD, OBJECT, ETAG, "total " .. count }
      for i = 0, count - 1 do
        lines[#lines + 1] = ("piece %d %d %d"):format(i, i, i + 1)
      end
      return probe.parse(sealed(table.unpack(lines)))
    end
    assert.equal(probe.PIECES_MAX, #pieces(probe.PIECES_MAX).pieces)
    assert.is_nil(pieces(probe.PIECES_MAX + 1))
    assert.is_nil(pieces(1000))
  end)

  it("when its checksum is written another way", function()
    local text = sealed(table.unpack(whole))
    local body, digits = text:match "^(.*)sum (%x+)\n$"
    for _, line in ipairs {
      "sum " .. digits:upper() .. "\n", "sum 0x" .. digits:sub(1, 14) .. "\n",
      "sum " .. digits .. " \n", "sum  " .. digits:sub(1, 15) .. "\n",
      "sum " .. digits, "SUM " .. digits .. "\n", "sum\t" .. digits .. "\n",
      "sum " .. digits .. "\r\n", "sum +" .. digits:sub(1, 15) .. "\n",
    } do
      if line ~= "sum " .. digits .. "\n" then
        assert.is_nil(probe.parse(body .. line))
      end
    end
  end)

  it("whatever else it is, without a crash", function()
    math.randomseed(7)
    local words = { HEAD, OBJECT, ETAG, "total 20", "piece 0 5 20", "piece",
                    "object", "sum", "", " ", "total", "piece 9 9 9", "\0" }
    for _ = 1, 3000 do
      local lines = { HEAD }
      for _ = 1, math.random(0, 8) do
        lines[#lines + 1] = words[math.random(#words)]
      end
      local r = probe.parse(sealed(table.unpack(lines)))
      if r then
        assert.is_true(probe.pieces(r.total, r.pieces):sound())
        assert.equal("/a v=1", r.object)
      end
    end
  end)
end)
