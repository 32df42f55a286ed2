-- What fails fails cleanly: memory, of Lua and of C, and system calls, one at
-- a time, in scripts that together make every call. Here a sample of the
-- points; with FAILING=all (make failing) each of them.

local failing = require "spec.support.failing"

local ALL = os.getenv "FAILING" == "all"
local FOR_EVER = 1000000

-- where, what fails, how often in a row, the sample's stride, scenarios
local MEMORY = {
  { "the module is loaded", "load", "allocator", 2, 9 },
  { "the module is loaded, and it stays so", "load", "allocator", FOR_EVER,
    17 },
  { "Lua asks for memory", "lua", "allocator", 2, 29 },
  { "Lua asks for memory, and it stays so", "lua", "allocator", FOR_EVER, 61 },
  { "the module asks for memory", "core", "malloc", 1, 7 },
  { "the module asks for memory, and it stays so", "core", "malloc", FOR_EVER,
    11 },
  { "libcurl asks for memory", "curl", "malloc", 1, 47 },
  { "libzip asks for memory", "zip", "malloc", 1, 37, "zip", "download" },
}

-- errno: 4 EINTR, 5 EIO, 11 EAGAIN, 13 EACCES, 17 EEXIST, 22 EINVAL, 24
-- EMFILE, 28 ENOSPC, 37 ENOLCK, 95 EOPNOTSUPP, 122 EDQUOT
local FILES = { "download", "download to a new folder", "replace", "resume",
  "park", "redirected", "from a listing", "zip", "rehearse", "mirror" }
local CALLS = {
  { "bytes are written", "core",
    "pwrite:28,pwrite:5,pwrite:4,pwrite:122,write:28,write:5,write:4" },
  { "bytes are read", "core", "pread:5,pread:4,read:5,read:4" },
  { "files are synced", "core", "fsync:5,fsync:4,fdatasync:5,fdatasync:4" },
  { "files are cut or given room", "core",
    "ftruncate:5,ftruncate:4,fallocate:28,fallocate:95,fallocate:4" },
  { "files are opened", "core", "open:24,open:13,openat:24,openat:28" },
  { "folders are made", "core", "mkdir:13,mkdir:28,mkdirat:13,mkdirat:28,"
    .. "mkdtemp:13,mkdtemp:28" },
  { "files are renamed or removed", "core", "renameat:13,renameat2:22,"
    .. "renameat2:13,renameat2:17,renameat2:28,linkat:1,unlinkat:13" },
  { "files are locked", "core", "flock:37,flock:11,flock:4" },
  { "the engine starts", "core", "eventfd:24,pthread_create:11" },
  { "the mirror writes its own", "files",
    "fopen:24,fopen:13,rename:13,remove:13,mkdir:28" },
}

local function walk(where, what, times, stride, ...)
  local out, code = failing.walk(where, what, times, stride, ...)
  assert(code == 0 and out:find "walked, seed %d+, 0 wrong", out)
  assert(out:find "%d times", out)
end

describe("a clean error, nothing left over, and all works again", function()
  for _, row in ipairs(MEMORY) do
    it("when there is no memory while " .. row[1], function()
      walk(row[2], row[3], row[4], ALL and 1 or row[5],
        table.unpack(row, 6))
    end)
  end

  for _, row in ipairs(CALLS) do
    it("when the system says no while " .. row[1], function()
      if ALL then
        walk(row[2], row[3], 1, 1, table.unpack(FILES))
        walk(row[2], row[3], FOR_EVER, 1, "download", "zip")
      else
        walk(row[2], row[3]:gsub(",.*", ""), 1, 2, "download", "resume", "zip",
          row[2] == "files" and "mirror" or nil)
      end
    end)
  end
end)
