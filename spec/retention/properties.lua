-- What holds for any list and any policy, tried on seeded random ones.

local retention = require "squarecloud.retention"

local ROUNDS = 400
local NOW = 1717200000 -- 2024-06-01T00:00:00Z

-- A generator of our own: the same lists on every machine and run.
local function new_random(seed)
  local state = seed * 2654435761 % (1 << 32) | 1
  return function(low, high)
    state = state ~ state << 13 & 0xffffffff
    state = state ~ state >> 17
    state = state ~ state << 5 & 0xffffffff
    return low + state % (high - low + 1)
  end
end

local COUNTS = { "keep_last", "keep_hourly", "keep_daily", "keep_weekly",
  "keep_monthly", "keep_yearly" }
local WITHINS = { "keep_within", "keep_within_hourly", "keep_within_daily",
  "keep_within_weekly", "keep_within_monthly", "keep_within_yearly" }

local function random_list(random)
  local list = {}
  local span = ({ 3600, 86400, 86400 * 40, 86400 * 1500 })[random(1, 4)]
  for i = 1, random(1, 60) do
    local at = NOW - random(0, span)
    if random(1, 12) == 1 then
      at = NOW + random(1, span)
    end
    list[i] = { id = "id" .. random(1, 3), created_at = at,
      version_id = ("%02d-%d"):format(i, random(0, 999)) }
    if random(1, 4) == 1 then
      list[i].tags = { ({ "a", "b" })[random(1, 2)] }
    end
  end
  return list
end

local function add_rule(policy, random)
  if random(1, 2) == 1 then
    policy[COUNTS[random(1, #COUNTS)]] =
      random(1, 8) == 1 and -1 or random(1, 9)
  else
    policy[WITHINS[random(1, #WITHINS)]] = random(1, 40)
      .. ({ "h", "d", "w", "m" })[random(1, 4)]
  end
end

local function random_policy(random)
  local policy = {}
  for _ = 1, random(1, 4) do
    add_rule(policy, random)
  end
  if random(1, 4) == 1 then
    policy.keep_tags = { { "a" } }
  end
  return policy
end

local function shuffled(list, random)
  local copy = table.move(list, 1, #list, 1, {})
  for i = #copy, 2, -1 do
    local k = random(1, i)
    copy[i], copy[k] = copy[k], copy[i]
  end
  return copy
end

local function as_set(list)
  local set = {}
  for _, element in ipairs(list) do
    set[element] = true
  end
  return set
end

local function same_objects(expected, found)
  assert.equal(#expected, #found)
  for i = 1, #expected do
    assert.is_true(rawequal(expected[i], found[i]))
  end
end

-- Runs `check` on many lists and policies; a failure names its round.
local function each_round(check)
  for round = 1, ROUNDS do
    local random = new_random(round)
    local list, policy = random_list(random), random_policy(random)
    local ok, why = pcall(check, list, policy, random)
    if not ok then
      error(("round %d: %s"):format(round, tostring(why)), 0)
    end
  end
end

describe("for any list and policy", function()
  it("keep and remove are a partition, newest first", function()
    each_round(function(list, policy)
      local keep, remove, reasons = assert(retention.apply(list, policy,
        { now = NOW }))
      assert.equal(#list, #keep + #remove)
      assert.equal(#keep, #reasons)
      local seen = as_set(keep)
      for _, element in ipairs(remove) do
        assert.is_nil(seen[element])
        seen[element] = true
      end
      for _, element in ipairs(list) do
        assert.is_true(seen[element])
      end
      for _, part in ipairs { keep, remove } do
        for i = 2, #part do
          assert.is_true(part[i].created_at <= part[i - 1].created_at)
        end
      end
      for _, texts in ipairs(reasons) do
        assert.is_true(#texts > 0)
      end
    end)
  end)

  it("the order of the input does not matter", function()
    each_round(function(list, policy, random)
      local keep, remove, reasons = assert(retention.apply(list, policy,
        { now = NOW }))
      local again = { assert(retention.apply(shuffled(list, random), policy,
        { now = NOW })) }
      same_objects(keep, again[1])
      same_objects(remove, again[2])
      assert.same(reasons, again[3])
    end)
  end)

  it("a further rule never shrinks keep", function()
    each_round(function(list, policy, random)
      local keep = assert(retention.apply(list, policy, { now = NOW }))
      local wider = {}
      add_rule(wider, random)
      for name, value in pairs(policy) do
        wider[name] = value
      end
      local more = as_set(assert(retention.apply(list, wider,
        { now = NOW })))
      for _, element in ipairs(keep) do
        assert.is_true(more[element])
      end
    end)
  end)

  it("the newest of each group is never removed", function()
    each_round(function(list, policy)
      local keep = as_set(assert(retention.apply(list, policy,
        { now = NOW })))
      local past = retention.between(list, 0, NOW + 1)
      for _, part in ipairs { list, past } do
        for _, newest in pairs(retention.latest_by_id(part)) do
          assert.is_true(keep[newest])
        end
      end
    end)
  end)

  it("groups do not touch each other", function()
    each_round(function(list, policy)
      local keep = as_set(assert(retention.apply(list, policy,
        { now = NOW })))
      for _, group in pairs(retention.group_by(list)) do
        local alone = as_set(assert(retention.apply(group, policy,
          { now = NOW, group_by = false })))
        for _, element in ipairs(group) do
          assert.equal(alone[element], keep[element])
        end
      end
    end)
  end)

  it("inputs are left as they were", function()
    each_round(function(list, policy)
      local function freeze(of)
        return setmetatable({}, { __index = of, __len = function()
          return #of
        end, __newindex = function()
          error("written to")
        end, __pairs = function()
          return next, of
        end })
      end
      local frozen, copy = {}, {}
      for i, element in ipairs(list) do
        frozen[i] = freeze(element)
        copy[i] = frozen[i]
      end
      local before = {}
      for name, value in pairs(policy) do
        before[name] = value
      end
      assert(retention.apply(frozen, policy, { now = NOW }))
      same_objects(copy, frozen)
      assert.same(before, policy)
    end)
  end)

  it("a naive walk over sorted copies agrees", function()
    -- The bucket rules written down once more, in the plainest way.
    local function bucket(name, at)
      return name == "keep_hourly" and at // 3600
        or name == "keep_daily" and os.date("!%Y-%m-%d", at)
        or name == "keep_weekly" and os.date("!%G-%V", at)
        or name == "keep_monthly" and os.date("!%Y-%m", at)
        or name == "keep_yearly" and os.date("!%Y", at) or {}
    end
    each_round(function(list, _, random)
      local name, count = COUNTS[random(1, #COUNTS)], random(1, 12)
      local sorted = table.move(list, 1, #list, 1, {})
      table.sort(sorted, function(a, b)
        if a.created_at ~= b.created_at then
          return a.created_at > b.created_at
        end
        return a.version_id < b.version_id
      end)
      local expected, last, left = {}, nil, count
      for i, element in ipairs(sorted) do
        local this = bucket(name, element.created_at)
        if left > 0 and (this ~= last or i == #sorted) then
          expected[#expected + 1] = element
          last, left = this, left - 1
        end
      end
      local keep = retention.apply(list, { [name] = count },
        { now = NOW, future = "count", group_by = false })
      same_objects(expected, keep)
    end)
  end)
end)
