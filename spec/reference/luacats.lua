--- Reads the definitions (LuaCATS) of a Lua file: classes, aliases, functions,
-- with their texts; and what is wrong with them: an unknown tag or name of a
-- type, a parameter that the function has not, a function without a word.
--
-- A block is a run of lines that begin with "---"; it says of the statement
-- right below it. A line of a block without a tag goes on with the tag above,
-- or is the block's text. A type stands on its tag's own line.

local types = require "spec.reference.types"

local luacats = {}

local function complain(file, line, text, ...)
  file.problems[#file.problems + 1] =
    ("%s:%d: %s"):format(file.path, line, text:format(...))
end

-- Takes a type from the front of a text; the rest.
local function take_type(file, line, text)
  local found, rest, names = types.parse(text)
  if not found then
    complain(file, line, "%s in '%s'", rest, text)
    return "any", ""
  end
  for _, name in ipairs(names) do
    file.used[#file.used + 1] = { name = name, line = line }
  end
  return found, rest
end

-- "name? Type text"
local function read_named(file, tag, what)
  local name, optional, rest = tag.text:match "^([%a_][%w_]*)(%??)%s+(.*)$"
  if not name then
    name, optional, rest = tag.text:match "^(%.%.%.)(%??)%s+(.*)$"
  end
  if not name then
    complain(file, tag.line, "a %s without a name or type: '%s'", what,
      tag.text)
    return nil
  end
  local entry = { name = name, optional = optional == "?", line = tag.line }
  entry.type, entry.text = take_type(file, tag.line, rest)
  return entry
end

local TAGS = {}

function TAGS.meta() end

TAGS["class"] = function(file, tag, into)
  local name, rest = tag.text:match "^([%w_.]+)%s*(.*)$"
  local class = { name = name, line = tag.line, fields = {}, parents = {},
    operators = {}, overloads = {} }
  if rest:sub(1, 1) == ":" then
    local parent, left = take_type(file, tag.line, rest:sub(2))
    class.parents[1] = parent
    if left ~= "" then complain(file, tag.line, "what is '%s'?", left) end
  end
  into.class = class
end

function TAGS.field(file, tag, into)
  local entry = read_named(file, tag, "field")
  if not into.class then
    complain(file, tag.line, "a field of no class")
  elseif entry then
    table.insert(into.class.fields, entry)
  end
end

function TAGS.operator(file, tag, into)
  local name, argument, rest = tag.text:match "^(%l+)(%b())%s*:%s*(.*)$"
  if not name then name, rest = tag.text:match "^(%l+)%s*:%s*(.*)$" end
  if not name or not into.class then
    return complain(file, tag.line, "what is '%s'?", tag.text)
  end
  if argument then take_type(file, tag.line, argument) end
  local entry = { name = name }
  entry.type, entry.text = take_type(file, tag.line, rest)
  table.insert(into.class.operators, entry)
end

function TAGS.overload(file, tag, into)
  local found = take_type(file, tag.line, tag.text)
  if into.class then table.insert(into.class.overloads, found) end
end

function TAGS.alias(file, tag, into)
  local name, rest = tag.text:match "^([%w_.]+)%s*(.*)$"
  into.alias = { name = name, choices = {}, line = tag.line }
  if rest ~= "" then
    into.alias.choices[1] = { type = take_type(file, tag.line, rest) }
  end
end

TAGS["|"] = function(file, tag, into)
  if not into.alias then
    return complain(file, tag.line, "a choice of no alias")
  end
  local entry = {}
  entry.type, entry.text = take_type(file, tag.line, tag.text)
  table.insert(into.alias.choices, entry)
end

function TAGS.param(file, tag, into)
  into.params[#into.params + 1] = read_named(file, tag, "parameter")
end

TAGS["return"] = function(file, tag, into)
  local found, rest = take_type(file, tag.line, tag.text)
  local entry = { type = found }
  entry.name, entry.text = rest:match "^([%a_][%w_]*)%s*(.*)$"
  if not entry.name then
    entry.name, entry.text = rest:match "^(%.%.%.)%s*(.*)$"
  end
  entry.text = entry.text or rest
  table.insert(into.returns, entry)
end

function TAGS.type(file, tag, into)
  into.type, into.text_of_type = take_type(file, tag.line, tag.text)
end

-- A block's lines as { text, tags = { { tag, text, line } } }.
local function read_block(lines)
  local block = { tags = {}, texts = {} }
  for _, one in ipairs(lines) do
    local name, text = one.text:match "^@(%l+)%s*(.*)$"
    if not name then name, text = one.text:match "^(|)%s*(.*)$" end
    local last = block.tags[#block.tags]
    if name then
      table.insert(block.tags, { name = name, text = text, line = one.line })
    elseif last then
      last.text = last.text .. "\n" .. one.text
    else
      table.insert(block.texts, one.text)
    end
  end
  return block
end

local function split(text)
  local names = {}
  for name in text:gmatch "[^%s,]+" do names[#names + 1] = name end
  return names
end

-- The function that a statement defines: its name, its parameters.
local function read_function(statement)
  local name, list = statement:match "^%s*function%s+([%w_.:]+)%s*(%b())"
  if not name then
    name, list = statement:match "^%s*local%s+function%s+([%w_]+)%s*(%b())"
  end
  if not name then return nil end
  return name, split(list:sub(2, -2))
end

local function check_function(file, f)
  if f.text == "" and #f.returns == 0 then
    complain(file, f.line, "%s: not a word about it", f.name)
  end
  if #f.params ~= #f.arguments then
    complain(file, f.line, "%s: %d parameters are told of, it has %d", f.name,
      #f.params, #f.arguments)
  end
  for i, param in ipairs(f.params) do
    if f.arguments[i] ~= param.name then
      complain(file, f.line, "%s: no parameter '%s' in this place", f.name,
        param.name)
    end
  end
end

local function read_statement(file, into, statement, line)
  local name, arguments = read_function(statement)
  if name then
    local f = { name = name, arguments = arguments, params = into.params,
      returns = into.returns, text = into.text, line = line,
      owner = name:match "^([%w_]+)[:.]", is_method = name:find ":" ~= nil,
      short = name:match "[%w_]+$" }
    check_function(file, f)
    file.items[#file.items + 1] = { f = f }
    return
  end
  if into.class then
    into.class.text = into.text
    into.class.variable = statement:match "^%s*local%s+([%w_]+)%s*="
    file.items[#file.items + 1] = { class = into.class }
  elseif into.alias then
    into.alias.text = into.text
    file.items[#file.items + 1] = { alias = into.alias }
  elseif into.type then
    local owner, short = statement:match "^([%w_]+)%.([%w_]+)%s*="
    file.items[#file.items + 1] = { value = { owner = owner, short = short,
      type = into.type, text = into.text_of_type } }
  end
end

local function take_block(file, lines, statement, line)
  local block = read_block(lines)
  local into = { params = {}, returns = {},
    text = table.concat(block.texts, "\n") }
  for _, tag in ipairs(block.tags) do
    if TAGS[tag.name] then
      TAGS[tag.name](file, tag, into)
    else
      complain(file, tag.line, "an unknown tag, @%s", tag.name)
    end
  end
  read_statement(file, into, statement, line)
end

--- Reads a file: { path, is_meta, items, used, problems }. An item has one of
-- `class`, `alias`, `f` (a function), `value`.
function luacats.read(path)
  local file = { path = path, items = {}, used = {}, problems = {} }
  local block, number = {}, 0
  for text in io.lines(path) do
    number = number + 1
    local said = not text:find "^%-%-%-%-" and text:match "^%-%-%-(.*)$"
    if number == 1 then file.is_meta = text:find "^%-%-%-@meta" ~= nil end
    if said then
      block[#block + 1] = { text = said, line = number }
    elseif #block > 0 then
      take_block(file, block, text, number)
      block = {}
    end
  end
  if #block > 0 then take_block(file, block, "", number) end
  return file
end

--- All of some files: { files, classes, aliases by name, problems }.
function luacats.read_all(paths)
  local all = { files = {}, classes = {}, aliases = {}, problems = {} }
  for i, path in ipairs(paths) do
    local file = luacats.read(path)
    all.files[i] = file
    for _, item in ipairs(file.items) do
      local kind = item.class and all.classes or item.alias and all.aliases
      local one = item.class or item.alias
      if kind and (all.classes[one.name] or all.aliases[one.name]) then
        complain(file, one.line, "%s is there twice", one.name)
      elseif kind then
        kind[one.name] = one
      end
    end
  end
  for _, file in ipairs(all.files) do
    for _, use in ipairs(file.used) do
      if not types.BUILTIN[use.name] and not all.classes[use.name]
        and not all.aliases[use.name] then
        complain(file, use.line, "no type '%s'", use.name)
      end
    end
    table.move(file.problems, 1, #file.problems, #all.problems + 1,
      all.problems)
  end
  return all
end

--- A class's fields by name, its parents' too.
function luacats.fields(all, name)
  local class, fields = all.classes[name], {}
  for _, parent in ipairs(class and class.parents or {}) do
    for field, entry in pairs(luacats.fields(all, parent)) do
      fields[field] = entry
    end
  end
  for _, entry in ipairs(class and class.fields or {}) do
    fields[entry.name] = entry
  end
  return fields
end

return luacats
