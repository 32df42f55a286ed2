--- squarecloud.progress as pure functions: sizes, durations, text made safe and
-- cut, and a transfer's line, in tables and for any width.

local progress = require "squarecloud.progress"

local MIB = 1024 * 1024

describe("the figures of progress", function()
  local SIZES = {
    { 0, "0 B" }, { 1, "1 B" }, { 1023, "1023 B" }, { 1024, "1.0 KiB" },
    { 1536, "1.5 KiB" }, { 1024 * 1024 - 1, "1.0 MiB" }, { MIB, "1.0 MiB" },
    { 12900705, "12.3 MiB" }, { 2 ^ 30, "1.0 GiB" }, { 5 * 2 ^ 40, "5.0 TiB" },
    { math.maxinteger, "8.0 EiB" }, { 999.9, "999 B" }, { -1, "?" },
    { 0 / 0, "?" }, { math.huge, "?" }, { "12", "?" }, { nil, "?" },
  }
  for _, row in ipairs(SIZES) do
    it(("show %s bytes as %s"):format(row[1], row[2]), function()
      assert.equal(row[2], progress.format_bytes(row[1]))
    end)
  end

  it("show no size as a question mark", function()
    assert.equal("?", progress.format_bytes(nil))
  end)

  local DURATIONS = {
    { 0, "0:00" }, { 7, "0:07" }, { 59.4, "0:59" }, { 59.6, "1:00" },
    { 754, "12:34" }, { 3599, "59:59" }, { 3600, "1:00:00" },
    { 3723, "1:02:03" }, { 86399, "23:59:59" }, { 86400, "1d 00h" },
    { 273600, "3d 04h" }, { 1e12, "-:--" }, { -1, "-:--" },
    { 0 / 0, "-:--" }, { math.huge, "-:--" }, { "7", "-:--" },
  }
  for _, row in ipairs(DURATIONS) do
    it(("show %s seconds as %s"):format(row[1], row[2]), function()
      assert.equal(row[2], progress.format_duration(row[1]))
    end)
  end

  it("show no duration as dashes", function()
    assert.equal("-:--", progress.format_duration(nil))
  end)

  local TEXTS = {
    { "plain text", "plain text" },
    { "a\nb\tc\r\0\127", "a\\x0ab\\x09c\\x0d\\x00\\x7f" },
    { "\27[2J", "\\x1b[2J" },
    { "ação 日本語 🎮", "ação 日本語 🎮" },
    { "\194\155m", "\\xc2\\x9bm" }, -- a control sequence in one character
    { "\226\128\174gpj.exe", "\\xe2\\x80\\xaegpj.exe" }, -- right to left
    { "\255ok\192", "\\xffok\\xc0" },
    { "cut \228\184", "cut \\xe4\\xb8" },
    { 12, "12" },
  }
  for _, row in ipairs(TEXTS) do
    it(("show the text %q safely"):format(row[1]), function()
      assert.equal(row[2], progress.escape(row[1]))
      assert.equal(row[2], progress.escape(row[2]))
    end)
  end

  local CUTS = {
    { "short", 10, "short" }, { "short", 5, "short" },
    { "short", 4, "sho~" }, { "short", 1, "~" }, { "short", 0, "" },
    { "", 3, "" }, { "日本語", 6, "日本語" }, { "日本語", 5, "日本~" },
    { "日本語", 4, "日~" }, { "日本語", 1, "~" },
    { "e\204\129e\204\129e\204\129", 3, "e\204\129e\204\129e\204\129" },
    { "e\204\129e\204\129e\204\129", 2, "e\204\129~" },
  }
  for _, row in ipairs(CUTS) do
    it(("cut %q to %d columns"):format(row[1], row[2]), function()
      local cut = progress.cut(row[1], row[2])
      assert.equal(row[3], cut)
      assert.is_true(progress.width(cut) <= row[2])
    end)
  end

  it("count wide and combining characters", function()
    assert.equal(9, progress.width "abc日本語")
    assert.equal(2, progress.width "e\204\129x")
    assert.equal(2, progress.width "🎮")
  end)
end)

describe("a line of progress", function()
  local state = { label = "1d2cdc0d", done = 45 * MIB, total = 100 * MIB,
    rate = 5 * MIB }

  it("has a bar, how much of how much, the rate and the time left",
    function()
      assert.equal("1d2cdc0d [===============>                   ]  45%    "
        .. "45.0/100.0 MiB    5.0 MiB/s    0:11", progress.render(state, 90))
    end)

  it("has no bar and no time left without a total", function()
    local line = progress.render({ label = "a", done = MIB, rate = MIB }, 80)
    assert.equal("a " .. (" "):rep(15) .. "1.0 MiB    1.0 MiB/s", line)
  end)

  it("has its figures below each other's", function()
    local one = progress.render({ label = "a", done = 5, total = 10,
      rate = 1 }, 80, { label_width = 20 })
    local other = progress.render({ label = ("b"):rep(20), done = 999 * MIB,
      total = 1000 * MIB, rate = 12 * MIB }, 80, { label_width = 20 })
    assert.equal(one:find "%%", (other:find "%%"))
    assert.equal(one:find "/s", (other:find "/s"))
  end)

  it("says what is done of nothing: all", function()
    assert.truthy(progress.render({ label = "a", done = 0, total = 0 }, 80)
      :find "100%%")
  end)

  it("never says 100% before the end, nor more than that", function()
    local function percent(done)
      return progress.render({ label = "a", done = done, total = 1000 }, 80)
        :match "(%d+)%%"
    end
    assert.equal("99", percent(999))
    assert.equal("100", percent(1000))
    assert.equal("100", percent(2000))
  end)

  it("fits any width, and loses the bar before the figures", function()
    local labels = { "a", "1d2cdc0d6ebd435c91315c6329d12eab", "日本語の名前",
      ("e\204\129"):rep(60) }
    for _, label in ipairs(labels) do
      for width = 0, 200 do
        for _, one in ipairs { { done = 1, total = 3, rate = 7e9 },
          { done = 5e12, total = 7e12, rate = 1 }, { done = 5 }, {},
          { text = "done, and a long sentence about it all" } } do
          one.label = label
          local line = progress.render(one, width)
          assert.is_true(progress.width(line) <= width, line)
          local colored = progress.render(one, width, { color = true })
          assert.equal(line, (colored:gsub("\27%[%d+m", "")))
        end
      end
    end
    assert.is_nil(progress.render(state, 50):find "%[")
    assert.truthy(progress.render(state, 50):find "45%%")
    assert.truthy(progress.render(state, 20):find "45%%")
  end)

  it("is a sentence in a log", function()
    assert.equal("1d2cdc0d: 45% of 100.0 MiB, 5.0 MiB/s, 0:11 left",
      progress.plain(state))
    assert.equal("a: 1.0 MiB", progress.plain { label = "a", done = MIB })
    assert.equal("a: failed", progress.plain { label = "a", text = "failed" })
    assert.equal("45.0 MiB in 0:09, 5.0 MiB/s", progress.summary(45 * MIB, 9))
    assert.equal("45.0 MiB", progress.summary(45 * MIB, 1))
    assert.equal("done", progress.summary(nil, 1))
  end)
end)
