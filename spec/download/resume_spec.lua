--- A download that goes on where an earlier one stopped: after a kill, with
-- whatever lies beside the part, and beside another one for the same file.

local lfs = require "lfs"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local zips = require "spec.support.zips"

local NAME = "b.zip"
local PART = NAME .. ".part"
local META = PART .. ".meta"
local MIB = 1024 * 1024

describe("a download that was stopped", function()
  local s, client, folder

  before_each(function()
    s = server.shared()
    client = helpers.client(s, { retries = 0 })
    folder = helpers.tmpdir()
  end)

  after_each(function()
    client:close()
    helpers.remove(folder.path)
  end)

  local function path(name)
    return folder .. "/" .. name
  end

  local function download(url, more)
    local options = { url = url, path = folder.path, filename = NAME }
    for name, value in pairs(more or {}) do options[name] = value end
    return client:download(options)
  end

  local function assert_whole(bytes, zip, err)
    assert(zip, err)
    zip:close()
    assert.is_true(bytes == helpers.read_file(path(NAME)))
    assert.same({ NAME }, helpers.names(folder.path))
    helpers.remove(path(NAME))
  end

  -- How many bytes the requests from the `from`th on asked for.
  local function asked_for(from, total)
    local sum = 0
    for i, range in ipairs(downloads.ranges(s)) do
      local first, last = range:match "^bytes=(%d+)%-(%d*)$"
      if i >= from then
        sum = sum + (tonumber(last) or total - 1) - tonumber(first) + 1
      end
    end
    return sum
  end

  --------------------------------------------------------------- 25: killed

  -- Kills a download of `bytes` when its server falls silent, and goes on.
  local function kill_and_go_on(bytes, stall, segments)
    local url = s:put_file(NAME, bytes)
    local options = { url = url, path = folder.path, filename = NAME,
      verify = false, segments = segments }
    s:fault { fault = "stall", bytes = stall }
    local process = downloads.start(s, options)
    downloads.wait_record(path(PART))
    process.kill()
    assert.same({ PART, META }, helpers.names(folder.path))
    assert.equal("rw-------", downloads.mode(path(PART)))
    assert.equal("rw-------", downloads.mode(path(META)))
    s:clear_faults()
    local before = #downloads.requests(s)
    assert_whole(bytes, download(url, { verify = false,
      segments = segments }))
    return asked_for(before + 1, #bytes), before
  end

  it("by kill -9 goes on with the range that is missing", function()
    local bytes = downloads.lookalike(20)
    local asked, before = kill_and_go_on(bytes, 10 * MIB)
    assert.is_true(asked <= #bytes - 8 * MIB, asked)
    assert.equal(before + 1, #downloads.requests(s))
    local headers = downloads.requests(s)[before + 1].headers
    assert.truthy(headers["if-range"]:find '^".*"$')
  end)

  it("by kill -9 in segments goes on with the ranges that are missing",
    function()
      local bytes = downloads.lookalike(20)
      local _, before = kill_and_go_on(bytes, 4 * MIB, 4)
      assert.is_true(before > 1)
      for i = before + 1, #downloads.ranges(s) do
        assert.truthy(downloads.ranges(s)[i]:find "^bytes=[1-9]")
      end
    end)

  it("by kill -9 in segments goes on with one connection", function()
    local bytes = downloads.lookalike(20)
    local url = s:put_file(NAME, bytes)
    s:fault { fault = "stall", bytes = 4 * MIB }
    local process = downloads.start(s, { url = url, path = folder.path,
      filename = NAME, verify = false, segments = 4 })
    downloads.wait_record(path(PART))
    process.kill()
    s:clear_faults()
    local before = #downloads.requests(s)
    assert_whole(bytes, download(url, { verify = false }))
    assert.is_true(asked_for(before + 1, #bytes) <= #bytes - 8 * MIB)
  end)

  it("by kill -9 over and over ends well", function()
    local bytes = downloads.lookalike(20)
    local url = s:put_file(NAME, bytes)
    s:fault { fault = "limit_rate", bytes_per_second = 24 * MIB }
    for stop = 1, 4 do
      local process = downloads.start(s, { url = url, path = folder.path,
        filename = NAME, verify = false, segments = stop })
      downloads.wait(function()
        return (lfs.attributes(path(PART), "size") or 0) > stop * 4 * MIB
          or lfs.attributes(path(NAME))
      end, "bytes")
      process.kill()
    end
    s:clear_faults()
    assert_whole(bytes, download(url, { verify = false, overwrite = true }))
  end)

  ------------------------------------------------------- what is continued

  local bytes, first

  setup(function()
    bytes = downloads.archive(256)
    first = 100000
  end)

  -- A part of `first` bytes, and the address of the whole.
  local function leave_part(more)
    local url = s:put_file(NAME, bytes)
    s:fault { fault = "cut", bytes = first, times = 1 }
    local zip, err = download(url, more)
    assert.is_nil(zip)
    assert.equal("network", err.kind)
    assert.same({ PART, META }, helpers.names(folder.path))
    return url
  end

  local REST, LAST

  before_each(function()
    LAST = ("bytes=%d-%d"):format(#bytes - 1, #bytes - 1)
    REST = ("bytes=%d-%d"):format(first, #bytes - 1)
  end)

  it("asks for the rest alone, of this version alone", function()
    local url = leave_part()
    assert_whole(bytes, download(url))
    local asked = downloads.requests(s)
    assert.equal(2, #asked)
    assert.equal(REST, asked[2].headers.range)
    assert.truthy(asked[2].headers["if-range"]:find '^"%x+%-%x+"$')
  end)

  it("keeps no secret beside the part", function()
    local entry = s:add_snapshot { app = s.apps[1], bytes = bytes }
    s:fault { fault = "cut", bytes = first, times = 1 }
    assert.is_nil((download(entry.http_url)))
    local meta = helpers.read_file(path(META))
    assert.is_nil(meta:find("Signature", 1, true))
    assert.is_nil(meta:find("AWSAccessKeyId", 1, true))
    assert.is_nil(meta:find("?", 1, true))
    assert.is_nil(meta:find(s.key, 1, true))
  end)

  it("goes on under another signature", function()
    local entry = s:add_snapshot { app = s.apps[1], bytes = bytes,
      version_id = "v1" }
    s:fault { fault = "cut", bytes = first, times = 1 }
    assert.is_nil((download(entry.http_url)))
    local again = entry.http_url:gsub("versionId=", "x=1&versionId=")
    assert_whole(bytes, download(again))
    assert.equal(REST, downloads.ranges(s)[2])
  end)

  it("goes on from an address to a SnapshotInfo and back", function()
    local entry = s:add_snapshot { app = s.apps[1], bytes = bytes }
    s:fault { fault = "cut", bytes = first, times = 1 }
    assert.is_nil((download(entry.http_url)))
    local info = assert(client:all_app_snapshots(s.apps[1]))[1]
    assert_whole(bytes, info:download { path = folder.path,
      filename = NAME })
    assert.equal(REST, downloads.ranges(s)[2])
  end)

  it("is started over when another version is wanted", function()
    local one = s:add_snapshot { app = s.apps[1], bytes = bytes }
    local two = s:add_snapshot { app = s.apps[1],
      bytes = downloads.archive(300) }
    s:fault { fault = "cut", bytes = first, times = 1 }
    assert.is_nil((download(one.http_url)))
    assert_whole(downloads.archive(300), download(two.http_url))
    assert.same({ "bytes=0-", "bytes=0-" }, downloads.ranges(s))
  end)

  it("is started over when the file has changed", function()
    local url = leave_part()
    for _, other in ipairs { downloads.archive(300), downloads.archive(8),
      zips.sample "stored" } do
      s:put_file(NAME, other)
      assert_whole(other, download(url))
      leave_part()
    end
  end)

  it("is started over when told", function()
    local url = leave_part()
    assert_whole(bytes, download(url, { resume = false }))
    assert.same({ "bytes=0-", "bytes=0-" }, downloads.ranges(s))
  end)

  it("is started over when the listing says another size", function()
    local entry = s:add_snapshot { app = s.apps[1], bytes = bytes,
      version_id = "v1" }
    s:fault { fault = "cut", bytes = first, times = 1 }
    assert.is_nil((download(entry.http_url)))
    local other = downloads.archive(300)
    s:remove_snapshots { app = s.apps[1] }
    s:add_snapshot { app = s.apps[1], bytes = other, version_id = "v1" }
    local info = assert(client:all_app_snapshots(s.apps[1]))[1]
    assert_whole(other, info:download { path = folder.path,
      filename = NAME })
  end)

  it("leaves nothing when it was told not to go on later", function()
    local url = s:put_file(NAME, bytes)
    s:fault { fault = "cut", bytes = first, times = 1 }
    local zip, err = download(url, { resume = false })
    assert.is_nil(zip)
    assert.equal("network", err.kind)
    assert.same({}, helpers.names(folder.path))
  end)

  it("leaves nothing when the store names no strong version", function()
    for _, etag in ipairs { 'W/"weak"', "none", '"cut', false } do
      local url = s:put_file(NAME, bytes)
      s:fault { fault = "cut", bytes = first, times = 1 }
      s:fault { fault = "headers", set = { ETag = etag or nil },
        remove = etag and {} or { "ETag" } }
      local zip, err = download(url)
      assert.is_nil(zip)
      assert.equal("network", err.kind)
      assert.same({}, helpers.names(folder.path), etag)
      s:clear_faults()
    end
  end)

  it("keeps the part through failures, and ends well", function()
    local url = leave_part()
    for _, fault in ipairs {
      { fault = "reset" }, { fault = "store_error" },
      { fault = "rate_limited", retry_after = 1000 }, { fault = "expired" },
      { fault = "store_error", status = 403, code = "AccessDenied" },
      { fault = "redirect", to = "other_host", times = 1 },
    } do
      s:fault(fault)
      if fault.fault == "redirect" then break end
      assert.is_nil((download(url)))
      assert.same({ PART, META }, helpers.names(folder.path), fault.fault)
      s:clear_faults()
    end
    assert_whole(bytes, download(url))
    local ranges = downloads.ranges(s)
    assert.equal(REST, ranges[#ranges])
  end)

  it("asks for one byte, whether it is the same, when all of it is there",
    function()
    local url = s:put_file(NAME, bytes)
    local zip, err = download(url, { progress = function(done, total)
      return done ~= total
    end })
    assert.is_nil(zip)
    assert.equal("cancelled", err.kind)
    assert_whole(bytes, download(url))
    assert.same({ "bytes=0-", LAST }, downloads.ranges(s))
  end)

  it("fetches no byte twice within a call", function()
    local url = s:put_file(NAME, bytes)
    client:close()
    client = helpers.client(s, { retries = 3 })
    s:fault { fault = "cut", bytes = 90000, times = 2 }
    assert_whole(bytes, download(url))
    local function from(at) return ("bytes=%d-%d"):format(at, #bytes - 1) end
    assert.same({ "bytes=0-", from(90000), from(180000) },
      downloads.ranges(s))
  end)

  it("counts anew after a MiB, and no more than ten times", function()
    local large = downloads.lookalike(20)
    local url = s:put_file(NAME, large)
    client:close()
    client = helpers.client(s, { retries = 1 })
    s:fault { fault = "cut", bytes = 3 * MIB }
    assert_whole(large, download(url, { verify = false }))
    assert.equal(7, #downloads.requests(s))
    s:clear_faults()
    s:fault { fault = "cut", bytes = 3 * MIB // 2 }
    local before = #downloads.requests(s)
    local zip, err = download(url, { verify = false })
    assert.is_nil(zip)
    assert.equal("network", err.kind)
    assert.equal(before + 10, #downloads.requests(s))
    assert.equal(15 * MIB, lfs.attributes(path(PART), "size"))
  end)

  ---------------------------------------------------- 33: the file is broken

  it("is tried once more from the start when the ZIP is broken", function()
    local whole, map = zips.build { { name = "a.txt", data = "some text" } }
    client:close()
    client = helpers.client(s, { retries = 1 })
    local url = s:put_file(NAME, whole)
    s:fault { fault = "body", body = zips.flip(whole, map[1].data),
      times = 1 }
    assert_whole(whole, download(url))
    assert.same({ "bytes=0-", "" }, downloads.ranges(s))
    s:fault { fault = "body", body = zips.flip(whole, map[1].data) }
    local before = #downloads.requests(s)
    local zip, err = download(url)
    assert.is_nil(zip)
    assert.equal("integrity", err.kind)
    assert.truthy(err.message:find("a.txt", 1, true), err.message)
    assert.truthy(err.message:find(path(NAME), 1, true), err.message)
    assert.equal(before + 2, #downloads.requests(s))
    assert.same({}, helpers.names(folder.path))
  end)

  it("is tried from the start when a part turns out to be wrong", function()
    local url = leave_part()
    local part = helpers.read_file(path(PART))
    helpers.write_file(path(PART), zips.flip(part, 50000))
    client:close()
    client = helpers.client(s, { retries = 1 })
    assert_whole(bytes, download(url))
    assert.same({ "bytes=0-", REST, "" }, downloads.ranges(s))
  end)

  ------------------------------------------------- 26: what lies beside it

  it("is started over when its record is not whole", function()
    local url = leave_part()
    local meta = helpers.read_file(path(META))
    local part = helpers.read_file(path(PART))
    local contents = { "", "\0", "squarecloud part 1\n", meta .. "x",
      meta .. meta, meta:gsub("part 1", "part 2"), meta:upper(),
      (meta:gsub("piece %d+ %d+", "piece 0 0")), ("x"):rep(100000) }
    for at = 0, #meta - 1, 7 do contents[#contents + 1] = meta:sub(1, at) end
    for at = 0, #meta - 1, 13 do
      contents[#contents + 1] = zips.flip(meta, at, 1)
    end
    for i, content in ipairs(contents) do
      helpers.write_file(path(META), content)
      helpers.write_file(path(PART), part)
      local before = #downloads.requests(s)
      assert_whole(bytes, download(url))
      assert.equal("bytes=0-", downloads.ranges(s)[before + 1], i)
    end
  end)

  it("is started over without a record", function()
    local url = leave_part()
    os.remove(path(META))
    assert_whole(bytes, download(url))
    assert.same({ "bytes=0-", "bytes=0-" }, downloads.ranges(s))
  end)

  it("is started over when the part is shorter than its record says",
    function()
      for _, size in ipairs { 0, 1, first - 1 } do
        local url = leave_part()
        local part = helpers.read_file(path(PART))
        helpers.write_file(path(PART), part:sub(1, size))
        local before = #downloads.requests(s)
        assert_whole(bytes, download(url))
        assert.equal("bytes=0-", downloads.ranges(s)[before + 1])
      end
    end)

  it("goes on when the part is longer than its record says", function()
    local url = leave_part()
    local part = helpers.read_file(path(PART))
    helpers.write_file(path(PART), part .. ("x"):rep(1000000))
    assert_whole(bytes, download(url))
    assert.equal(REST, downloads.ranges(s)[2])
  end)

  it("is started over when the part is gone and the record is not",
    function()
      local url = leave_part()
      os.remove(path(PART))
      assert_whole(bytes, download(url))
      assert.same({ "bytes=0-", "bytes=0-" }, downloads.ranges(s))
    end)

  it("is started over when only a foreign part is there", function()
    helpers.write_file(path(PART), ("not ours "):rep(100000))
    local url = s:put_file(NAME, bytes)
    assert_whole(bytes, download(url))
    assert.same({ "bytes=0-" }, downloads.ranges(s))
  end)

  ------------------------------------------------- 24, 27: somebody else

  it("does not replace a file that has appeared in the meantime", function()
    local url = s:put_file(NAME, bytes)
    local zip, err = download(url, { progress = function()
      helpers.write_file(path(NAME), "theirs")
    end })
    assert.is_nil(zip)
    assert.equal("exists", err.kind)
    assert.truthy(err.message:find(path(NAME), 1, true), err.message)
    assert.equal("theirs", helpers.read_file(path(NAME)))
    assert.same({ NAME, PART, META }, helpers.names(folder.path))
    os.remove(path(NAME))
    assert_whole(bytes, download(url))
    assert.same({ "bytes=0-", LAST }, downloads.ranges(s))
  end)

  it("fails when somebody takes its part away", function()
    local url = s:put_file(NAME, bytes)
    local zip, err = download(url, { progress = function()
      os.remove(path(PART))
      helpers.write_file(path(PART), "theirs")
    end })
    assert.is_nil(zip)
    assert.equal("filesystem", err.kind)
    assert.is_nil(lfs.attributes(path(NAME)))
    assert.equal("theirs", helpers.read_file(path(PART)))
  end)

  local function assert_taken(url)
    local before = #downloads.requests(s)
    local zip, err = download(url)
    assert.is_nil(zip)
    assert.equal("filesystem", err.kind)
    assert.truthy(err.message:find("is being downloaded", 1, true))
    assert.truthy(err.message:find(path(NAME), 1, true))
    assert.equal(before, #downloads.requests(s))
  end

  it("keeps off a file that another process downloads", function()
    local url = s:put_file(NAME, bytes)
    s:fault { fault = "stall", bytes = first, times = 1 }
    local process = downloads.start(s, { url = url, path = folder.path,
      filename = NAME })
    s:wait_requests { pattern = "^/files/" }
    assert_taken(url)
    assert_taken(url)
    s:release()
    assert.equal(("done\t%s\n"):format(path(NAME)), process.wait())
    assert.is_true(bytes == helpers.read_file(path(NAME)))
    assert.same({ NAME }, helpers.names(folder.path))
  end)

  it("lets one of several processes through", function()
    local url = s:put_file(NAME, bytes)
    s:fault { fault = "delay", ms = 300 }
    local processes, done = {}, 0
    for i = 1, 4 do
      processes[i] = downloads.start(s, { url = url, path = folder.path,
        filename = NAME })
    end
    for i = 1, 4 do
      local said = processes[i].wait()
      if said:find "^done" then
        done = done + 1
      else
        assert.truthy(said:find "^filesystem.*is being downloaded"
          or said:find "^exists", said)
      end
    end
    assert.equal(1, done)
    assert_whole(bytes, { close = function() end })
  end)

  it("shares a folder with another name", function()
    local url = s:put_file(NAME, bytes)
    s:fault { fault = "stall", bytes = first, times = 1 }
    local process = downloads.start(s, { url = url, path = folder.path,
      filename = "other.zip" })
    s:wait_requests { pattern = "^/files/" }
    assert(download(url)):close()
    s:release()
    assert.truthy(process.wait():find "^done")
    assert.same({ NAME, "other.zip" }, helpers.names(folder.path))
  end)
end)
