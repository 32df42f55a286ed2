-- squarecloud.progress: the bar that scripts and the command share. This file
-- owns what is on the screen; progress/text.lua makes the lines.
--
--   local bars <close> = square.progress.new {}
--   local bar = bars:add "1d2cdc0d"
--   local zip, err = info:download { progress = bar }
--   bar:finish(zip ~= nil)
--
-- On a terminal: one line for each transfer under way, redrawn in place; what
-- is finished scrolls up. Elsewhere, or with TERM=dumb: whole lines, few. Only
-- one of these should draw on a terminal at a time; what else is to be said
-- meanwhile goes through `print`.
--
-- Where a stream takes no more (a file that is closed; false, or nil and why,
-- from write or flush) it falls silent. What these raise, it raises.

local posix = require("squarecloud.core").posix
local text = require "squarecloud.progress.text"

local format = string.format

local PLAIN_SECONDS = 5 -- at least so long between two plain lines …
local PLAIN_STEP = 0.1 -- … and so much done
local PLAIN_LONGEST = 60 -- but then one anyway
local DRAWS_A_SECOND = 20

local WRAP_OFF, WRAP_ON = "\27[?7l", "\27[?7h"
local CLEAR_LINE, CLEAR_BELOW = "\27[K", "\27[J"

---One transfer. It can be passed as a download's progress function: it is
---called with done, total, bytes_per_second.
---@class squarecloud.progress.Bar
---@overload fun(done: integer, total: integer?, bytes_per_second: number?)
local bar_methods = {}

local Bar = { __name = "squarecloud.progress.Bar", __index = bar_methods }

---@class squarecloud.progress.Options
---@field stream? { write: function, flush?: function } default io.stderr. If
---either returns false, or nil and a reason, nothing more is written; what it
---raises is raised
---@field tty? boolean whether it is a terminal; detected for io.stderr and
---io.stdout, else false
---@field width? integer columns; detected by default
---@field color? boolean default true on a terminal without NO_COLOR
---@field total? boolean|string one line for all transfers, with this label
---@field clock? fun(): number seconds; default os.time

---Bars for several transfers. Must be closed.
---@class squarecloud.Progress
local methods = {}

local Progress = { __name = "squarecloud.Progress", __index = methods }

----------------------------------------------------------------- the terminal

-- Rows and columns of the terminal that is written to (what is neither stderr
-- nor stdout is taken to end up where stderr does), 0 for what it does not
-- tell; nil when there is none.
local function ask_size(stream)
  return posix.terminal_size(stream == io.stdout and 1 or 2)
end

local function is_terminal(stream)
  local term = os.getenv "TERM"
  return (stream == io.stderr or stream == io.stdout) and term and term ~= ""
    and ask_size(stream) ~= nil
end

local function or_default(value, default)
  value = math.tointeger(value)
  return value and value > 0 and value or default
end

-- Looks at the size again: it may change at any moment.
local function measure(self)
  local rows, columns
  if not self.given_width then
    rows, columns = ask_size(self.stream)
  end
  self.rows = or_default(rows, 24)
  self.width = self.given_width or or_default(columns,
    or_default(tonumber(os.getenv "COLUMNS"), 80))
end

-- Hosts take io away from the scripts that they run.
local type_of_file = io and io.type or function() end

-- Whether write or flush, which returned these, did not fail: what a script
-- puts in a file's place may return nothing.
local function is_taken(ok, why)
  return ok or ok == nil and why == nil
end

local function write(self, bytes)
  local stream = self.stream
  if self.dead or bytes == "" or type_of_file(stream) == "closed file" then
    return
  end
  self.dead = not (is_taken(stream:write(bytes))
    and (not stream.flush or is_taken(stream:flush())))
end

-------------------------------------------------------------------- the state

