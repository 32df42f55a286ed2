--- squarecloud.progress on real terminals, whose size and kind it finds out
-- by itself.

local progress = require "squarecloud.progress"
local terminal = require "spec.support.terminal"

local SCRIPT = [[
local progress = require "squarecloud.progress"
local bars <close> = progress.new { stream = io.%s }
local a, b = bars:add "first", bars:add "second \27[2J"
for done = 0, 20 do
  a(done * 1e6, 20e6, 3e6)
  b(done * 1e5, nil, 1e5)
end
a:finish()
b:finish(false)
]]

local function lines_of(bytes, columns)
  local screen = terminal.screen(columns, 24, progress.width)
  screen:feed((bytes:gsub("\r\n", "\n")))
  assert.equal(0, screen.overflows)
  return screen:lines()
end

-- The longest line that was ever drawn.
local function longest(bytes)
  local most = 0
  for line in bytes:gsub("\27%[%??[%d;]*%a", ""):gmatch "[^\r\n]+" do
    most = math.max(most, progress.width(line))
  end
  return most
end

describe("progress on a real terminal", function()
  for _, columns in ipairs { 30, 80, 130 } do
    it(("finds out that it is one, of %d columns"):format(columns), function()
      local bytes = terminal.run(SCRIPT:format "stderr", { columns = columns })
      assert.truthy(bytes:find "\27%[%d+A")
      assert.same({ "first  19.1 MiB", "second \\x1b[2J  failed" },
        lines_of(bytes, columns))
      assert.is_true(longest(bytes) <= columns - 1)
      assert.is_true(columns > 90 or longest(bytes) >= columns - 10)
    end)
  end

  it("does so for stdout, too", function()
    local bytes = terminal.run(SCRIPT:format "stdout", { columns = 44,
      redirect = "2>/dev/null" })
    assert.same({ "first  19.1 MiB", "second \\x1b[2J  failed" },
      lines_of(bytes, 44))
    assert.truthy(bytes:find "\27%[%d+A")
    assert.is_true(longest(bytes) <= 43)
  end)

  it("shows colours, but with NO_COLOR", function()
    local script = SCRIPT:format "stderr"
    assert.truthy(terminal.run(script):find "\27%[32m")
    local bytes = terminal.run(script, { env = { NO_COLOR = "1" } })
    assert.is_nil(bytes:find "\27%[%d*m")
    assert.truthy(bytes:find "\27%[%d+A")
    assert.truthy(terminal.run(script, { env = { NO_COLOR = "" } })
      :find "\27%[32m")
  end)

  local PLAIN = "first: 19.1 MiB\r\nsecond \\x1b[2J: failed\r\n"
  for _, kind in ipairs { "dumb", false } do
    it("writes plain lines with TERM " .. (kind or "unset"), function()
      assert.equal(PLAIN, terminal.run(SCRIPT:format "stderr",
        { env = { TERM = kind } }))
    end)
  end

  it("writes plain lines when stderr is no terminal, but stdout is",
    function()
      assert.equal(PLAIN, terminal.run(SCRIPT:format "stderr",
        { redirect = "2>&1 | cat" }))
    end)

  it("leaves the cursor below what it drew when a script fails", function()
    local bytes = terminal.run [[
      local progress = require "squarecloud.progress"
      local bars <close> = progress.new {}
      bars:add "first"
      local bar = bars:add "second"
      bar(1, 2, 3)
      error "something else"
    ]]
    local lines = lines_of(bytes, 80)
    assert.truthy(lines[1]:find "^first ")
    assert.truthy(lines[2]:find "^second ")
    assert.truthy(lines[3]:find "something else")
  end)
end)
