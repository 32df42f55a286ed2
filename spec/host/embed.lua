-- Writes the module's Lua files as C, to stdout: an array of `struct embedded`
-- (host.h). Run in the folder that has lua/.

local modules = require "spec.support.rockspec".modules()

local names = {}
for name in pairs(modules) do
  -- definitions for editors are for nobody to run
  if not name:find "%.library%." then names[#names + 1] = name end
end
table.sort(names)

-- A line as a C string; `?` too is escaped, for the sake of trigraphs.
local function quote(line)
  return '  "' .. line:gsub("[^%w !#-/:->@%[%]^_`{-~]", function(c)
    return ("\\%03o"):format(c:byte())
  end) .. '"\n'
end

print '/* made by embed.lua */\n#include "host.h"\n'
for i, name in ipairs(names) do
  local file <close> = assert(io.open(modules[name], "rb"))
  local lines = {}
  for line in file:lines "L" do lines[#lines + 1] = quote(line) end
  print(("static const char text_%d[] =\n%s;"):format(i, table.concat(lines)))
end
print "\nconst struct embedded embedded[] = {"
for i, name in ipairs(names) do
  print(("  {%q, \"=%s\", text_%d, sizeof text_%d - 1},"):format(name,
    modules[name], i, i))
end
print "  {NULL, NULL, NULL, 0},\n};"
