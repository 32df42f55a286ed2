--- Bytes that a file system failed to keep were called kept: after a failed
-- fdatasync the part was synced once more for its record. A system tells of
-- each loss only once, so that the second sync went well, the record counted
-- bytes that never reached the disk, and the next call gave them their name.

local failing = require "spec.support.failing"

local EIO, ENOSPC = 5, 28

-- Downloads with the first sync of the call failing, then as it should be;
-- prints what is there after each, and what was asked of the store. `cut`:
-- bytes that an earlier call brought, and synced.
local SCRIPT = [[
  local downloads = require "spec.support.downloads"
  local helpers = require "spec.support.helpers"
  local server = require "spec.support.server"
  local errno, cut = ...
  local dir <close> = helpers.tmpdir()
  local s <close> = server.start()
  local bytes = downloads.archive(1024)
  local url = s:put_file("a.zip", bytes)
  local client <close> = helpers.client(s, { retries = 0 })
  local function download()
    local zip, err = client:download { url = url, path = dir.path }
    print(err and err.kind or bytes == helpers.read_file(zip.path),
      table.concat(helpers.names(dir.path), " "))
    if zip then zip:close() end
  end
  if cut then
    s:fault { fault = "cut", bytes = math.tointeger(cut), times = 1 }
    download()
  end
  local _, failed, outcome, err = shim.call("core", "fdatasync", 1, 1,
    math.tointeger(errno), download)
  print(failed, outcome, err)
  download()
  print(table.concat(downloads.ranges(s), " "))
]]

local function run(...)
  local out, code = failing.run(SCRIPT, { ... })
  assert.equal(0, code, out)
  return out
end

describe("a sync that failed", function()
  for name, errno in pairs { EIO = EIO, ENOSPC = ENOSPC } do
    it("with " .. name .. " leaves no part that was never synced", function()
      assert.equal("filesystem\t\n1\tok\tnil\ntrue\ta.zip\n"
        .. "bytes=0- bytes=0-\n", run(tostring(errno)))
    end)

    it("with " .. name .. " leaves what an earlier sync kept", function()
      local part = "a.zip.part a.zip.part.meta"
      local rest = "bytes=400000%-"
      local out = run(tostring(errno), "400000")
      assert.equal("network\t" .. part .. "\nfilesystem\t" .. part
        .. "\n1\tok\tnil\ntrue\ta.zip\n", out:match "^(.-)bytes")
      local _, times = out:gsub(rest, "")
      assert.equal(2, times, out)
    end)
  end
end)
