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

local function check(ok, why, errno)
  if ok then return end
  error(setmetatable({ broken = errno ~= EPIPE and why }, Broken), 0)
end

local function escape(bytes)
  return (bytes:gsub(".", function(c) return ("\\x%02x"):format(c:byte()) end))
end

-- What moves a cursor, breaks a line or turns the direction of writing round.
local function is_control(code)
  return code < 0x20 or code >= 0x7f and code < 0xa0 or code == 0x200e
    or code == 0x200f or code >= 0x2028 and code <= 0x202e
    or code >= 0x2066 and code <= 0x2069
end

--- Text fit for a terminal: control characters, and bytes that are no UTF-8,
-- as \xHH.
function console.show(text)
  text = tostring(text)
  if not utf8.len(text) then return (text:gsub("[%c\x80-\xff]", escape)) end
  return (text:gsub(utf8.charpattern, function(c)
    return is_control(utf8.codepoint(c)) and escape(c) or nil
  end))
end

-- Which of stdin, stdout and stderr are terminals: one shell for all three.
local terminals
local function is_terminal(number)
  if not terminals then
    local _, _, code = os.execute("c=0; for f in 0 1 2; do "
      .. "test -t $f && c=$((c | 1 << f)); done; exit $c")
    terminals = math.type(code) == "integer" and code or 0
  end
  return terminals >> number & 1 == 1
end

--- @param options json, quiet, verbose, no_color
function console.new(options)
  return setmetatable({ json = options.json, quiet = options.quiet,
    verbose = options.verbose, no_color = options.no_color }, Console)
end

function Console:is_terminal(number) return is_terminal(number) end

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
function Console:write(text)
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

function Console:flush()
  check(io.stdout:flush())
end

--- A message for people, which --quiet leaves out.
function Console:note(...)
  if self.quiet then return end
  self:flush()
  io.stderr:write(string.format(...), "\n")
end

--- A message that is always shown.
function Console:warn(...)
  io.stdout:flush()
  io.stderr:write(paint(self, 2, "red", "squaresnap:"), " ",
    string.format(...), "\n")
end

--- A detail, for --verbose.
function Console:detail(...)
  if self.verbose then
    io.stderr:write(paint(self, 2, "dim", string.format(...)), "\n")
  end
end

--- Asks on the terminal, and waits for a line; nil at its end. The shell
-- reads: it dies of a Ctrl-C, while a read of ours would sleep on.
function Console:ask(...)
  self:flush()
  io.stderr:write(string.format(...), " ")
  local pipe = io.popen("IFS= read -r line && printf %s \"$line\"", "r")
  local line = pipe and pipe:read "a"
  local answered = pipe and pipe:close()
  if not answered then io.stderr:write "\n" end
  return answered and line or nil
end

return console
