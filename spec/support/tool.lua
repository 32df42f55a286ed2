--- What the specs are run under, if anything (under.sh says it in SPEC_TOOL):
-- what cannot be asked there, each with its reason; how many times over is
-- enough, and how long things take there.

local tool = { name = os.getenv "SPEC_TOOL" }

local OWN = "its own memory would be measured"

-- What a spec asks for, and who does not give it, for which reason.
local CANNOT = {
  ["threads in a forked child"] = {
    tsan = "it dies of a thread whose id one of the parent's had",
  },
  ["a missing TMPDIR"] = { valgrind = "it wants one itself" },
  ["the memory used"] = { asan = OWN, tsan = OWN, valgrind = OWN },
}

--- The reason why `what` cannot be asked here; nil: it can.
function tool.cannot(what)
  local reasons = CANNOT[what] or error("unknown: " .. what, 2)
  local reason = reasons[tool.name]
  return reason and ("under %s: %s"):format(tool.name, reason)
end

-- Of what is done many times over, for the sake of a rare moment.
local SHARE = { tsan = 0.25, valgrind = 0.05, asan = 0.5, always = 0.25 }

--- Of `n` times over, those that are enough here.
function tool.times(n)
  return math.ceil(n * (SHARE[tool.name] or 1))
end

-- How much longer what is computed takes.
local SLOWER = { asan = 5, tsan = 20, valgrind = 50, always = 20 }

--- A bound of `seconds` for what is computed, as it is here.
function tool.seconds(seconds)
  return seconds * (SLOWER[tool.name] or 1)
end

return tool
