-- JSON as the command writes it: keys sorted, so that two runs compare;
-- integers as integers whatever their size; an empty list as []. Reading is
-- lua-cjson's, through an instance of our own.

local json = {}

local ARRAY = {}

--- Marks a table as a list, which it stays when it is empty.
function json.array(list)
  return setmetatable(list or {}, ARRAY)
end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b",
  ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

-- A file's name may be any bytes, a JSON text may not.
local function only_utf8(text)
  local parts, from = {}, 1
  while true do
    local length, bad = utf8.len(text, from)
    if length then
      parts[#parts + 1] = text:sub(from)
      return table.concat(parts)
    end
    parts[#parts + 1] = text:sub(from, bad - 1) .. "\u{FFFD}"
    from = bad + 1
  end
end

local function encode_string(text)
  if not utf8.len(text) then text = only_utf8(text) end
  return '"' .. text:gsub('[%c"\\]', function(c)
    return ESCAPES[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local function encode_number(number)
  local whole = math.tointeger(number)
  if whole then return ("%d"):format(whole) end
  if number ~= number or number == math.huge or number == -math.huge then
    return "null"
  end
  for digits = 14, 17 do
    local text = ("%%.%dg"):format(digits):format(number)
    if tonumber(text) == number then return text end
  end
end

local encode

local function encode_table(value)
  local parts = {}
  if getmetatable(value) == ARRAY or #value > 0 then
    for i, one in ipairs(value) do parts[i] = encode(one) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  local names = {}
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    parts[i] = encode_string(name) .. ":" .. encode(value[name])
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- One line of JSON. What JSON does not know (a function) becomes null.
function encode(value)
  local kind = type(value)
  if kind == "table" then return encode_table(value) end
  if kind == "string" then return encode_string(value) end
  if kind == "number" then return encode_number(value) end
  return kind == "boolean" and tostring(value) or "null"
end
json.encode = encode

--- The value of a JSON text, or nil when it is none.
function json.decode(text)
  local ok, value = pcall(require("cjson").new().decode, text)
  if ok then return value end
  return nil
end

return json
