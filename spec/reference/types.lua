--- Types as LuaCATS writes them: "fun(a: string, b?: integer): boolean?",
-- "{ [string]: X }[]", "\"a\"|\"b\"", "table<string, X>". Debian has no
-- language server to ask, so this is a parser of our own: it refuses what it
-- does not know, and tells which names a type uses.

local types = {}

-- What LuaCATS has by itself.
types.BUILTIN = {}
for name in ([[any nil boolean true false string number integer function table
  thread userdata lightuserdata unknown self]]):gmatch "%S+" do
  types.BUILTIN[name] = true
end

local parse_union

-- A reader over a text: `at` is where it is.
local Reader = {}
Reader.__index = Reader

-- What matches here, behind spaces; nil, and no step, when nothing does.
function Reader:take(pattern)
  local from, to, found = self.text:find("^%s*(" .. pattern .. ")", self.at)
  if from then self.at = to + 1 end
  return found
end

function Reader:want(pattern, what)
  local found = self:take(pattern)
  if not found then
    error({ ("expected %s at '%s'"):format(what,
      self.text:sub(self.at)) }, 0)
  end
  return found
end

local function parse_arguments(reader)
  if reader:take "%)" then return end
  repeat
    if not reader:take "%.%.%." then
      reader:want("[%a_][%w_]*", "a parameter's name")
      reader:take "%?"
    end
    if reader:take ":" then parse_union(reader) end
  until not reader:take ","
  reader:want("%)", ")")
end

local function parse_table(reader)
  if reader:take "}" then return end
  repeat
    if reader:take "%[" then
      parse_union(reader)
      reader:want("%]", "]")
    else
      reader:want("[%a_][%w_]*", "a field's name")
      reader:take "%?"
    end
    reader:want(":", ":")
    parse_union(reader)
  until not reader:take ","
  reader:want("}", "}")
end

local function parse_one(reader)
  if reader:take '"[^"]*"' or reader:take "%-?%d+" then
    return
  elseif reader:take "{" then
    return parse_table(reader)
  elseif reader:take "%(" then
    parse_union(reader)
    return reader:want("%)", ")")
  end
  local name = reader:want("[%a_][%w_.]*", "a type")
  if name == "fun" and reader:take "%(" then
    parse_arguments(reader)
    if reader:take ":" then
      repeat parse_union(reader) until not reader:take ","
    end
    return
  end
  reader.names[#reader.names + 1] = name
  if reader:take "<" then
    repeat parse_union(reader) until not reader:take ","
    reader:want(">", ">")
  end
end

function parse_union(reader)
  repeat
    parse_one(reader)
    -- these follow at once: a space ends the type
    while reader.text:find("^%[%]", reader.at)
      or reader.text:find("^%?", reader.at) do
      reader.at = reader.at + (reader.text:sub(reader.at, reader.at) == "?"
        and 1 or 2)
    end
  until not reader:take "|"
end

--- Parses the type that a text begins with.
-- @return the type's text, what comes behind it, the names that it uses; or
-- nil and what is wrong
function types.parse(text)
  local reader = setmetatable({ text = text, at = 1, names = {} }, Reader)
  local ok, why = pcall(parse_union, reader)
  if not ok then
    if type(why) ~= "table" then error(why, 0) end
    return nil, why[1]
  end
  local function trim(piece) return (piece:gsub("^%s+", "")) end
  return trim(text:sub(1, reader.at - 1)), trim(text:sub(reader.at)),
    reader.names
end

return types
