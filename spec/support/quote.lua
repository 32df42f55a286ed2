--- Text that says a value to another program: a word of the shell's, Lua.

local quote = {}

--- A text, or what tostring makes of a value, as one word of a shell's line.
function quote.shell(value)
  return "'" .. tostring(value):gsub("'", "'\\''") .. "'"
end

--- A value as Lua source; a table by its contents.
function quote.lua(value)
  if type(value) ~= "table" then return ("%q"):format(value) end
  local parts = {}
  for name, one in pairs(value) do
    parts[#parts + 1] = ("[%q]=%s"):format(name, quote.lua(one))
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

return quote
