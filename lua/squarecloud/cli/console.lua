-- What the command says, and where: data on stdout, messages on stderr, a
-- question on the terminal. Every write is checked: a full disk behind stdout
-- is an error, a reader that has gone away a quiet end.

local json = require "squarecloud.cli.json"

local console = {}
local Console = { __name = "squarecloud.cli.Console" }
Console.__index = Console

local EPIPE = 32

local COLOURS = { bold = "\27[1m", dim = "\27[2m", red = "\27[31m",
  yellow = "\27[33m" }
local PLAIN = "\27[0m"

--- What is raised when stdout takes no more: { broken = message or false }.
local Broken = { __tostring = function(self)
  return self.broken or "stdout was closed"
end }

local function broken_by(ok, why, errno)
  if ok then return nil end
  return setmetatable({ broken = errno ~= EPIPE and why }, Broken)
end

local function check(...)
  local broken = broken_by(...)
  if broken then error(broken, 0) end
end

--- Text fit for a terminal: control characters, and bytes that are no UTF-8,
-- as \xHH.
console.show = require("squarecloud.progress.text").escape

-- The core is loaded only when a terminal is asked about.
local function is_terminal(number)
  return require("squarecloud.core").posix.terminal_size(number) ~= nil
end

--- @param options json, quiet, verbose, no_color
function console.new(options)
  return setmetatable({ json = options.json, quiet = options.quiet,
    verbose = options.verbose, no_color = options.no_color }, Console)
end

--- Whether stdin (0), stdout (1) or stderr (2) is a terminal.
function Console.is_terminal(_, number) return is_terminal(number) end

-- Colours on stdout (1) or stderr (2).
function Console:has_colours(number)
  local no_color, term = os.getenv "NO_COLOR", os.getenv "TERM"
  if self.no_color or no_color and no_color ~= "" or term == "dumb" then
    return false
  end
  return is_terminal(number)
end

local function paint(self, number, colour, text)
  if not self:has_colours(number) then return text end
  return COLOURS[colour] .. text .. PLAIN
end

--- Text in a colour, when stdout shows colours.
function Console:paint(colour, text)
  return paint(self, 1, colour, text)
end

--- Writes data, as it is.
function Console.write(_, text)
  check(io.stdout:write(text))
end

--- A line of data for people; nothing with --json.
function Console:line(...)
  if not self.json then self:write(string.format(...) .. "\n") end
end

--- A JSON document or line; nothing without --json.
function Console:document(value)
  if not self.json then return end
  self:write(json.encode(value) .. "\n")
  self:flush()
end

--- Raises for what a warning could not flush, too: that is lost by then.
function Console:flush()
  if self.broken then error(self.broken, 0) end
  check(io.stdout:flush())
end

--- A message for people, which --quiet leaves out.
function Console:note(...)
  if self.quiet then return end
  self:flush()
  io.stderr:write(string.format(...), "\n")
end

--- A message that is always shown, whatever becomes of stdout.
function Console:warn(...)
  self.broken = self.broken or broken_by(io.stdout:flush())
  io.stderr:write(paint(self, 2, "red", "squaresnap:"), " ",
    string.format(...), "\n")
end

-- Says something while a request or a transfer is under way: above its bars.
local function say_meanwhile(self, text)
  if self.bars then return self.bars:print(text) end
  io.stderr:write(text, "\n")
end

--- A message for people like `note`'s, while something is under way.
function Console:aside(...)
  if not self.quiet then say_meanwhile(self, string.format(...)) end
end

--- A detail, for --verbose.
function Console:detail(...)
  if not self.verbose then return end
  say_meanwhile(self, self.bars and string.format(...)
    or paint(self, 2, "dim", string.format(...)))
end

--- Asks on the terminal, and waits for a line; nil at its end.
function Console:ask(...)
  self:flush()
  io.stderr:write(string.format(...), " ")
  local answer, posix = "", require("squarecloud.core").posix
  -- what follows an end without a line, or a Ctrl-C, begins a line of its own
  local _ <close> = setmetatable({}, { __close = function()
    if not answer:find "\n" then io.stderr:write "\n" end
  end })
  while not answer:find "\n" do
    local some = posix.read_some(0, 250)
    if some == nil or some == "" then return nil end
    answer = answer .. (some or "")
  end
  return answer:match "^[^\n]*"
end

return console
