--- squarecloud.progress: what is drawn on a terminal, what is written
-- elsewhere, and a real download. What a line says: progress/text_spec.lua; on
-- real terminals: progress/terminal_spec.lua.

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local square = require "squarecloud"
local terminal = require "spec.support.terminal"
local progress = square.progress

local MIB = 1024 * 1024

-- A stream that keeps what is written, and counts the writes.
local function new_stream()
  local stream = { text = "", writes = 0 }
  function stream:write(bytes)
    self.text = self.text .. bytes
    self.writes = self.writes + 1
    return self
  end
  return stream
end

-- A clock that a spec sets.
local function new_clock()
  local clock = { now = 1000 }
  return clock, function() return clock.now end
end

local function line_count(text)
  return select(2, text:gsub("\n", ""))
end

describe("progress where there is no terminal", function()
  local stream, clock, now, bars

  before_each(function()
    stream = new_stream()
    clock, now = new_clock()
    bars = progress.new { stream = stream, clock = now }
  end)

  it("is one line for a short transfer", function()
    local bar = bars:add "a"
    for done = 0, 100 do bar(done * MIB, 100 * MIB, 50 * MIB) end
    bar:finish()
    bars:close()
    assert.equal("a: 100.0 MiB\n", stream.text)
  end)

  it("is a line for each tenth of a long one", function()
    local bar = bars:add "a"
    for done = 0, 1000 do
      bar(done * MIB, 1000 * MIB, 2 * MIB)
      clock.now = clock.now + 0.5
    end
    bar:finish()
    assert.equal(11, line_count(stream.text))
    assert.truthy(stream.text:find "^a: 10%% of 1000.0 MiB, 2.0 MiB/s, 7:30 l")
    assert.truthy(stream.text:find "\na: 1000.0 MiB in 8:21, 2.0 MiB/s\n$")
  end)

  it("is a line in 5 seconds at most, however fast", function()
    local bar = bars:add "a"
    for done = 0, 100 do
      clock.now = clock.now + 0.1
      bar(done, 100, 10)
    end
    assert.is_true(line_count(stream.text) <= 2)
  end)

  it("is a line in 5 seconds when nobody knows the total", function()
    local bar = bars:add "a"
    for done = 1, 60 do
      clock.now = clock.now + 1
      bar(done * MIB, nil, MIB)
    end
    assert.equal(12, line_count(stream.text))
  end)

  it("is a line a minute when hardly anything comes", function()
    local bar = bars:add "a"
    for done = 1, 600 do
      clock.now = clock.now + 1
      bar(done, 1e12, 1)
    end
    assert.equal(10, line_count(stream.text))
  end)

  it("goes on when the clock is set back", function()
    local bar = bars:add "a"
    clock.now = 0
    for done = 1, 10 do
      clock.now = clock.now + 1
      bar(done, 10, 1)
    end
    assert.is_true(line_count(stream.text) >= 1)
  end)

  it("never holds an escape sequence", function()
    local bar = bars:add "\27[2Ja"
    bar(1, 2, 3)
    bars:print "b\27[2J"
    bar:finish "c\27[2J"
    assert.equal("b\\x1b[2J\n\\x1b[2Ja: c\\x1b[2J\n", stream.text)
  end)

  local OUTCOMES = {
    { nil, "a: 5 B" }, { true, "a: 5 B" }, { false, "a: failed" },
    { "kept for later", "a: kept for later" },
  }
  for i, row in ipairs(OUTCOMES) do
    it("ends with what came of it, " .. i, function()
      local bar = bars:add "a"
      bar(5, 5, 5)
      bar:finish(row[1])
      bar:finish "again"
      bar(6, 6, 6)
      assert.equal(row[2] .. "\n", stream.text)
    end)
  end

  it("is one of all together when that is asked for", function()
    bars = progress.new { stream = stream, clock = now, total = "sync" }
    bars:expect(3, 30 * MIB)
    for i = 1, 3 do
      local bar = bars:add(tostring(i))
      for done = 1, 10 do
        clock.now = clock.now + 1
        bar(done * MIB, 10 * MIB, MIB)
      end
      bar:finish(i ~= 2)
    end
    bars:close()
    assert.truthy(stream.text:find("sync 0/3: 16% of 30.0 MiB", 1, true))
    assert.truthy(stream.text:find("2: failed", 1, true))
    assert.truthy(stream.text:find("sync 3/3: 30.0 MiB in 0:30, 1.0 MiB/s\n$"))
    assert.is_nil(stream.text:find "1: ")
  end)

  it("falls silent when the stream takes no more", function()
    function stream:write()
      self.writes = self.writes + 1
      return nil, "No space left on device", 28
    end
    local bar = bars:add "a"
    bar:finish()
    bars:print "more"
    bars:close()
    assert.equal(1, stream.writes)
  end)

  it("is silent once it is closed", function()
    local bar = bars:add "a"
    bars:close()
    bars:close()
    bar(1, 2, 3)
    bar:finish()
    bars:print "b"
    assert.equal("", stream.text)
    assert.error_matches(function() bars:add "b" end, "is closed")
  end)

  local WRONG = {
    { { colour = true }, "unknown option 'colour' %(known: clock, color" },
    { { tty = 1 }, "option 'tty' must be a boolean, got number" },
    { { width = 0 }, "option 'width' must be a whole number" },
    { { width = 1.5 }, "option 'width' must be a whole number" },
    { { clock = 1 }, "option 'clock' must be a function" },
    { { total = 1 }, "option 'total' must be a label or true" },
    { "x", "expected a table of options, got string" },
  }
  for _, row in ipairs(WRONG) do
    it("refuses what it does not know: " .. row[2], function()
      assert.error_matches(function() progress.new(row[1]) end, row[2])
    end)
  end

  it("refuses a label that is no text", function()
    assert.error_matches(function() bars:add(nil) end,
      "label must be a string, got nil")
  end)
end)

