--- What a download has brought is on record however its process ends: a
-- Ctrl-C, close and exit stopped the engine before the part's record was
-- written, so that the next call began again; so did a call behind one that
-- ended while all was there and looked at.

local lfs = require "lfs"
local child = require "spec.support.child"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local zips = require "spec.support.zips"

local SCRIPT = [[
local square = require "squarecloud"
local probe = require "process_probe"
local url, base_url, ca_file, dir, way, when = ...
local client = square.Client { api_key = "key", base_url = base_url,
  ca_file = ca_file, proxy = "" }
local function leave(done, total)
  if done == 0 or when == "all" and done ~= total then return end
  if way == "Ctrl-C" then
    probe.alarm(0)
    while true do end
  end
  if way == "exit" then os.exit(0) end
  error "enough"
end
local task = client:spawn(function()
  return client:download { url = url, path = dir, filename = "d.zip",
    progress = leave, verify = "full" }
end)
pcall(task.wait, task)
if way == "close" then client:close() end
os.exit(0, true)
]]

-- At the end the file thread is waited for a fifth of a second: a disk that
-- others keep busy may take longer to sync.
local QUICK = lfs.attributes("/dev/shm", "mode") and "/dev/shm"

-- So many entries that looking at them takes a while.
local SLOW = zips.many(20000, function(i) return "e" .. i, "" end)

describe("a download cut off by the end of its process", function()
  local s, dir
  before_each(function()
    s = server.shared()
    dir = helpers.tmpdir(QUICK)
  end)
  after_each(function() helpers.remove(dir.path) end)

  for _, way in ipairs { "Ctrl-C", "close", "exit", "closing the state" } do
    it("by " .. way .. " is on record", function()
      local url = s:put_file("d.zip", downloads.archive(1024))
      for turn = 1, 8 do
        s:fault { fault = "stall", bytes = 600000 }
        local path = dir .. "/" .. turn
        local _, err = child.run(SCRIPT, { url, s.base_url, s.ca_file, path,
          way })
        assert.equal("", err)
        assert.is_truthy(lfs.attributes(path .. "/d.zip.part", "size"))
        assert.is_truthy(lfs.attributes(path .. "/d.zip.part.meta", "size"))
        s:clear_faults()
        s:release()
      end
    end)

    it("by " .. way .. " while it is checked is all on record", function()
      local client <close> = helpers.client(s)
      local url = s:put_file("d.zip", SLOW)
      local last = ("bytes=%d-%d"):format(#SLOW - 1, #SLOW - 1)
      for turn = 1, 4 do
        local path = dir .. "/" .. turn
        local _, err = child.run(SCRIPT, { url, s.base_url, s.ca_file, path,
          way, "all" })
        assert.equal("", err)
        local before = #downloads.requests(s)
        if not lfs.attributes(path .. "/d.zip") then
          assert(client:download { url = url, path = path }):close()
          -- whether it has changed is asked with one byte
          local asked = downloads.requests(s)
          assert.equal(before + 1, #asked)
          assert.equal(last, asked[#asked].headers.range)
        end
        assert.is_true(SLOW == helpers.read_file(path .. "/d.zip"))
      end
    end)
  end

  it("while it is checked gives way to what is there later", function()
    local client <close> = helpers.client(s)
    local later = zips.flip(SLOW, 12) -- another time, of as many bytes
    for turn = 1, 4 do
      local url = s:put_file("d.zip", SLOW)
      local path = dir .. "/" .. turn
      local _, err = child.run(SCRIPT, { url, s.base_url, s.ca_file, path,
        "exit", "all" })
      assert.equal("", err)
      if not lfs.attributes(path .. "/d.zip") then
        s:put_file("d.zip", later)
        assert(client:download { url = url, path = path,
          verify = false }):close()
        assert.is_true(later == helpers.read_file(path .. "/d.zip"))
      end
    end
  end)

  it("while it is checked asks for nothing where the version is known",
    function()
      local client <close> = helpers.client(s)
      local info = s:add_snapshot { app = s.apps[1], bytes = SLOW }
      for turn = 1, 4 do
        local path = dir .. "/" .. turn
        local _, err = child.run(SCRIPT, { info.url, s.base_url, s.ca_file,
          path, "exit", "all" })
        assert.equal("", err)
        local before = #downloads.requests(s)
        if not lfs.attributes(path .. "/d.zip") then
          assert(client:download { url = info.url, path = path,
            filename = "d.zip" }):close()
          assert.equal(before, #downloads.requests(s))
        end
      end
    end)
end)
