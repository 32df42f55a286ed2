--- Times that a spec can wait for in place of the minutes that the platform
-- takes: in this process, and in a command's.

local waiting = require "squarecloud.waiting"

local waits = {}

local real = {}
for name, value in pairs(waiting.times) do real[name] = value end

--- Two minutes are `look` seconds now, and so on.
waits.SHORT = { look = 0.4, settle = 0.5, status = 0.1, patience = 20 }

--- Sets them here until `restore`; `more` replaces some.
function waits.shorten(more)
  for _, times in ipairs { waits.SHORT, more or {} } do
    for name, value in pairs(times) do waiting.times[name] = value end
  end
end

function waits.restore()
  for name, value in pairs(real) do waiting.times[name] = value end
end

-- A variable of its own, that wins over the one of the tools that specs run
-- under, which is run, too.
local INIT = [[
local init = os.getenv "LUA_INIT"
if init then
  (init:find "^@" and assert(loadfile(init:sub(2))) or assert(load(init)))()
end
local times = require("squarecloud.waiting").times
]]

--- The variables that set them in a process of lua5.4.
function waits.environment(more)
  local lines = { INIT }
  for _, times in ipairs { waits.SHORT, more or {} } do
    for name, value in pairs(times) do
      lines[#lines + 1] = ("times.%s = %s\n"):format(name, value)
    end
  end
  return { LUA_INIT_5_4 = table.concat(lines) }
end

return waits
