--- What the specs of downloads share: archives whose bytes are known, what the
-- server saw, what a folder holds, and downloads in processes of their own.

local lfs = require "lfs"
local socket = require "socket"
local helpers = require "spec.support.helpers"
local process = require "spec.support.process"
local quote = require "spec.support.quote"
local zips = require "spec.support.zips"

local downloads = {}

local PATIENCE = 30 -- seconds; far more than anything here takes

-- Bytes that tell where they stand, so that a mix-up shows.
local function numbered(size)
  local parts = {}
  for i = 0, size // 1024 do
    parts[#parts + 1] = ("%015x\n"):format(i):rep(64)
  end
  return table.concat(parts):sub(1, size)
end

local archives = {}
--- A whole ZIP file of about `kib` KiB, stored; made once.
function downloads.archive(kib)
  archives[kib] = archives[kib] or zips.build {
    { name = "data.txt", data = numbered(kib * 1024) },
    { name = "folder/empty.txt", data = "" },
  }
  return archives[kib]
end

local unchecked = {}
--- `mib` MiB that only begin like a ZIP file: for `verify = false`, where
-- making a real one would take too long.
function downloads.lookalike(mib)
  unchecked[mib] = unchecked[mib]
    or "PK\3\4" .. numbered(mib * 1024 * 1024 - 4)
  return unchecked[mib]
end

--- Writes a whole ZIP file of `mib` MiB (stored) without holding it.
function downloads.write_large(path, mib)
  local data = numbered(1024 * 1024)
  local crc, at, directory = zips.crc32(data), 0, {}
  local file <close> = assert(io.open(path, "wb"))
  for i = 1, mib do
    local name = ("part-%04d.txt"):format(i)
    local fields = ("<I2I2I2I2I2I4I4I4I2I2"):pack(20, 0, 0, 0, 33, crc,
      #data, #data, #name, 0)
    directory[i] = "PK\1\2" .. ("<I2"):pack(20) .. fields
      .. ("<I2I2I2I4I4"):pack(0, 0, 0, 0, at) .. name
    assert(file:write("PK\3\4", fields, name, data))
    at = at + 4 + #fields + #name + #data
  end
  local records = table.concat(directory)
  assert(file:write(records, "PK\5\6", ("<I2I2I2I2I4I4I2"):pack(0, 0, mib, mib,
    #records, at, 0)))
end

--- The server's record of what was asked of the store and its plain files.
function downloads.requests(s)
  return s:requests { pattern = "^/[adf][^?]*/[^?]*" }
end

--- The Range headers of those requests, "" where there was none.
function downloads.ranges(s)
  local ranges = {}
  for i, one in ipairs(downloads.requests(s)) do
    ranges[i] = one.headers.range or ""
  end
  return ranges
end

--- The permission bits, as ls shows them: "rw-------".
function downloads.mode(path)
  return lfs.attributes(path, "permissions")
end

--- A small disk of its own at the folder `at`, made; or nil and why not.
-- @return { path, grow() (to 64 MiB) }; ends with <close>
function downloads.small_disk(at, kib)
  local function sh(line)
    return os.execute(("%s '%s' 2>/dev/null"):format(line,
      at))
  end
  lfs.mkdir(at)
  if not sh(("mount -t tmpfs -o size=%dk none"):format(kib)) then
    return nil, "only root may mount a small disk, where it may"
  end
  return setmetatable({ path = at,
    grow = function() assert(sh "mount -o remount,size=64m") end },
    -- gone at once, though something in it may still be open
    { __close = function() sh "umount -l" end })
end

--- Waits until `ready()` gives something, which is returned.
function downloads.wait(ready, what)
  local deadline = socket.gettime() + PATIENCE
  repeat
    local result = ready()
    if result then return result end
    socket.sleep(0.005)
  until socket.gettime() > deadline
  error("waited in vain for " .. what, 2)
end

--- Waits until the part `path` has a record.
function downloads.wait_record(path)
  downloads.wait(function() return lfs.attributes(path .. ".meta") end,
    path .. ".meta")
end

--- Steps until what the client downloads to the part `name` is checked: the
-- part is then open twice, to be written and to be read.
function downloads.step_to_check(client, name)
  downloads.wait(function()
    client:step(0.005)
    local count = 0
    for _, fd in ipairs(helpers.names "/proc/self/fd") do
      local target = lfs.symlinkattributes("/proc/self/fd/" .. fd, "target")
      if target and target:sub(-#name - 1) == "/" .. name then
        count = count + 1
      end
    end
    return count == 2
  end, "a check")
end

---------------------------------------------------------- other processes

local SCRIPT = [[
local square = require "squarecloud"
local options = load("return " .. ...)()
local client <close> = square.Client(options.client)
%s
local zip, err = client:download(options.download)
if zip then
  print("done", zip.path)
else
  print(err.kind, err.errno, err.message)
end
]]

--- Starts a download in another process.
-- @param s the server; `options` those of client:download
-- @param setting client (more options of the Client), folder (to run in),
-- shell (a command to run before, as `ulimit -f 100;`), before (Lua to run
-- before it, with `client` and `options`)
-- @return { pid, wait() (what it printed, then "exit" or "signal" and which),
-- kill() (SIGKILL, and its end) }
function downloads.start(s, options, setting)
  setting = setting or {}
  local client = { api_key = s.key, base_url = s.base_url, proxy = "",
    snapshots_url = s.snapshots_url, ca_file = s.ca_file }
  for name, value in pairs(setting.client or {}) do client[name] = value end
  local script = os.tmpname()
  helpers.write_file(script, SCRIPT:format(setting.before or ""))
  local word = quote.shell
  local line = ("cd %s && %s exec env LUA_PATH=%s LUA_CPATH=%s "
    .. "lua5.4 %s %s 2>&1 </dev/null"):format(word(setting.folder or "/"),
    setting.shell or "", word(helpers.absolute(package.path)),
    word(helpers.absolute(package.cpath)), word(script),
    word(quote.lua { client = client, download = options }))
  return process.start(line, { script })
end

return downloads
