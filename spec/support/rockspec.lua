--- The two rockspecs: that of a checkout, which is edited by hand except for
-- its lists of files, and that of the release, the same text with a version and
-- an archive's name.  Writes the lists and the release's rockspec when run:
--   lua5.4 spec/support/rockspec.lua

local lfs = require "lfs"

local rockspec = { path = "rockspec/squarecloud-scm-1.rockspec" }

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

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

--- The version, from the one place that says it.
function rockspec.version()
  return (read("csrc/config.h"):match '#define SQ_VERSION "([^"]*)"')
end

--- The path of the release's rockspec.
function rockspec.released_path()
  return ("rockspec/squarecloud-%s-1.rockspec"):format(rockspec.version())
end

--- The text of a checkout's rockspec with the lists as they should be.
function rockspec.text()
  local text = read(rockspec.path)
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

--- The text of the release's rockspec.  `make dist` puts it into the source
-- rock, together with the archive that it names.
function rockspec.released_text()
  local version = rockspec.version()
  local text, count = rockspec.text()
    :gsub('version = "scm%-1"', ('version = "%s-1"'):format(version), 1)
    :gsub("  url = [^\n]*\n", ('  url = "squarecloud-%s.tar.gz",\n')
      :format(version), 1)
  assert(count == 1)
  return text
end

if arg and arg[0] and arg[0]:find "rockspec%.lua$" then
  for path, text in pairs { [rockspec.path] = rockspec.text(),
    [rockspec.released_path()] = rockspec.released_text() } do
    local file <close> = assert(io.open(path, "w"))
    assert(file:write(text))
  end
end

return rockspec
