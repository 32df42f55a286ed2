--- The rockspec beside what lies in csrc/ and lua/: reads it, says what its
-- lists should be, and writes them anew when run:
--   lua5.4 spec/support/rockspec.lua

local lfs = require "lfs"

local rockspec = { path = "rockspec/squarecloud-scm-1.rockspec" }

local function walk(dir, add)
  for name in lfs.dir(dir) do
    local path = dir .. "/" .. name
    if name:sub(1, 1) ~= "." then
      if lfs.attributes(path, "mode") == "directory" then
        walk(path, add)
      else
        add(path)
      end
    end
  end
end

local function files(dir, pattern)
  local list = {}
  if lfs.attributes(dir) then
    walk(dir, function(path)
      if path:find(pattern) then list[#list + 1] = path end
    end)
  end
  table.sort(list)
  return list
end

--- The C files of the module, sorted.
function rockspec.sources()
  return files("csrc", "%.c$")
end

--- The Lua modules: [name] = file.
function rockspec.modules()
  local modules = {}
  for _, path in ipairs(files("lua", "%.lua$")) do
    local name = path:match "^lua/(.*)%.lua$":gsub("/init$", "")
    modules[name:gsub("/", ".")] = path
  end
  return modules
end

--- The scripts to be installed as commands, sorted.
function rockspec.commands()
  return files("lua/squarecloud/bin", "")
end

--- A rockspec's fields, as LuaRocks reads them.
function rockspec.load(path)
  local fields = {}
  assert(loadfile(path or rockspec.path, "t", fields))()
  return fields
end

--- The rockspec's text with the lists as they should be.
function rockspec.text()
  local file <close> = assert(io.open(rockspec.path))
  local text = file:read "a"
  local names, modules, sources, commands = {}, {}, {}, {}
  local paths = rockspec.modules()
  for name in pairs(paths) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    modules[i] = ("    [%q] = %q,\n"):format(name, paths[name])
  end
  for i, path in ipairs(rockspec.sources()) do
    sources[i] = ("        %q,\n"):format(path)
  end
  for i, path in ipairs(rockspec.commands()) do
    commands[i] = ("%q"):format(path)
  end
  local install = #commands > 0 and ("  install = { bin = { %s } },\n"):format(
    table.concat(commands, ", ")) or ""
  text = text:gsub("  install = [^\n]*\n", "")
  local head, core, tail = text:match(
    "^(.-)  modules = {\n.-(    %[\"squarecloud%.core\"%] = {\n"
    .. "      sources = {\n).-(      },\n.*)$")
  return head .. install .. "  modules = {\n" .. table.concat(modules) .. core
    .. table.concat(sources) .. tail
end

if arg and arg[0] and arg[0]:find "rockspec%.lua$" then
  local text = rockspec.text()
  local file <close> = assert(io.open(rockspec.path, "w"))
  assert(file:write(text))
end

return rockspec
