-- What the module needs around it, and what it takes for a snapshot.

local support = ...
local retention = require "squarecloud.retention"

-- Loads the module anew into an environment with nothing but the base
-- functions and string, table and math.
local function load_bare()
  local loaded = {}
  local env = { assert = assert, error = error, getmetatable = getmetatable,
    ipairs = ipairs, next = next, pairs = pairs, select = select,
    setmetatable = setmetatable, tonumber = tonumber, tostring = tostring,
    type = type, string = string, table = table, math = math }
  function env.require(name)
    if not loaded[name] then
      local path = assert(package.searchpath(name, package.path))
      loaded[name] = assert(loadfile(path, "t", env))(name)
    end
    return loaded[name]
  end
  return env.require "squarecloud.retention", env
end

describe("a state without os and io", function()
  it("will do where now is given", function()
    local bare = load_bare()
    local keep = assert(bare.apply(support.days(3), { keep_last = 2 },
      { now = support.NOW }))
    assert.equal(2, #keep)
    assert.equal(16, bare.daily_quota(2048))
    assert.equal(3, #bare.newer_than(support.days(3), "40d",
      { now = support.NOW }))
    assert.is_table((bare.latest(support.days(3))))
  end)

  it("raises where it is not", function()
    local bare = load_bare()
    for _, name in ipairs { "apply", "expired" } do
      local ok, why = pcall(bare[name], {}, name == "apply"
        and { keep_last = 1 } or nil)
      assert.is_false(ok)
      assert.matches("now must be given: this Lua state has no os.time", why)
    end
  end)

  it("gets no globals from it", function()
    local _, env = load_bare()
    local count = 0
    for _ in pairs(env) do
      count = count + 1
    end
    assert.equal(15, count)
  end)
end)

describe("now", function()
  it("is os.time() when not given", function()
    local at = os.time()
    local snapshots = { { id = "a1", created_at = at - 7200 },
      { id = "a1", created_at = at - 60 },
      { id = "a1", created_at = at + 3600 } }
    local keep, _, reasons = retention.apply(snapshots, { keep_last = 1 })
    assert.same({ 3, 2 }, support.positions(snapshots, keep))
    assert.same({ { "in the future" }, { "last snapshot" } }, reasons)
    assert.same({ 2, 3 }, support.positions(snapshots,
      retention.newer_than(snapshots, "1h")))
  end)

  it("may be a time in either form", function()
    for _, now in ipairs { 1717200000, 1717200000.0,
      "2024-06-01T00:00:00Z", "2024-05-31T21:00:00-03:00" } do
      local keep = retention.apply(support.list("2024-05-31T23:59:59Z",
        "2024-06-01T00:00:01Z"), { keep_last = 1 }, { now = now })
      assert.equal(2, #keep)
    end
  end)
end)

describe("an element", function()
  it("need only be indexed: objects, entries and tables mix", function()
    local function object(fields)
      return setmetatable({}, { __index = fields, __newindex = error })
    end
    local snapshots = {
      object { id = "a1", created_at = "2024-05-29T00:00:00.000Z",
        version_id = "v1" },
      { id = "a1", created_at = 1717027200.0, version_id = "v2" },
      support.snapshot("2024-05-31", { version_id = "v3" }),
    }
    assert.same({ 3, 2 }, (support.apply(snapshots, { keep_last = 2 })))
  end)

  it("may be a userdata", function()
    -- Files are the only userdata at hand; for a while they have fields.
    local files = { assert(io.tmpfile()), assert(io.tmpfile()) }
    local fields = { [files[1]] = "2024-05-30T00:00:00Z",
      [files[2]] = "2024-05-31T00:00:00Z" }
    local meta = getmetatable(files[1])
    local methods = meta.__index
    meta.__index = function(file, name)
      if fields[file] then
        return name == "id" and "a1" or name == "created_at" and fields[file]
          or name == "bytes" and 7 or nil
      end
      return methods[name]
    end
    local ok, keep, remove = pcall(retention.apply, files, { keep_last = 1 },
      { now = support.NOW })
    local size = retention.total_size(files)
    meta.__index = methods
    assert.is_true(ok, keep)
    assert.equal(files[2], keep[1])
    assert.equal(files[1], remove[1])
    assert.equal(14, size)
    for _, file in ipairs(files) do
      file:close()
    end
  end)

  it("keeps the objects' identity", function()
    local snapshots = support.days(3)
    local keep, remove = retention.apply(snapshots, { keep_last = 1 },
      { now = support.NOW })
    assert.equal(snapshots[3], keep[1])
    assert.equal(snapshots[2], remove[1])
  end)
end)

describe("a long list", function()
  it("is judged alike whether sorted, reversed or neither", function()
    local sorted, reversed, mixed = {}, {}, {}
    local count = 3000
    for i = 1, count do
      sorted[i] = { id = "a1", created_at = 1717200000 - i * 977 }
    end
    for i = 1, count do
      reversed[i] = sorted[count + 1 - i]
      mixed[i] = sorted[i * 1009 % count + 1]
    end
    local policy = { keep_hourly = 20, keep_daily = 9, keep_weekly = -1 }
    local keep, remove = retention.apply(sorted, policy,
      { now = support.NOW })
    for _, other in ipairs { reversed, mixed } do
      local keep_too, remove_too = retention.apply(other, policy,
        { now = support.NOW })
      assert.same(support.positions(sorted, keep),
        support.positions(sorted, keep_too))
      assert.same(support.positions(sorted, remove),
        support.positions(sorted, remove_too))
    end
  end)
end)
