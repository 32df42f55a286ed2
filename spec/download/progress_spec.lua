--- The progress function of a download: when it is called, with what, on which
-- coroutine; how it cancels, what its errors do, what it may not do.

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local socket = require "socket"
local square = require "squarecloud"

local NAME = "p.zip"

describe("the progress function of a download", function()
  local s, client, folder, bytes, url

  setup(function() bytes = downloads.archive(2048) end)

  before_each(function()
    s = server.shared()
    client = helpers.client(s)
    folder = helpers.tmpdir()
    url = s:put_file(NAME, bytes)
  end)

  after_each(function()
    client:close()
    helpers.remove(folder.path)
  end)

  local function download(progress, more)
    local options = { url = url, path = folder.path, progress = progress }
    for name, value in pairs(more or {}) do options[name] = value end
    return client:download(options)
  end

  local function slow(bytes_per_second)
    s:fault { fault = "limit_rate", bytes_per_second = bytes_per_second }
  end

  -- The server sends so many bytes, and the rest when `go` is called.
  local function halfway(count)
    s:fault { fault = "stall", bytes = count, times = 1 }
    local gone = false
    return function()
      if not gone then s:release() end
      gone = true
    end
  end

  local function part_size()
    local part <close> = assert(io.open(folder .. "/" .. NAME .. ".part"))
    return part:seek "end"
  end

  ------------------------------------------------------------- what it gets

  it("is called at the end with all bytes done", function()
    local calls = {}
    local _ <close> = assert(download(function(...)
      calls[#calls + 1] = table.pack(...)
    end))
    local last = calls[#calls]
    assert.equal(3, last.n)
    assert.equal(#bytes, last[1])
    assert.equal(#bytes, last[2])
    assert.equal("integer", math.type(last[1]))
    assert.equal("integer", math.type(last[2]))
    assert.equal("float", math.type(last[3]))
    assert.is_true(last[3] >= 0)
  end)

  it("is called once with everything, at the end", function()
    local whole = 0
    local _ <close> = assert(download(function(done, total)
      if done == total then whole = whole + 1 end
    end))
    assert.equal(1, whole)
  end)

  it("is called before the file has its name", function()
    local names
    local _ <close> = assert(download(function()
      names = helpers.names(folder.path)
    end))
    assert.equal(NAME .. ".part", names[1]) -- and perhaps its record
    assert.same({ NAME }, helpers.names(folder.path))
  end)

  it("is called while bytes come, about ten times a second", function()
    slow(1024 * 1024)
    local calls, before = 0, -1
    local started = socket.gettime()
    local _ <close> = assert(download(function(done, total, rate)
      calls = calls + 1
      assert(done > before and done <= #bytes, "it goes on")
      assert(total == #bytes)
      assert(rate >= 0 and rate < 1 << 40)
      before = done
    end))
    local seconds = socket.gettime() - started
    assert.is_true(calls >= 3, calls)
    assert.is_true(calls <= seconds * 11 + 2, calls)
    assert.equal(#bytes, before)
  end)

  it("tells of bytes that are not on the disk yet", function()
    local go, seen = halfway(1000), nil
    local _ <close> = assert(download(function(done)
      seen = seen or done
      go()
    end))
    assert.equal(1000, seen)
  end)

  it("gets nil for a total that nobody has told", function()
    slow(2 * 1024 * 1024)
    s:fault { fault = "chunked" }
    s:fault { fault = "ignore_range" } -- whose answers tell it, too
    local seen, last
    local _ <close> = assert(download(function(done, total)
      if total == nil then seen = done end
      last = { done, total }
    end))
    assert.same({ #bytes, #bytes }, last)
    assert.is_true(seen < #bytes)
  end)

  it("gets the size of the listing when the store tells none", function()
    s:add_snapshot { app = s.apps[1], bytes = bytes }
    local info = assert(client:all_app_snapshots(s.apps[1]))[1]
    s:fault { fault = "no_length" }
    local totals = {}
    local _ <close> = assert(info:download { path = folder.path,
      segments = 1, progress = function(_, total)
        totals[#totals + 1] = total or "none"
      end })
    for _, total in ipairs(totals) do assert.equal(#bytes, total) end
  end)

  it("starts with what a part has already", function()
    local go, first = halfway(1500 * 1024), nil
    local zip, err = download(function() return false end)
    assert.is_nil(zip)
    assert.equal("cancelled", err.kind)
    local kept = part_size()
    go()
    zip = assert(download(function(done) first = first or done end))
    assert.is_true(first >= kept, first)
    zip:close()
  end)

  it("is called on the coroutine that downloads", function()
    local wanted = coroutine.create(function()
      local me, others = coroutine.running(), 0
      local zip = assert(download(function()
        if coroutine.running() ~= me then others = others + 1 end
      end))
      zip:close()
      return others
    end)
    local ok, others = coroutine.resume(wanted)
    assert.is_true(ok, others)
    assert.equal(0, others)
  end)

  -------------------------------------------------------------- cancelling

  -- The download is cancelled by its progress function, and then completes.
  local function assert_continues(asked)
    local zip <close> = assert(download())
    assert.is_true(bytes == helpers.read_file(zip.path))
    assert.same({ NAME }, helpers.names(folder.path))
    local ranges = downloads.ranges(s)
    assert.equal(asked, #ranges)
    return ranges[#ranges]
  end

  local function assert_cancelled(zip, err)
    assert.is_nil(zip)
    assert.equal("cancelled", err.kind)
    assert.is_false(err.retryable)
    assert.equal("download " .. NAME, err.operation)
    assert.same({ NAME .. ".part", NAME .. ".part.meta" },
      helpers.names(folder.path))
  end

  it("cancels at its first call; the next download goes on", function()
    local go, calls = halfway(300 * 1024), 0
    assert_cancelled(download(function()
      calls = calls + 1
      return false
    end))
    assert.equal(1, calls)
    local kept = part_size()
    assert.is_true(kept > 0)
    go()
    assert.equal(("bytes=%d-%d"):format(kept, #bytes - 1),
      assert_continues(2))
  end)

  it("cancels in the middle; the next download goes on", function()
    local go = halfway(#bytes // 2 + 1)
    assert_cancelled(download(function(done) return done < #bytes // 2 end))
    go()
    local kept = part_size()
    assert.equal(("bytes=%d-%d"):format(kept, #bytes - 1),
      assert_continues(2))
  end)

  it("cancels at the last call; the next download asks for one byte, whether "
    .. "it is the same still", function()
    local last = ("bytes=%d-%d"):format(#bytes - 1, #bytes - 1)
    for _, verify in ipairs { "full", "structure", false } do
      local before = #downloads.requests(s)
      assert_cancelled(download(function(done, total)
        return done ~= total
      end, { verify = verify }))
      assert.equal(last, assert_continues(before + 2))
      helpers.remove(folder .. "/" .. NAME)
    end
  end)

  it("cancels by false alone", function()
    for _, value in ipairs { true, 0, "false", {} } do
      local _ <close> = assert(download(function() return value end,
        { overwrite = true }))
    end
    local _ <close> = assert(download(function() end, { overwrite = true }))
  end)

  it("leaves nothing when the part could not be continued", function()
    s:fault { fault = "ignore_range" }
    local zip, err = download(function() return false end)
    assert.is_nil(zip)
    assert.equal("cancelled", err.kind)
    assert.same({}, helpers.names(folder.path))
  end)

  it("leaves nothing when the next call would not continue", function()
    local zip, err = download(function() return false end, { resume = false })
    assert.is_nil(zip)
    assert.equal("cancelled", err.kind)
    assert.same({}, helpers.names(folder.path))
  end)

  ------------------------------------------------------------------ raising

  it("lets what it raises through, the same object", function()
    for _, object in ipairs { {}, setmetatable({}, { __tostring = error }),
      "text", 7, print } do
      local ok, why = pcall(download, function() error(object, 0) end)
      assert.is_false(ok)
      assert.is_true(rawequal(object, why))
    end
    local ok, why = pcall(download, function() error() end)
    assert.is_false(ok)
    assert.is_nil(why)
  end)

  it("stops the download by raising; the next one goes on", function()
    local go = halfway(600 * 1024)
    assert.has_error(function()
      download(function() error "enough" end)
    end, nil)
    downloads.wait_record(folder .. "/" .. NAME .. ".part")
    go()
    assert.truthy(assert_continues(2):find "^bytes=%d%d%d+%-")
  end)

  it("may not yield", function()
    local co = coroutine.wrap(function()
      return pcall(download, function() coroutine.yield "out" end)
    end)
    local ok, why = co()
    assert.is_false(ok)
    assert.truthy(tostring(why):find("yield", 1, true), why)
    assert.is_false(pcall(download, function() coroutine.yield() end))
  end)

  ------------------------------------------------------- what it may not do

  it("may not call a client, a record or a ZipFile of this state", function()
    local other <close> = helpers.client(s)
    s:add_snapshot { app = s.apps[1], bytes = bytes }
    local info = assert(client:all_app_snapshots(s.apps[1]))[1]
    local whole <close> = assert(client:download { url = url,
      path = folder.path, filename = "other.zip" })
    for name, call in pairs {
      account = function() client:account() end,
      snapshot = function() other:snapshot(s.apps[1]) end,
      list = function() client:all_app_snapshots(s.apps[1]) end,
      download = function() client:download { url = url } end,
      record = function() info:download(folder.path) end,
      restore = function() info:restore() end,
      close = function() client:close() end,
      names = function() whole:names() end,
      test = function() whole:test() end,
      read = function() whole:read "data.txt" end,
      open = function() square.open_zip(whole.path) end,
    } do
      local why
      local _ <close> = assert(download(function()
        local ok
        ok, why = pcall(call)
        assert(not ok, name)
      end, { overwrite = true }), name)
      assert.truthy(tostring(why):find("progress or trace", 1, true),
        name .. ": " .. tostring(why))
    end
  end)

  it("leaves the client usable, whatever it did", function()
    pcall(download, function() error "enough" end)
    assert(client:account())
    local zip <close> = assert(download(function() collectgarbage() end))
    assert.is_true(zip:test())
  end)

  it("may read records, the part and the clock", function()
    local seen
    local _ <close> = assert(download(function()
      seen = { tostring(client), part_size() }
    end))
    assert.truthy(seen[1]:find("squarecloud.Client", 1, true))
    assert.equal(#bytes, seen[2])
  end)
end)