describe("progress on a terminal", function()
  local stream, clock, now, screen
  local getenv = os.getenv

  before_each(function()
    stream = new_stream()
    clock, now = new_clock()
    -- luacheck: push ignore 122
    os.getenv = function(name)
      return name == "TERM" and "xterm" or name ~= "NO_COLOR" and getenv(name)
        or nil
    end
    -- luacheck: pop
  end)

  after_each(function()
    os.getenv = getenv -- luacheck: ignore 122
  end)

  local function new(options)
    options = options or {}
    options.stream, options.tty, options.clock = stream, true, now
    options.width = options.width or 80
    return progress.new(options)
  end

  local function shown(columns)
    screen = terminal.screen(columns or 80, 24, progress.width)
    screen:feed(stream.text)
    assert.equal(0, screen.overflows)
    return screen:lines()
  end

  it("draws a transfer in place", function()
    local bars = new()
    local bar = bars:add "a"
    for done = 0, 10 do bar(done, 10, 1) end
    local lines = shown()
    assert.equal(1, #lines)
    assert.truthy(lines[1]:find "^a %[=+%] 100%%")
    bar:finish()
    bars:close()
    assert.same({ "a  10 B" }, shown())
    assert.equal(2, screen.row)
  end)

  it("draws several below each other, and lets what is done scroll up",
    function()
      local bars = new()
      local made = {}
      for i = 1, 4 do made[i] = bars:add("transfer " .. i) end
      for done = 1, 10 do
        for i = 1, 4 do made[i](done, 10 * i, 1) end
      end
      local lines = shown()
      assert.equal(4, #lines)
      made[3]:finish()
      made[1]:finish(false)
      bars:print "a word"
      lines = shown()
      assert.equal("transfer 3  10 B", lines[1])
      assert.equal("transfer 1  failed", lines[2])
      assert.equal("a word", lines[3])
      assert.truthy(lines[4]:find "^transfer 2 ")
      assert.truthy(lines[5]:find "^transfer 4 ")
      assert.equal(5, #lines)
      made[5] = bars:add "transfer 5"
      assert.equal(6, #shown())
      bars:close()
      assert.equal(6, #shown())
      assert.equal(7, screen.row)
    end)

  it("draws no more lines than there is room for, and sums up the rest",
    function()
      local bars = new()
      for i = 1, 100 do bars:add("transfer " .. i)(1, 10, 1) end
      local lines = shown()
      assert.equal(23, #lines)
      assert.truthy(lines[22]:find "^transfer 22 ")
      assert.truthy(lines[23]:find "^total 0/100 ")
    end)

  it("shows the total when it is told how much there will be", function()
    local bars = new()
    bars:expect(7, 700)
    local bar = bars:add "a"
    bar(50, 100, 1)
    bar(70, 100, 1)
    local lines = shown()
    assert.equal(2, #lines)
    assert.truthy(lines[2]:find "^total 0/7 .*10%%")
    bar:finish()
    bars:add "b"
    assert.truthy(shown()[3]:find "^total 1/7 .*10%%")
  end)

  it("shows one line for all when that is asked for", function()
    local bars = new { total = true }
    local made = {}
    for i = 1, 5 do
      made[i] = bars:add(tostring(i))
      made[i](1, 2, 3)
      made[i](2, 2, 3)
    end
    assert.equal(1, #shown())
    for i = 1, 5 do made[i]:finish() end
    bars:close()
    assert.same({ "total 5/5  10 B" }, shown())
  end)

  for _, columns in ipairs { 10, 20, 33, 60, 132 } do
    it(("keeps within %d columns"):format(columns), function()
      local bars = new { width = columns }
      local a, b = bars:add(("日本"):rep(40)), bars:add(("x"):rep(300))
      for done = 0, 10 do
        a(done * MIB, 10 * MIB, MIB)
        b(done * MIB, nil, MIB)
      end
      a:finish(("y"):rep(500))
      bars:print(("z"):rep(500))
      assert.equal(3, #shown(columns))
    end)
  end

  it("draws no more than 20 times a second, however often it is told",
    function()
      local bars = new()
      local bar = bars:add "a"
      for done = 0, 10000 do bar(done, 10000, 1) end
      assert.is_true(stream.writes <= 25)
      clock.now = clock.now + 1
      bar(9999, 10000, 1)
      assert.truthy(shown()[1]:find "99%%")
    end)

  it("writes nothing when nothing has changed", function()
    local bars = new()
    local bar = bars:add "a"
    bar(1, 2, 1)
    bar(1, 2, 1)
    local writes = stream.writes
    for _ = 1, 10 do bar(1, 2, 1) end
    assert.equal(writes, stream.writes)
  end)

  it("colours the bar unless it is told not to", function()
    local bar = new():add "a"
    bar(1, 2, 1)
    bar(1, 2, 1)
    assert.truthy(stream.text:find "\27%[32m")
    stream.text = ""
    bar = new { color = false }:add "a"
    bar(1, 2, 1)
    bar(1, 2, 1)
    assert.is_nil(stream.text:find "\27%[32m")
  end)
end)

describe("a bar as a download's progress function", function()
  it("is taken as it is, and shows the end", function()
    local s = server.shared()
    local client <close> = helpers.client(s)
    local folder <close> = helpers.tmpdir()
    local bytes = downloads.archive(2000)
    local entry = s:add_snapshot { app = s.apps[1], bytes = bytes }
    local stream = new_stream()
    local bars <close> = progress.new { stream = stream }
    local bar = bars:add "snapshot"
    local zip <close> = assert(client:download { url = entry.url,
      path = folder.path, progress = bar })
    bar:finish(zip ~= nil)
    assert.equal("snapshot: " .. progress.format_bytes(#bytes) .. "\n",
      (stream.text:gsub(" in .*\n$", "\n")))
  end)
end)
