-- pieces.c: which bytes of a download are there.

local probe = require "store_probe"
local tool = require "spec.support.tool"

local MAX = math.maxinteger

local function sorted(list)
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

-- [0, total) once, each piece's mark inside it, none of them empty.
local function assert_partition(p, total)
  local at, done = 0, 0
  for _, piece in ipairs(sorted(p:list())) do
    assert.equal(at, piece[1])
    assert.is_true(piece[1] <= piece[2] and piece[2] <= piece[3])
    assert.is_true(piece[3] > piece[1] or total == 0)
    at, done = piece[3], done + piece[2] - piece[1]
  end
  assert.equal(total, at)
  assert.equal(done, p:done())
  assert.is_true(p:sound())
  assert.equal(done == total, p:whole())
end

describe("pieces", function()
  it("begin as one that is empty", function()
    local p = probe.pieces(100)
    assert.same({ { 0, 0, 100 } }, p:list())
    assert.same({ 100, 0, false, true },
                { p:total(), p:done(), p:whole(), p:sound() })
    p = probe.pieces(0)
    assert.same({ { 0, 0, 0 } }, p:list())
    assert.same({ 0, true, true }, { p:done(), p:whole(), p:sound() })
  end)

  it("of an unknown total are never whole, nor cut", function()
    local p = probe.pieces(-1)
    assert.same({ { 0, 0, MAX } }, p:list())
    assert.equal(1, p:pick({}, 1))
    assert.is_nil(p:pick({ true }, 1))
    p:fill(1, 50)
    assert.same({ 50, false, false }, { p:done(), p:whole(), p:sound() })
  end)

  it("learn their total once", function()
    local p = probe.pieces(-1)
    p:fill(1, 50)
    assert.is_false(p:set_total(49))
    assert.equal(-1, p:total())
    assert.is_true(p:set_total(50))
    assert.same({ { 0, 50, 50 } }, p:list())
    assert.is_true(p:whole())
    assert.is_true(p:set_total(50))
    assert.is_false(p:set_total(51))
    assert.equal(50, p:total())
  end)

  it("are given out while they miss bytes and nobody fills them", function()
    local p = probe.pieces(30, { { 0, 10, 10 }, { 10, 12, 20 },
                                 { 20, 20, 30 } })
    assert.equal(2, p:pick({}, 100))
    assert.equal(3, p:pick({ false, true }, 100))
    assert.is_nil(p:pick({ false, true, true }, 100))
    p:fill(2, 8)
    p:fill(3, 10)
    assert.is_nil(p:pick({}, 0))
    assert.is_true(p:whole())
  end)

  it("are cut where most is left, the second half given", function()
    local p = probe.pieces(100, { { 0, 10, 50 }, { 50, 60, 100 } })
    p:fill(2, 1)
    assert.equal(3, p:pick({ true, true }, 20))
    assert.same({ { 0, 10, 30 }, { 50, 61, 100 }, { 30, 30, 50 } }, p:list())
    assert.is_nil(p:pick({ true, true, true }, 20))
    assert.equal(4, p:pick({ true, true, true }, 19))
    assert.same({ 50, 61, 81 }, p:list()[2])
    assert.same({ 81, 81, 100 }, p:list()[4])
  end)

  it("are cut only when both halves are large enough", function()
    for left = 0, 9 do
      for least = 0, 5 do
        local p = probe.pieces(100, { { 0, 100 - left, 100 } })
        local cut = p:pick({ true }, least)
        local half = left // 2
        assert.equal(half >= 1 and half >= least and 2 or nil, cut)
        assert_partition(p, 100)
      end
    end
  end)

  it("are no more than there is room for", function()
    local p, busy, count = probe.pieces(1 << 40), {}, 0
    while true do
      local i = p:pick(busy, 1)
      if not i then break end
      busy[i] = true
      count = count + 1
    end
    assert.equal(probe.PIECES_MAX, count)
    assert_partition(p, 1 << 40)
  end)

  it("hold the largest size there is", function()
    local p = probe.pieces(MAX)
    assert.equal(1, p:pick({}, 1))
    assert.equal(2, p:pick({ true }, 1))
    assert_partition(p, MAX)
    p:fill(1, p:list()[1][3])
    p:fill(2, p:list()[2][3] - p:list()[2][1])
    assert.is_true(p:whole())
  end)

  it("are tidied when they are complete", function()
    local p = probe.pieces(50, {
      { 30, 35, 40 }, { 0, 10, 10 }, { 20, 25, 30 }, { 40, 50, 50 },
      { 10, 20, 20 } })
    p:tidy()
    assert.same({ { 0, 25, 30 }, { 30, 35, 40 }, { 40, 50, 50 } }, p:list())
    assert_partition(p, 50)
    p = probe.pieces(20, { { 10, 20, 20 }, { 0, 10, 10 } })
    p:tidy()
    assert.same({ { 0, 20, 20 } }, p:list())
    p:tidy()
    assert.same({ { 0, 20, 20 } }, p:list())
  end)

  for title, case in pairs {
    ["a gap"] = { 20, { { 0, 0, 9 }, { 10, 10, 20 } } },
    ["a gap at the start"] = { 20, { { 1, 1, 20 } } },
    ["a gap at the end"] = { 20, { { 0, 0, 19 } } },
    ["an overlap"] = { 20, { { 0, 0, 11 }, { 10, 10, 20 } } },
    ["the same piece twice"] = { 20, { { 0, 0, 20 }, { 0, 0, 20 } } },
    ["an end beyond the total"] = { 20, { { 0, 0, 21 } } },
    ["a mark before its start"] = { 20, { { 0, 0, 10 }, { 10, 9, 20 } } },
    ["a mark behind its end"] = { 20, { { 0, 11, 10 }, { 10, 10, 20 } } },
    ["an end before its start"] = { 20, { { 0, 0, 10 }, { 10, 10, 5 },
                                          { 5, 5, 20 } } },
    ["an empty piece"] = { 20, { { 0, 0, 0 }, { 0, 0, 20 } } },
    ["an empty piece at the end"] = { 20, { { 0, 0, 20 }, { 20, 20, 20 } } },
    ["no piece"] = { 20, {} },
    ["no piece of nothing"] = { 0, {} },
    ["no total"] = { -1, { { 0, 0, MAX } } },
    ["a negative start"] = { 20, { { -5, 0, 20 } } },
    ["numbers that wrap"] = { 20, {
      { 0, 0, MAX }, { MAX, MAX, math.mininteger },
      { math.mininteger, 0, 20 } } },
  } do
    it("are not sound with " .. title, function()
      assert.is_false(probe.pieces(case[1], case[2]):sound())
    end)
  end

  it("are sound in any order", function()
    assert.is_true(probe.pieces(30, { { 20, 20, 30 }, { 0, 10, 10 },
                                      { 10, 15, 20 } }):sound())
  end)

  -- A download of many streams: each takes a piece, fills it bit by bit up to
  -- an end that others may move, fails now and then, and takes another.
  it("stay a partition whatever streams do", function()
    math.randomseed(1719469422)
    for round = 1, tool.times(60) do
      local total = math.random(0, 3) == 0 and math.random(0, 5)
                    or math.random(1, 1 << math.random(1, 40))
      local least = math.random(1, math.max(1, total // 8))
      local p, busy, streams = probe.pieces(-1), {}, {}
      local taken = {} -- bytes that were filled, by their first: no byte twice
      assert.equal(1, p:pick(busy, least))
      assert.is_true(p:set_total(total))
      for _ = 1, 3000 do
        local i = math.random(1, 8)
        local at = streams[i]
        if not at then
          at = p:pick(busy, least)
          if at then
            assert.is_nil(busy[at])
            local piece = p:list()[at]
            assert.is_true(piece[2] < piece[3])
            streams[i], busy[at] = at, true
          end
        else
          local piece = p:list()[at]
          local left = piece[3] - piece[2]
          local n = math.min(left, math.random(0, total // 20 + 1))
          if n > 0 then
            assert.is_nil(taken[piece[2]])
            taken[piece[2]] = piece[2] + n
            p:fill(at, n)
          end
          if n == left or math.random(20) == 1 then
            streams[i], busy[at] = nil, nil
          end
        end
        if round <= 8 then assert_partition(p, total) end
        if next(busy) == nil and math.random(50) == 1 then
          local done = p:done()
          p:tidy()
          assert.equal(done, p:done())
        end
      end
      for i = 1, #p:list() do
        local piece = p:list()[i]
        if piece[2] < piece[3] then
          taken[piece[2]] = piece[3]
          p:fill(i, piece[3] - piece[2])
        end
      end
      assert_partition(p, total)
      p:tidy()
      assert.same({ { 0, total, total } }, p:list())
      local byte = 0
      while byte < total do byte = assert(taken[byte], "a byte is missing") end
      assert.equal(total, byte)
    end
  end)
end)
