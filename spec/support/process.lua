--- A process beside the spec, as a child of this one: its number, its end, and
-- what it leaves. Forgotten by a spec that failed, it is killed, and its files
-- are removed, when it is collected or the Lua state closed.

local process = {}

--- Starts a process.
-- @param line of the shell's, which ends in an `exec`
-- @param files paths to be removed at its end
-- @param result what wait() gives of (what it wrote to stdout, "exit" or
-- "signal", which); all that without it
-- @return { pid, wait() (the result), kill() (SIGKILL, and its result) }
function process.start(line, files, result)
  local pipe = assert(io.popen("echo $$; " .. line, "r"))
  local self = { pid = pipe:read "n" }

  local function clean(...)
    for _, path in pairs(files) do os.remove(path) end
    return ...
  end

  function self.wait()
    local out = pipe:read("a"):gsub("^\n", "")
    local _, how, code = pipe:close()
    self.ended = true
    if result then return clean(result(out, how, code)) end
    return clean(out, how, code)
  end

  function self.kill()
    os.execute("kill -KILL " .. self.pid)
    return self.wait()
  end

  -- not waited for, it still has its number
  return setmetatable(self, { __gc = function()
    if not self.ended then self.kill() end
  end })
end

return process
