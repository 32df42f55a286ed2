--- A terminal: a Lua script run on a real one (util-linux's `script`), and a
-- screen that understands what was written to it.
--
--   local bytes = terminal.run(script, { columns = 60 })
--   local screen = terminal.screen(60, 24)
--   screen:feed(bytes)
--   screen:lines()   --> { "one", "two" }, scrolled-off ones first

local quote = require("spec.support.quote").shell

local terminal = {}

--- Runs a script whose stdin, stdout and stderr are a terminal.
-- @param setting columns (80), rows (24), env (variables beside TERM=xterm;
-- false unsets one), redirect (a shell's, as "2>/dev/null")
-- @return all that was written to the terminal
function terminal.run(script, setting)
  setting = setting or {}
  local file = os.tmpname()
  local out <close> = assert(io.open(file, "wb"))
  assert(out:write(script))
  out:close()
  local variables = { TERM = "xterm", LUA_PATH = package.path,
    LUA_CPATH = package.cpath, NO_COLOR = false, COLUMNS = false }
  for name, value in pairs(setting.env or {}) do variables[name] = value end
  local unset, set = {}, {}
  for name, value in pairs(variables) do
    if value then
      set[#set + 1] = quote(name .. "=" .. value)
    else
      unset[#unset + 1] = "-u " .. name
    end
  end
  local inner = ("stty cols %d rows %d; exec env %s %s lua5.4 %s %s"):format(
    setting.columns or 80, setting.rows or 24, table.concat(unset, " "),
    table.concat(set, " "), quote(file), setting.redirect or "")
  local pipe = assert(io.popen(("script -qec %s /dev/null </dev/null"):format(
    quote(inner)), "r"))
  local bytes = pipe:read "a"
  pipe:close()
  os.remove(file)
  return bytes
end

local Screen = {}
Screen.__index = Screen

--- A screen; `width` may be a function that gives a text's columns.
function terminal.screen(columns, rows, width)
  return setmetatable({ columns = columns, rows = rows, cells = { {} },
    row = 1, column = 1, wraps = true, overflows = 0,
    width = width or function() return 1 end }, Screen)
end

local function put(self, character)
  local width = self.width(character)
  if self.column + width - 1 > self.columns then
    self.overflows = self.overflows + 1
    if not self.wraps then return end
    self.row, self.column = self.row + 1, 1
    self.cells[self.row] = self.cells[self.row] or {}
  end
  local line = self.cells[self.row]
  if width == 0 then
    local before = math.max(self.column - 1, 1)
    line[before] = (line[before] or "") .. character
    return
  end
  line[self.column] = character
  for i = 1, width - 1 do line[self.column + i] = "" end
  self.column = self.column + width
end

-- What a terminal can still reach: the last `rows` lines.
local function top(self)
  return math.max(#self.cells - self.rows + 1, 1)
end

local ACTIONS = {
  A = function(self, n)
    self.row = math.max(self.row - math.max(n, 1), top(self))
  end,
  K = function(self)
    for i = self.column, self.columns do self.cells[self.row][i] = nil end
  end,
  J = function(self)
    for i = self.column, self.columns do self.cells[self.row][i] = nil end
    for row = self.row + 1, #self.cells do self.cells[row] = {} end
  end,
  m = function() end,
}

local function sequence(self, mark, argument, name)
  if mark == "?" and argument == "7" then
    self.wraps = name == "h"
  elseif ACTIONS[name] and mark == "" then
    ACTIONS[name](self, tonumber(argument) or 0)
  else
    error("a sequence the screen does not know: " .. mark .. argument .. name)
  end
end

--- Takes what was written; raises for an escape sequence it does not know.
-- Lone line feeds are taken as a terminal shows them: with a return.
function Screen:feed(bytes)
  local at = 1
  while at <= #bytes do
    local mark, argument, name = bytes:match("^\27%[(%??)([%d;]*)(%a)", at)
    if name then
      sequence(self, mark, argument, name)
      at = at + 2 + #mark + #argument + 1
    else
      local character = bytes:match("^[\1-\127\194-\244][\128-\191]*", at)
      at = at + #character
      if character == "\r" then
        self.column = 1
      elseif character == "\n" then
        self.row, self.column = self.row + 1, 1
        self.cells[self.row] = self.cells[self.row] or {}
      elseif character == "\t" then
        self.column = math.min(self.column + 8 - (self.column - 1) % 8,
          self.columns)
      elseif character:find "%c" then
        error(("a control character: %q"):format(character))
      else
        put(self, character)
      end
    end
  end
end

--- The lines from the first that was ever written, blanks at their ends
-- removed, empty ones at the end left out.
function Screen:lines()
  local lines = {}
  for row, cells in ipairs(self.cells) do
    local line = {}
    for i = 1, self.columns do line[i] = cells[i] or " " end
    lines[row] = table.concat(line):gsub(" +$", "")
  end
  while lines[#lines] == "" do lines[#lines] = nil end
  return lines
end

return terminal
