-- The cases of spec/data/retention.json, whose answers come from restic.

local support = ...
local cjson = require "cjson"
local retention = require "squarecloud.retention"

local function read_vectors()
  local file = assert(io.open(support.data))
  local vectors = cjson.new().decode(file:read("a"))
  file:close()
  return vectors
end

-- The offset that all times of a series carry, or nil when they differ.
local function common_offset(series)
  local common
  for _, at in ipairs(series.snapshots) do
    local sign, hours, minutes = at:match("([+-])(%d%d):(%d%d)$")
    local offset = 0
    if sign then
      offset = (sign == "-" and -1 or 1) * (hours * 3600 + minutes * 60)
    end
    if common and common ~= offset then
      return nil
    end
    common = offset
  end
  return common
end

local function zone_function(transitions)
  return function(epoch)
    local offset = transitions[1][2]
    for _, transition in ipairs(transitions) do
      if transition[1] <= epoch then
        offset = transition[2]
      end
    end
    return offset
  end
end

-- The options of a case, or nil when only restic can run it.
local function options_of(case, series)
  local options = { now = case.now, future = "count", group_by = case.group_by }
  if case.group_by == "none" then
    options.group_by = false
  end
  if case.bucket_zone == "own" then
    options.utc_offset = common_offset(series)
    return options.utc_offset and options
  elseif case.bucket_zone == "fixed" then
    options.utc_offset = case.utc_offset
  elseif case.bucket_zone ~= "utc" then
    options.utc_offset = zone_function(case.zone_transitions)
  end
  return options
end

local function list_of(series)
  local list = {}
  for i, at in ipairs(series.snapshots) do
    list[i] = { id = series.ids and series.ids[i] or "a1", created_at = at,
      tags = series.tags and series.tags[i] }
  end
  return list
end

local function whole(numbers)
  local found = {}
  for i, number in ipairs(numbers) do
    found[i] = math.tointeger(number)
  end
  return found
end

describe("restic's answers", function()
  local vectors = read_vectors()
  local ran, skipped = 0, 0

  for _, case in ipairs(vectors.cases) do
    local series = vectors.series[case.series]
    local options = options_of(case, series)
    if not options then
      skipped = skipped + 1
      pending(case.name .. ": each snapshot in its own zone, restic alone")
    else
      ran = ran + 1
      it(case.name, function()
        local list = list_of(series)
        local keep, remove, reasons = retention.apply(list, case.policy,
          options)
        if case.error then
          assert.is_nil(keep)
          assert.is_string(remove)
          return
        end
        assert.is_table(keep, remove)
        assert.same(whole(case.keep), support.positions(list, keep))
        assert.same(case.reasons, reasons)
        assert.equal(#list, #keep + #remove)
      end)
    end
  end

  it("are 265, of which 252 can be run", function()
    assert.equal(252, ran)
    assert.equal(13, skipped)
  end)
end)
