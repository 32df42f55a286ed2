--- A mirror whose processes are killed: at any call that changes the disk, at
-- random moments, while others wait for it. What is listed is always whole,
-- and the next run ends as if nothing had happened.

local lfs = require "lfs"
local socket = require "socket"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local mirrors = require "spec.support.mirrors"
local server = require "spec.support.server"
local square = require "squarecloud"

local DAY = mirrors.DAY

describe("a mirror", function()
  local s, client, folder, app, now

  before_each(function()
    s = server.shared()
    client = helpers.client(s)
    folder = helpers.tmpdir()
    app = s.apps[1]
    now = os.time() // DAY * DAY
  end)

  after_each(function()
    client:close()
    helpers.remove(folder.path)
  end)

  local function add(days, bytes)
    s:add_snapshot { app = app, bytes = bytes, modified = now - days * DAY,
      version_id = ("version-%02d"):format(days) }
    return bytes
  end

  -- What is listed is whole; nothing is to be reported. Gives how many.
  local function check(m, expected)
    local entries, problems = assert(m:list())
    assert.same({}, problems)
    for _, entry in ipairs(entries) do
      local days = math.tointeger(tonumber(entry.version_id:match "%d+"))
      assert.is_true(expected[days] == helpers.read_file(entry.path),
        entry.path)
    end
    return #entries
  end

  -- All is there, and nothing beside it.
  local function check_end(m, expected, count)
    assert.equal(count, check(m, expected))
    assert.equal(2 * count, #helpers.names(m.dir .. "/app/" .. app))
  end

  it("ends with the right files when a sync was killed at any call",
    function()
      local expected = {}
      for days = 1, 2 do expected[days] = add(days, mirrors.archive(days)) end
      local options = { apps = { app }, concurrency = 1 }
      local at, ended = 0
      repeat
        at = at + 1
        local out
        local m <close> = assert(square.mirror.open(folder .. "/" .. at))
        out, ended = mirrors.start(s, m.dir, { options = options,
          die_at = at }).wait()
        assert.is_true(ended or out == "", out)
        check(m, expected)
        local results = assert(m:sync(client, options))
        assert.equal(0, results.failed, at)
        check_end(m, expected, 2)
      until ended
      assert.is_true(at > 6)
    end)

  it("ends with the right files when a prune was killed at any call",
    function()
      local at, ended = 0
      repeat
        at = at + 1
        local out
        local m <close> = assert(square.mirror.open(folder .. "/" .. at))
        local expected = {}
        for days = 0, 3 do
          expected[days] = mirrors.archive("version-" .. days)
          mirrors.put(m.dir, { id = app, at = now - days * DAY,
            version = "version-" .. days })
        end
        out, ended = mirrors.start(nil, m.dir, { policy = { keep_last = 2 },
          die_at = at }).wait()
        assert.is_true(ended or out == "", out)
        local left = check(m, expected)
        assert.is_true(left >= 2)
        assert.equal(left - 2, assert(m:prune { keep_last = 2 }).removed)
        assert.same({ "version-1", "version-0" },
          mirrors.versions((m:list())))
      until ended
      assert.is_true(at > 3)
    end)

  it("ends with the right files when syncs were killed at random moments",
    function()
      local random = 20240627
      local expected = {}
      for days = 1, 6 do
        expected[days] = add(days, downloads.archive(300 + days))
      end
      local m <close> = assert(square.mirror.open(folder .. "/mirror"))
      local options = { apps = { app }, concurrency = 3 }
      s:configure { limit_rate = 600000 }
      local kills, left = 0, 6
      while left > 0 and kills < 8 do
        local process = mirrors.start(s, m.dir, { options = options })
        random = random * 1103515245 + 12345 & 0x7fffffff
        socket.sleep(0.03 + random % 1000 / 2000)
        process.kill()
        kills = kills + 1
        left = 6 - check(m, expected)
      end
      s:configure { limit_rate = 0 }
      local results = assert(m:sync(client, options))
      assert.equal(0, results.failed)
      check_end(m, expected, 6)
      assert.equal(6, assert(m:verify()).ok)
      assert.equal(0, #assert(m:sync(client, options)))
    end)

  it("goes on with what a killed sync had fetched", function()
    local bytes = add(1, downloads.archive(9 * 1024))
    local m <close> = assert(square.mirror.open(folder .. "/mirror"))
    s:fault { fault = "stall", bytes = 8.5 * 1024 * 1024,
      match = { pattern = "versionId" } }
    local process = mirrors.start(s, m.dir, { options = { apps = { app } } })
    local path
    downloads.wait(function()
      local folder_path = m.dir .. "/app/" .. app
      for _, name in ipairs(lfs.attributes(folder_path)
        and helpers.names(folder_path) or {}) do
        path = name:find "%.zip%.part%.meta$" and folder_path .. "/" .. name
          or path
      end
      return path
    end, "a part with a record")
    process.kill()
    s:clear_faults()
    assert.same({ {}, {} }, { m:list() })
    assert.equal(1, assert(m:sync(client, { apps = { app } })).downloaded)
    assert.equal(1, check(m, { bytes }))
    local ranges = downloads.ranges(s)
    local from = math.tointeger(tonumber(ranges[#ranges]:match "=(%d+)-"))
    assert.is_true(from >= 1024 * 1024, ranges[#ranges])
  end)

  it("is changed by one process at a time, and by the next when that is "
    .. "killed", function()
    add(1, mirrors.archive(1))
    add(2, mirrors.archive(2))
    s:fault { fault = "stall", match = { pattern = "versionId" } }
    local m <close> = assert(square.mirror.open(folder .. "/mirror"))
    local process = mirrors.start(s, m.dir, { options = { apps = { app } } })
    s:wait_requests({ pattern = "versionId" }, 2)
    for _, call in ipairs { { "sync", client, { apps = { app } } },
      { "prune", { keep_last = 1 } }, { "verify", { set_aside = true } },
      { "adopt", m.dir .. "/app/" .. app .. "/x_20240627T062342Z.zip" } } do
      local none, err = m[call[1]](m, table.unpack(call, 2))
      assert.is_nil(none)
      assert.equal("filesystem", err.kind)
      assert.truthy(err.message:find "changed by another process")
    end
    assert.same({ {}, {} }, { m:list() })
    assert(m:prune({ keep_last = 1 }, { dry_run = true }))
    local unlocked <close> = assert(square.mirror.open { dir = m.dir,
      lock = false })
    assert(unlocked:prune { keep_last = 1 })
    process.kill()
    s:clear_faults()
    assert.equal(2, assert(m:sync(client, { apps = { app } })).downloaded)
  end)

  it("takes no lock that a script of ours did not give back for taken",
    function()
      local dir = folder .. "/mirror"
      for _ = 1, 3 do
        local m <close> = assert(square.mirror.open(dir))
        for _ = 1, 3 do assert(m:prune { keep_last = 1 }) end
      end
      local out, ok = mirrors.start(nil, dir, { policy = { keep_last = 1 } })
        .wait()
      assert.same({ "", true }, { out, ok })
    end)
end)
