--- The extension's classes and their methods, read from the registry, so that
-- a spec that goes through all of them misses no new one.

require "squarecloud.core" -- registers them

local classes = {}

--- The classes that have methods: metatables by name without "squarecloud.".
function classes.all()
  local found = {}
  for name, metatable in pairs(debug.getregistry()) do
    local class = type(name) == "string" and name:match "^squarecloud%.(.*)"
    if class and metatable.__index then found[class] = metatable end
  end
  return found
end

--- The methods of a class by name: its __index is a table of them, or a
-- function that has such a table (with its fields' numbers) as an upvalue.
function classes.methods(metatable)
  local index = metatable.__index
  if type(index) == "function" then
    index = select(2, debug.getupvalue(index, 1))
  end
  local methods = {}
  for name, value in pairs(index) do
    if type(value) == "function" then methods[name] = value end
  end
  return methods
end

return classes
