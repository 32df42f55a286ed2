-- luacheck: std ngx_lua
--- The few system calls that nginx's Lua has no word for: signals, watching a
-- process, resetting a connection, folders. Linux; owns no state.

local ffi = require "ffi"
local lfs = require "lfs"
local base = require "resty.core.base"

ffi.cdef [[
int getpid(void);
int kill(int pid, int signal);
int connect(int fd, const void *address, unsigned int length);
int getpeername(int fd, void *address, unsigned int *length);
int ioctl(int fd, unsigned long request, ...);
]]

local SIGTERM = 15
local SIOCOUTQ = 0x5411

local posix = {}

function posix.terminate_self()
  ffi.C.kill(ffi.C.getpid(), SIGTERM)
end

--- When a process was started, in the kernel's ticks; nil when it is gone or
-- only waits to be reaped. Told apart from a later process of the same id.
function posix.started_at(pid)
  local file = io.open("/proc/" .. pid .. "/stat")
  if not file then return nil end
  local rest = file:read("*a"):match("^.*%) (.*)$")
  file:close()
  if not rest or rest:find("^[ZX]") then return nil end
  local index = 2
  for field in rest:gmatch("%S+") do
    index = index + 1
    if index == 22 then return field end
  end
end

-- The descriptor of the current request's connection: nginx keeps it in
-- ngx_connection_t after three pointers, and the connection in
-- ngx_http_request_t after the signature. Compared with the peer's port, so
-- that another layout is noticed and not written to.
local function connection_fd()
  local request = ffi.cast("void **", base.get_request())
  local connection = ffi.cast("char *", request[1])
  local fd = ffi.cast("int *", connection + 3 * ffi.sizeof("void *"))[0]
  local address = ffi.new("unsigned char[128]")
  local length = ffi.new("unsigned int[1]", 128)
  if ffi.C.getpeername(fd, address, length) ~= 0
    or address[2] * 256 + address[3] ~= tonumber(ngx.var.remote_port) then
    return nil, "the connection's descriptor was not found"
  end
  return fd
end

--- Resets the current request's connection: a real RST, at once, under TLS
-- and HTTP/2 too. What nginx has written is acknowledged by the peer's kernel
-- first (or two seconds have passed), so that the bytes count is exact.
function posix.reset_connection()
  local fd, why = connection_fd()
  if not fd then return nil, why end
  local unsent, tries = ffi.new("int[1]"), 0
  repeat
    ffi.C.ioctl(fd, SIOCOUTQ, unsent)
    if unsent[0] > 0 then ngx.sleep(0.001) end
    tries = tries + 1
  until unsent[0] == 0 or tries > 2000
  -- AF_UNSPEC dissolves the association; on a connected socket: RST
  ffi.C.connect(fd, ffi.new("unsigned char[16]"), 16)
  return true
end

--- Removes a file or a folder with all in it; nothing there is fine.
function posix.remove_tree(path)
  if lfs.symlinkattributes(path, "mode") == "directory" then
    for name in lfs.dir(path) do
      if name ~= "." and name ~= ".." then
        posix.remove_tree(path .. "/" .. name)
      end
    end
    return lfs.rmdir(path)
  end
  return os.remove(path)
end

local function contents(path)
  if lfs.symlinkattributes(path, "mode") ~= "file" then return nil end
  local file = io.open(path, "rb")
  if not file then return nil end
  local bytes = file:read("*a")
  file:close()
  return bytes
end

-- Removes what is beneath `dir` and not among the wanted paths.
local function remove_others(dir, prefix, wanted)
  for name in lfs.dir(dir) do
    if name ~= "." and name ~= ".." then
      local path, key = dir .. "/" .. name, prefix .. name
      local is_folder = lfs.symlinkattributes(path, "mode") == "directory"
      if is_folder and wanted[key .. "/"] then
        remove_others(path, key .. "/", wanted)
      elseif is_folder or not wanted[key] then
        posix.remove_tree(path)
      end
    end
  end
end

--- Makes a folder hold these files and no others:
-- { ["a/b.txt"] = bytes, ["empty/"] = true }. What is right already is left
-- alone: writing costs far more than looking.
function posix.write_tree(dir, files)
  local wanted, folders = {}, {}
  for name in pairs(files) do
    wanted[name] = true
    for at in name:gmatch("()/") do
      local folder = name:sub(1, at)
      if not wanted[folder] or name == folder then
        folders[#folders + 1] = folder
      end
      wanted[folder] = true
    end
  end
  table.sort(folders)
  if lfs.symlinkattributes(dir, "mode") == "directory" then
    remove_others(dir, "", wanted)
  else
    posix.remove_tree(dir)
    lfs.mkdir(dir)
  end
  for _, folder in ipairs(folders) do
    lfs.mkdir(dir .. "/" .. folder:sub(1, -2))
  end
  for name, bytes in pairs(files) do
    local path = dir .. "/" .. name
    if type(bytes) == "string" and contents(path) ~= bytes then
      posix.remove_tree(path)
      local file = assert(io.open(path, "wb"))
      file:write(bytes)
      file:close()
    end
  end
end

--- Quotes an argument for the shell.
function posix.quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

return posix
