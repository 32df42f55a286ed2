-- The mirror's hands on the disk: folders, the small JSON files, the lock.
-- Every function gives what it found, or nil and an error of kind
-- `filesystem`. It owns which locks this process holds.
--
-- Lua can set no modes and sync nothing: folders and JSON files get the
-- process's umask (the ZIP files, which the core writes, are 0600 always),
-- and after a power loss a JSON file may be empty or missing beside its ZIP;
-- then the ZIP is reported, and can be adopted.

local lfs = require "lfs"
local failure = require "squarecloud.mirror.failure"

local files = {}

local LOCK = ".mirror.lock"
local READ_MAX = 65536

-- What is at a path ("file", "directory", "link", …), or nil for nothing.
function files.mode(path)
  return lfs.symlinkattributes(path, "mode")
end

-- The size of a regular file that is no symbolic link, or nil.
function files.size(path)
  local found = lfs.symlinkattributes(path)
  return found and found.mode == "file" and found.size or nil
end

function files.is_folder(path)
  return lfs.attributes(path, "mode") == "directory"
end

function files.absolute(path)
  path = path:gsub("(.)/+$", "%1")
  if path:sub(1, 1) == "/" then
    return path
  end
  local here, reason, errno = lfs.currentdir()
  if not here then
    return nil, failure.disk("cannot tell", "the current directory", reason,
      errno)
  end
  return path == "." and here or (here:gsub("/$", "") .. "/" .. path)
end

-- Makes a folder and those above it that are missing.
function files.make_folder(path)
  if files.is_folder(path) then
    return true
  end
  local above = path:match("^(.+)/[^/]*$")
  if above then
    local ok, err = files.make_folder(above)
    if not ok then
      return nil, err
    end
  end
  local ok, reason, errno = lfs.mkdir(path)
  if not ok and not files.is_folder(path) then
    return nil, failure.disk("cannot make the folder", path, reason, errno)
  end
  return true
end

-- The names in a folder, without "." and "..", in no order.
function files.names(path)
  local names = {}
  local ok, why = pcall(function()
    for name in lfs.dir(path) do
      if name ~= "." and name ~= ".." then
        names[#names + 1] = name
      end
    end
  end)
  if not ok then
    return nil, failure.disk("cannot read the folder", path,
      tostring(why):match(": ([^:]*)$") or why)
  end
  return names
end

-- A small file's bytes; nil for one that is missing, no plain file, too long
-- or not to be read.
function files.read(path)
  local size = files.size(path)
  local file = size and size <= READ_MAX and io.open(path, "rb")
  if not file then
    return nil
  end
  local bytes = file:read(READ_MAX)
  file:close()
  return bytes or ""
end

-- Writes a small file so that its name never stands for half of it.
function files.write(path, bytes)
  local draft = path .. ".new"
  os.remove(draft)
  local file, reason, errno = io.open(draft, "wb")
  if not file then
    return nil, failure.disk("cannot write", draft, reason, errno)
  end
  local ok
  ok, reason, errno = file:write(bytes)
  if ok then
    ok, reason, errno = file:close()
  else
    file:close()
  end
  if not ok then
    os.remove(draft)
    return nil, failure.disk("cannot write", draft, reason, errno)
  end
  ok, reason, errno = os.rename(draft, path)
  if not ok then
    os.remove(draft)
    return nil, failure.disk("cannot rename to", path, reason, errno)
  end
  return true
end

-- Removes a file; what is no plain file stays, and is an error.
function files.remove(path)
  local mode = files.mode(path)
  if mode ~= "file" then
    return nil, failure.disk("cannot remove", path,
      mode and "it is no plain file" or "it is gone")
  end
  local ok, reason, errno = os.remove(path)
  if not ok then
    return nil, failure.disk("cannot remove", path, reason, errno)
  end
  return true
end

function files.rename(from, to)
  local ok, reason, errno = os.rename(from, to)
  if not ok then
    return nil, failure.disk("cannot rename", from, reason, errno)
  end
  return true
end

---------------------------------------------------------------- the lock

-- POSIX gives a record lock to a process, not to a descriptor: a second
-- mirror on the same folder in this process would get it too, and lose it for
-- both when it closes the file. So those held are known here, by the file.
local held = {}

local function key_of(path)
  local found = lfs.attributes(path)
  return found and found.dev .. ":" .. found.ino
end

local Lock = { __name = "squarecloud.mirror.Lock" }

function Lock:__close()
  if self.file then
    held[self.key] = nil
    self.file:close() -- ends the lock
    self.file = nil
  end
end

Lock.__gc = Lock.__close

-- How fcntl says that another has the lock: lfs passes no errno on.
local IS_TAKEN = {
  ["Resource temporarily unavailable"] = true,
  ["Permission denied"] = true,
}

local function taken(dir, who)
  return failure.new("filesystem", dir .. " is being changed by another "
    .. who .. " (sync, prune, adopt or verify)")
end

-- Locks a mirror for whoever changes it; a to-be-closed lock. It ends with
-- the process, however that ends, so nothing is ever left behind locked.
-- Never waits. The lock's file stays: removing it would let two in at once.
function files.lock(dir)
  local path = dir .. "/" .. LOCK
  local key = key_of(path)
  if key and held[key] then
    return nil, taken(dir, "task")
  end
  local file, reason, errno = io.open(path, "a")
  if not file then
    return nil, failure.disk("cannot open", path, reason, errno)
  end
  local ok
  ok, reason = lfs.lock(file, "w")
  if not ok then
    file:close()
    return nil, IS_TAKEN[reason] and taken(dir, "process")
      or failure.disk("cannot lock (see the option `lock`)", path, reason)
  end
  key = key_of(path)
  if not key then
    file:close()
    return nil, failure.disk("cannot lock", path, "somebody removed it")
  end
  held[key] = true
  return setmetatable({ file = file, key = key }, Lock)
end

return files
