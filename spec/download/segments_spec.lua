--- A download over several connections: the bytes are right, however they are
-- cut; what one connection meets is no concern of the others.

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"

local NAME = "s.bin"
local MIB = 1024 * 1024

describe("a download in segments", function()
  local s, client, folder, running, most

  before_each(function()
    collectgarbage()
    collectgarbage()
    s = server.shared()
    folder = helpers.tmpdir()
    running, most = 0, 0
  end)

  after_each(function()
    client:close()
    helpers.remove(folder.path)
  end)

  local function count(record)
    local step = { request = 1, response = -1, failure = -1 }
    running = running + (step[record.event] or 0)
    most = math.max(most, running)
  end

  -- Downloads `bytes`, checked against what came unless it fails.
  local function fetch(bytes, options, setting)
    setting = setting or {}
    setting.trace = count
    client = helpers.client(s, setting)
    options.url = s:put_file(NAME, bytes)
    options.path = folder.path
    if options.verify == nil then options.verify = false end
    local zip, err = client:download(options)
    if not zip then return nil, err end
    assert.is_true(bytes == helpers.read_file(zip.path))
    assert.same({ NAME .. ".zip" }, helpers.names(folder.path))
    zip:close()
    return true
  end

  -- How many connections there were in all.
  local function connections()
    local seen, all = {}, 0
    for _, one in ipairs(downloads.requests(s)) do
      if not seen[one.connection] then all = all + 1 end
      seen[one.connection] = true
    end
    return all
  end

  local function slow()
    s:fault { fault = "limit_rate", bytes_per_second = 32 * MIB }
  end

  for _, segments in ipairs { 2, 3, 8, 16 } do
    it("has the right bytes with " .. segments, function()
      slow()
      assert(fetch(downloads.lookalike(20), { segments = segments }))
      assert.is_true(connections() > 1)
      assert.is_true(most > 1 and most <= segments, most)
    end)
  end

  it("passes the check of every CRC", function()
    slow()
    assert(fetch(downloads.archive(6 * 1024), { segments = 4,
      verify = "full" }))
    assert.is_true(connections() > 1)
  end)

  it("takes the number from the client, and another from the call",
    function()
      slow()
      assert(fetch(downloads.lookalike(20), {}, { segments = 3 }))
      assert.is_true(connections() > 1)
      client:close()
      helpers.remove(folder .. "/" .. NAME .. ".zip")
      s:reset()
      slow()
      assert(fetch(downloads.lookalike(20), { segments = 1 },
        { segments = 3 }))
      assert.equal(1, #downloads.requests(s))
    end)

  it("uses one connection for a small file", function()
    for _, size in ipairs { 4, 5, 1000, MIB, 2 * MIB - 1 } do
      local bytes = downloads.lookalike(20):sub(1, size)
      assert(fetch(bytes, { segments = 16, overwrite = true }))
      client:close()
    end
    assert.equal(5, #downloads.requests(s))
  end)

  it("asks once for a first range, then for pieces of a MiB at least",
    function()
      slow()
      assert(fetch(downloads.lookalike(20), { segments = 4 }))
      local ranges = downloads.ranges(s)
      assert.equal("bytes=0-", ranges[1])
      for i = 2, #ranges do
        local first, last = ranges[i]:match "^bytes=(%d+)%-(%d+)$"
        assert.is_true(last - first + 1 >= MIB, ranges[i])
      end
    end)

  it("joins pieces of one version of the file only", function()
    slow()
    assert(fetch(downloads.lookalike(20), { segments = 4 }))
    local asked = downloads.requests(s)
    for i = 2, #asked do
      assert.truthy(asked[i].headers["if-range"]:find '^"')
    end
  end)

  it("takes one answer when the server has no ranges", function()
    s:fault { fault = "ignore_range", refuse = true }
    assert(fetch(downloads.lookalike(20), { segments = 8 }))
    assert.equal(1, #downloads.requests(s))
  end)

  it("takes one answer when nobody knows the size", function()
    s:fault { fault = "no_length" }
    s:fault { fault = "ignore_range" }
    assert(fetch(downloads.lookalike(6), { segments = 8 }))
    assert.equal(1, #downloads.requests(s))
  end)

  it("starts over when only the first answer is a range", function()
    slow()
    s:fault { fault = "ignore_range", skip = 1 }
    assert(fetch(downloads.lookalike(20), { segments = 4 }))
    local ranges = downloads.ranges(s)
    assert.equal("", ranges[#ranges])
  end)

  it("starts over when the file changes under way", function()
    slow()
    s:fault { fault = "headers", set = { ETag = '"other"' }, skip = 2,
      times = 1 }
    assert(fetch(downloads.lookalike(20), { segments = 4 }))
    local ranges = downloads.ranges(s)
    assert.equal("", ranges[#ranges])
  end)

  --------------------------------------------------- 32: one of them fails

  it("asks again for the failed range alone", function()
    slow()
    s:fault { fault = "cut", bytes = 100000, skip = 1, times = 1 }
    assert(fetch(downloads.lookalike(20), { segments = 4 }, { retries = 1 }))
    local ranges = downloads.ranges(s)
    local first = tonumber(ranges[2]:match "^bytes=(%d+)")
    local again = 0
    for i = 3, #ranges do
      local at = tonumber(ranges[i]:match "^bytes=(%d+)")
      if at == first + 100000 then again = again + 1 end
      assert.is_true(at ~= first)
    end
    assert.equal(1, again)
  end)

  it("goes on when every one but the first fails once", function()
    slow()
    s:fault { fault = "cut", bytes = 100000, skip = 1, times = 3 }
    assert(fetch(downloads.lookalike(20), { segments = 4 }, { retries = 3 }))
  end)

  it("counts what ends all of them at once as one failure", function()
    s:fault { fault = "stall", bytes = 2 * MIB, times = 4 }
    assert(fetch(downloads.lookalike(20), { segments = 4 },
      { retries = 1, stall_timeout = 1.5 }))
  end)

  it("has its retries after more requests than retries", function()
    slow()
    s:fault { fault = "cut", bytes = 100000, skip = 14, times = 1 }
    assert(fetch(downloads.lookalike(20), { segments = 16 },
      { retries = 1 }))
    assert.is_true(#downloads.requests(s) > 15)
  end)

  for _, fault in ipairs {
    { fault = "store_error" }, { fault = "rate_limited" },
    { fault = "rate_limited", retry_after = 99999999 },
  } do
    local what = fault.fault .. (fault.retry_after and ", for long" or "")
    it("goes on with fewer connections after " .. what, function()
      slow()
      fault.skip, fault.times = 2, 2
      s:fault(fault)
      assert(fetch(downloads.lookalike(20), { segments = 4 },
        { retries = 0 }))
      local refused = 0
      for _, one in ipairs(downloads.requests(s)) do
        if one.status >= 400 then refused = refused + 1 end
      end
      assert.equal(2, refused)
      assert.is_true(most <= 4, most)
    end)
  end

  it("ends when one of them cannot go on; the rest is kept", function()
    s:fault { fault = "stall", bytes = MIB, times = 1 }
    s:fault { fault = "delay", ms = 2000, skip = 1 }
    s:fault { fault = "store_error", status = 403, code = "AccessDenied",
      skip = 1 }
    local ok, err = fetch(downloads.lookalike(20), { segments = 4 })
    assert.is_nil(ok)
    assert.equal("permission", err.kind)
    local part = NAME .. ".zip.part"
    assert.same({ part, part .. ".meta" }, helpers.names(folder.path))
    client:close()
    s:clear_faults()
    client = helpers.client(s)
    local bytes = downloads.lookalike(20)
    local zip <close> = assert(client:download { url = s.http .. "/files/"
      .. NAME, path = folder.path, verify = false, segments = 4 })
    assert.is_true(bytes == helpers.read_file(zip.path))
    local ranges = downloads.ranges(s)
    for i = 3, #ranges do
      assert.truthy(ranges[i]:find "^bytes=[1-9]", ranges[i])
    end
  end)

  it("leaves no connection open after a cancel", function()
    s:fault { fault = "stall", bytes = MIB }
    local ok, err = fetch(downloads.lookalike(20), { segments = 4,
      progress = function(done) return done < 4 * MIB end })
    assert.is_nil(ok)
    assert.equal("cancelled", err.kind)
    s:release()
    downloads.wait(function()
      for _, one in ipairs(downloads.requests(s)) do
        if not one.finished then return false end
      end
      return true
    end, "the end of every request")
  end)
end)
