-- The mirror's hands on the disk: folders (0700), the small JSON files (0600),
-- the lock. Every function gives what it found, or nil and an error of kind
-- `filesystem`. Owns nothing.
--
-- The JSON files are not synced, which would hold up the host: after a power
-- loss one may be empty or missing beside its ZIP; then the ZIP is reported,
-- and can be adopted.

local lfs = require "lfs"
local posix = require("squarecloud.core").posix
local failure = require "squarecloud.mirror.failure"

local files = {}

local LOCK = ".mirror.lock"
local READ_MAX = 65536
local EWOULDBLOCK = 11

-- The system's words in what lfs says: "cannot … <path>: <words>".
local function reason_of(why)
  return tostring(why):match "^cannot .*: ([^:]*)$"
end

-- What is at a path ("file", "directory", "link", …), or nil for nothing.
function files.mode(path)
  return lfs.symlinkattributes(path, "mode")
end

-- The size of a regular file that is no symbolic link; nil and an error.
function files.size(path)
  local found, reason, errno = lfs.symlinkattributes(path)
  if found and found.mode == "file" then
    return found.size
  end
  return nil, failure.disk("cannot read", path,
    found and "it is not a regular file" or reason_of(reason), errno)
end

function files.is_folder(path)
  return lfs.attributes(path, "mode") == "directory"
end

-- A path from the root, without "." and doubled slashes in it, so that two can
-- be compared. ".." stays: with links, it leads elsewhere than it seems to.
function files.absolute(path)
  if path:sub(1, 1) ~= "/" then
    local here, reason, errno = lfs.currentdir()
    if not here then
      return nil, failure.disk("cannot find", "the current directory", reason,
        errno)
    end
    path = here .. "/" .. path
  end
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return "/" .. table.concat(parts, "/")
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
  local ok, reason, errno = posix.make_folder(path)
  if not ok and not files.is_folder(path) then
    return nil, failure.disk("cannot make the folder", path, reason, errno)
  end
  return true
end

-- The names in a folder, without "." and "..", in no order.
function files.names(path)
  local ok, next_name, folder = pcall(lfs.dir, path)
  local reason = not ok and reason_of(next_name)
  if reason then
    return nil, failure.disk("cannot read the folder", path, reason)
  elseif not ok then
    error(next_name, 0) -- not the folder's: memory is short, or a hook raised
  end
  local names = {}
  for name in next_name, folder, nil, folder do
    if name ~= "." and name ~= ".." then
      names[#names + 1] = name
    end
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
  local ok, reason, errno = posix.write_file(path, bytes)
  if not ok then
    return nil, failure.disk("cannot write", path, reason, errno)
  end
  return true
end

-- Removes a file; what is no plain file stays, and is an error.
function files.remove(path)
  local mode = files.mode(path)
  if mode ~= "file" then
    return nil, failure.disk("cannot remove", path,
      mode and "it is not a regular file" or "it no longer exists")
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

-- Locks a mirror for whoever changes it, against other processes and other
-- tasks of this one; a to-be-closed lock. It ends with the process, however
-- that ends, so nothing is ever left behind locked. Never waits. The lock's
-- file stays: removing it would let two in at once.
function files.lock(dir)
  local path = dir .. "/" .. LOCK
  local lock, reason, errno = posix.lock_file(path)
  if lock then
    return lock
  elseif lock == false then
    return nil, failure.new("filesystem", dir .. " is being changed by "
      .. "another process or task (sync, prune, adopt or verify)",
      { errno = EWOULDBLOCK })
  end
  local err = failure.disk("cannot lock", path, reason, errno)
  return nil, failure.advise(err.kind, err.message,
    "see the option `lock`", errno)
end

return files
