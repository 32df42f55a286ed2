-- luacheck: std ngx_lua
--- Faults on request: which are armed, which match a request, and how they
-- are run. The faults themselves are in fault_table.lua.
--
-- Armed with { match, fault, times, skip, … }: `match` has any of `method`,
-- `path` (a plain prefix of the path), `pattern` (a Lua pattern on the raw
-- uri), `range` (true: only with a Range header, false: only without, a
-- string: a Range header that starts so). `skip` lets that many matching
-- requests pass first, `times` ends it after so many (absent: never).
-- Faults that match are led through in the order they were armed in.

local table_of_faults = require "fault_table"

local faults = { armed = {} }

local next_id = 0

function faults.arm(spec)
  if not table_of_faults[spec.fault] then
    error("no such fault: " .. tostring(spec.fault), 0)
  end
  next_id = next_id + 1
  spec.id, spec.match = next_id, spec.match or {}
  faults.armed[#faults.armed + 1] = spec
  return next_id
end

function faults.clear()
  faults.armed = {}
end

local function matches(wanted, req)
  local range = req.headers.range
  if wanted.method and wanted.method ~= req.method then return false end
  if wanted.path and req.path:sub(1, #wanted.path) ~= wanted.path then
    return false
  end
  if wanted.pattern and not req.uri:find(wanted.pattern) then return false end
  if wanted.range == true then return range ~= nil end
  if wanted.range == false then return range == nil end
  if wanted.range then
    return range ~= nil and range:sub(1, #wanted.range) == wanted.range
  end
  return true
end

--- The armed faults that this request meets; each is counted as used.
function faults.matching(req)
  local found = {}
  for i = 1, #faults.armed do
    local spec = faults.armed[i]
    local applies = table_of_faults[spec.fault].applies
    if matches(spec.match, req) and (not applies or applies(req, spec)) then
      if (spec.skip or 0) > 0 then
        spec.skip = spec.skip - 1
      elseif not spec.times or spec.times > 0 then
        if spec.times then spec.times = spec.times - 1 end
        found[#found + 1] = spec
      end
    end
  end
  return found
end

--- Leads a request through its faults to the ordinary answer. Returns what is
-- to be sent, or nil when a fault has sent it.
function faults.run(matched, req, ordinary)
  local function step(i)
    local spec = matched[i]
    if not spec then return ordinary(req) end
    table.insert(req.record.faults, spec.fault)
    return table_of_faults[spec.fault].run(req,
      function() return step(i + 1) end, spec)
  end
  return step(1)
end

return faults
