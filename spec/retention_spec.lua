-- Specs of squarecloud.retention. The parts lie in spec/retention/, one file
-- for each side of the contract, and are run from here.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"

local support = dofile(here .. "retention/support.lua")
support.data = here .. "data/retention.json"

for _, part in ipairs { "vectors", "time", "rules", "deviations", "messages",
  "filters", "limits", "properties", "surroundings" } do
  local define = assert(loadfile(here .. "retention/" .. part .. ".lua", "t",
    _ENV))
  define(support)
end
