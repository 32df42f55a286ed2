-- make demo: the main job from end to end, against the test server on this
-- machine: create a snapshot, list, download, check, restore, compare.

local square = require "squarecloud"
package.path = "./?.lua;" .. package.path
local server = require "spec.support.server"
local socket = require "socket"

local bold, dim, green, plain = "\27[1m", "\27[2m", "\27[32m", "\27[0m"
if os.getenv "NO_COLOR" or os.getenv "TERM" == "dumb"
  or not os.execute "test -t 1" then
  bold, dim, green, plain = "", "", "", ""
end

local function run(command)
  local pipe = assert(io.popen(command))
  local out = pipe:read "a"
  assert(pipe:close(), command)
  return out
end

-- What a folder holds, as one line a file: for comparing.
local function fingerprint(dir)
  return run("cd '" .. dir .. "' && find . -type f -exec cksum {} + | sort")
end

-- Nothing of `before` is missing in the archive, nothing else is in it, and
-- all has its size.
local function compare_sizes(zip, before)
  local sizes, files = {}, 0
  for bytes, name in before:gmatch "%d+ (%d+) %./([^\n]+)" do
    sizes[name] = math.tointeger(bytes)
  end
  for name, entry in zip:entries() do
    if not entry.directory then
      assert(sizes[name] == entry.bytes, name .. " is not as it went in")
      sizes[name], files = nil, files + 1
    end
  end
  assert(not next(sizes), tostring(next(sizes)) .. " is not in the archive")
  return files
end

-- How many bytes the files have, each the same as in the folder.
local function compare_bytes(zip, folder)
  local total = 0
  for name, entry in zip:entries() do
    if not entry.directory then
      local file <close> = assert(io.open(folder .. "/" .. name, "rb"))
      assert(zip:read(name) == file:read "a", name .. " is not as it went in")
      total = total + entry.bytes
    end
  end
  return total
end

local function step(title, work)
  io.write(bold, title, plain, "\n")
  local start = socket.gettime()
  local line = work()
  io.write("  ", green, "ok", plain, "  ", line,
    dim, (" in %.3f s"):format(socket.gettime() - start), plain, "\n")
end

local here <close> = server.start()
local dir = run("mktemp -d"):gsub("\n", "")
local cleanup <close> = setmetatable({}, { -- luacheck: ignore cleanup
  __close = function() run("rm -rf '" .. dir .. "'") end,
})

io.write("squarecloud ", square.version, " against ", here.base_url,
  dim, " (nginx on this machine, HTTPS, a certificate made on the spot)",
  plain, "\n\n")

local client <close> = square.Client {
  api_key = here.key,
  base_url = here.base_url,
  snapshots_url = here.snapshots_url,
  ca_file = here.ca_file,
}
local app_id = here.apps[1]
local live = here:app_dir(app_id)

-- something worth backing up: 24 MiB that do not compress
run(("head -c 25165824 /dev/urandom > '%s/data/world.bin'"):format(live))
local before = fingerprint(live)

local snapshot, zip, info

step("1. create a snapshot", function()
  snapshot = assert(client:snapshot { app_id = app_id })
  return ("%s, at %s"):format(snapshot.id, snapshot.created_at)
end)

step("2. list the application's snapshots", function()
  local list = assert(client:all_app_snapshots { app_id = app_id })
  info = assert(list[1], "the new snapshot is in the list")
  return ("%d in the list: version %s, %d bytes, kept until %s"):format(
    #list, info.version_id, info.bytes, info.expires_at)
end)

step("3. download it", function()
  local bars <close> = square.progress.new {}
  local bar = bars:add "download"
  zip = assert(info:download {
    path = dir .. "/backups",
    progress = function(...) bar(...) end,
  })
  bar:finish()
  assert(zip.bytes == info.bytes)
  return ("%d bytes, %d files, synced, every CRC checked, renamed to\n      %s")
    :format(zip.bytes, compare_sizes(zip, before), zip.path:match "[^/]+$")
end)

step("4. check it once more, and look inside", function()
  assert(zip:test())
  return ("%d entries, %d bytes unpacked: the same as the application's")
    :format(#zip, compare_bytes(zip, live))
end)

step("5. lose the application's data", function()
  run(("rm -rf '%s/data' && echo oops > '%s/main.lua'"):format(live, live))
  assert(fingerprint(live) ~= before)
  return "data/ is gone, main.lua says oops"
end)

step("6. restore the snapshot", function()
  local response = assert(client:restore_snapshot(info))
  return ("the platform says %s"):format(response.status)
end)

step("7. compare", function()
  assert(fingerprint(live) == before, "the restored content differs")
  local files = assert(zip:extract(dir .. "/out"))
  assert(fingerprint(dir .. "/out") == before, "the extracted copy differs")
  return ("restored content and %d extracted files: the same, byte for byte")
    :format(files)
end)

io.write("\n", bold, green, "Nothing was lost.", plain, "\n")
