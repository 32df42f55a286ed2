--- A Lua script in a process of its own, with this one's module paths: for
-- what a process prints, how it ends, and what its environment does to it.

local quote = require("spec.support.quote").shell
local times = require "spec.support.times"

local child = {}

local function write_file(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

--- Runs `script` with `arguments` (strings, its `...`).
-- @param environment variables to set, or nil
-- @param before a command of the shell's that runs it: "ulimit -n 256;"
-- @return what it wrote to stdout, what to stderr, its exit code
function child.run(script, arguments, environment, before)
  local base = os.tmpname()
  local names = { base, base .. ".out", base .. ".err" }
  local words = { "env", "LUA_PATH=" .. package.path,
    "LUA_CPATH=" .. package.cpath, "LUA_INIT=" .. times.lua_init() }
  for name, value in pairs(environment or {}) do
    words[#words + 1] = name .. "=" .. value
  end
  words[#words + 1] = "lua5.4"
  words[#words + 1] = base
  for _, word in ipairs(arguments or {}) do words[#words + 1] = word end
  for i, word in ipairs(words) do words[i] = quote(word) end
  write_file(base, script)
  local _, _, code = os.execute(("%s %s >%s 2>%s </dev/null"):format(
    before or "", table.concat(words, " "), names[2], names[3]))
  local out, err = read_file(names[2]), read_file(names[3])
  for _, name in ipairs(names) do os.remove(name) end
  return out, err, code
end

return child