-- All transfers as one.
local function sum_up(self)
  local done, total, rate = self.done, self.done, 0
  for _, bar in ipairs(self.bars) do
    done = done + (bar.state.done or 0)
    total = total and bar.state.total and total + bar.state.total
    rate = rate + (bar.state.rate or 0)
  end
  local count = self.count + #self.bars
  return { label = format("%s %d/%d", self.total_label, self.count,
    math.max(self.expected_count or count, count)), done = done,
    total = self.expected_bytes or total, rate = rate }
end

-- The lines of the transfers under way, as they are to stand now.
local function live_lines(self)
  local bars, columns = self.bars, self.width - 1
  local options = { color = self.color, label_width = 0 }
  local states = {}
  if not self.total then
    for i = 1, math.min(#bars, math.max(self.rows - 2, 1)) do
      states[i] = bars[i].state
    end
  end
  if #bars > 0 and (self.total or #states < #bars
    or (self.expected_count or 0) > 1) then
    states[#states + 1] = sum_up(self)
  end
  local lines = {}
  for _, state in ipairs(states) do
    options.label_width = math.max(options.label_width,
      text.width(state.label))
  end
  for i, state in ipairs(states) do
    lines[i] = text.render(state, columns, options)
  end
  return lines
end

-- Draws the live lines anew, below `above` (a line that stays) if given.
local function draw(self, above)
  measure(self)
  local lines = live_lines(self)
  local block = table.concat(lines, CLEAR_LINE .. "\n")
  if not above and block == self.block then
    return
  end
  local up = self.drawn > 1 and format("\27[%dA", self.drawn - 1) or ""
  write(self, WRAP_OFF .. "\r" .. up
    .. (above and above .. CLEAR_LINE .. "\n" or "")
    .. block .. CLEAR_BELOW .. WRAP_ON)
  self.drawn, self.block = #lines, block
end

-- Writes a line that stays.
local function say(self, line)
  if self.ansi then
    if not self.width then measure(self) end -- said before the first bar
    draw(self, text.cut(line, self.width - 1))
  else
    write(self, line .. "\n")
  end
end

-- Whether there is time to draw: once a round of all transfers, and not too
-- often a second, however often a script says where it is.
local function may_draw(self, bar)
  if not bar.told then
    bar.told = true
    return false
  end
  local second = math.floor(self.clock())
  if second ~= self.second then
    self.second, self.draws = second, 0
  end
  self.draws = self.draws + 1
  if self.draws > DRAWS_A_SECOND then
    return false
  end
  for _, other in ipairs(self.bars) do
    other.told = other == bar
  end
  return true
end

-- Says a plain line when enough is done since the last, and some time over.
local function tell(self, log, state)
  local now, done, total = self.clock(), state.done or 0, state.total
  log.at = math.min(log.at, now) -- the clock may be set back
  local waited = now - log.at
  local is_far = not total
    or done - log.done >= math.max(PLAIN_STEP * total, 1)
  if waited >= PLAIN_SECONDS and is_far or waited >= PLAIN_LONGEST then
    log.at, log.done = now, done
    write(self, text.plain(state) .. "\n")
  end
end

-------------------------------------------------------------------- transfers

-- Where a transfer is: what a download calls its progress function with.
function Bar.__call(bar, done, total, rate)
  local self, state = bar.owner, bar.state
  if bar.finished or self.closed then
    return
  end
  state.done, state.total, state.rate = done, total, rate
  if not self.ansi then
    if self.total then
      tell(self, self.log, sum_up(self))
    else
      tell(self, bar.log, state)
    end
  elseif may_draw(self, bar) then
    draw(self)
  end
end

---Ends a transfer and writes its last line.
---@param outcome? string|boolean what to say; true or nil: how much and how
---long; false: that it failed
function bar_methods:finish(outcome)
  local owner, state = self.owner, self.state
  if self.finished or owner.closed then
    return
  end
  self.finished = true
  for i, bar in ipairs(owner.bars) do
    if bar == self then
      table.remove(owner.bars, i)
      break
    end
  end
  owner.count = owner.count + 1
  owner.done = owner.done + (state.done or 0)
  state.text = outcome == false and "failed" or type(outcome) == "string"
    and text.escape(outcome)
  local is_well = not state.text
  state.text = state.text
    or text.summary(state.done, owner.clock() - self.begun)
  if not (owner.total and is_well) then
    say(owner, (owner.ansi and text.render or text.plain)(state,
      owner.ansi and owner.width - 1))
  elseif owner.ansi then
    draw(owner)
  end
end

---Adds a transfer.
---@param label string shown with its control characters escaped
---@return squarecloud.progress.Bar bar
function methods:add(label)
  if self.closed then
    error("the progress is closed", 2)
  elseif type(label) ~= "string" then
    error("add: the label must be a string, got " .. type(label), 2)
  end
  local now = self.clock()
  local bar = setmetatable({ owner = self, begun = now,
    state = { label = text.escape(label) }, log = { at = now, done = 0 } },
    Bar)
  self.bars[#self.bars + 1] = bar
  if self.ansi then
    draw(self)
  end
  return bar
end

---Sets how much there will be in all, for the line of the total.
---@param count integer transfers
---@param bytes? integer
function methods:expect(count, bytes)
  self.expected_count, self.expected_bytes = count, bytes
end

---Writes a line above those that are redrawn.
---@param line string
function methods:print(line)
  if not self.closed then
    say(self, text.escape(line))
  end
end

---Ends it: the lines of unfinished transfers stay as they are.
function methods:close()
  if self.closed then
    return
  end
  if self.total and self.count + #self.bars > 0 then
    local state = sum_up(self)
    state.text = text.summary(state.done, self.clock() - self.begun)
    self.bars = {}
    say(self, (self.ansi and text.render or text.plain)(state,
      self.ansi and self.width - 1))
  elseif self.ansi and self.drawn > 0 then
    draw(self)
    write(self, "\n")
  end
  self.closed = true
end

Progress.__close = methods.close

local KNOWN = { stream = true, tty = "boolean", width = "number",
  color = "boolean", total = true, clock = "function" }

local function check(options)
  if type(options) ~= "table" then
    error("new: expected a table of options, got " .. type(options), 3)
  end
  for name, value in pairs(options) do
    local kind = KNOWN[name]
    if not kind then
      error(format("new: unknown option '%s' (known: clock, color, stream, "
        .. "total, tty, width)", text.escape(name)), 3)
    elseif kind ~= true and type(value) ~= kind then
      error(format("new: option '%s' must be a %s, got %s", name, kind,
        type(value)), 3)
    end
  end
  if options.total and options.total ~= true
    and type(options.total) ~= "string" then
    error("new: option 'total' must be a label or true", 3)
  end
  local width = options.width
  if width and not (math.tointeger(width) and width >= 1) then
    error("new: option 'width' must be a whole number, 1 or more", 3)
  end
end

---Bars on a terminal; elsewhere, or with TERM=dumb, a few plain lines.
---@param options? squarecloud.progress.Options
---@return squarecloud.Progress progress must be closed
local function new(options)
  options = options or {}
  check(options)
  local self = setmetatable({ stream = options.stream or io.stderr,
    clock = options.clock or os.time, bars = {}, drawn = 0, count = 0,
    done = 0, draws = 0, total = options.total or false,
    given_width = math.tointeger(options.width) }, Progress)
  self.total_label = type(options.total) == "string"
    and text.escape(options.total) or "total"
  self.begun = self.clock()
  self.log = { at = self.begun, done = 0 }
  local tty = options.tty
  if tty == nil then
    tty = is_terminal(self.stream)
  end
  self.ansi = tty and os.getenv "TERM" ~= "dumb"
  local no_color = os.getenv "NO_COLOR"
  self.color = options.color
  if self.color == nil then
    self.color = self.ansi and (no_color == nil or no_color == "")
  end
  return self
end

---@class squarecloud.progress
local progress = {
  new = new,
  format_bytes = text.format_bytes,
  format_duration = text.format_duration,
  escape = text.escape,
  width = text.width,
  cut = text.cut,
  render = text.render,
  plain = text.plain,
  summary = text.summary,
}

return progress
