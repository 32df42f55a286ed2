-- One download in a process of its own, for the benchmark: its wall time and
-- its memory are the process's.
--   lua5.4 download.lua URL CA_FILE FOLDER NAME VERIFY SEGMENTS [SMALL_URL]
-- With SMALL_URL, prints the memory's high-water mark (KiB): with a client
-- made; after a small download of the same kind, so with the engine and TLS
-- up; and after the download.
local square = require "squarecloud"
local url, ca_file, folder, name, verify, segments, small = ...

local function peak()
  local file <close> = assert(io.open "/proc/self/status")
  return file:read("a"):match "VmHWM:%s*(%d+)"
end

local client <close> = square.Client { api_key = "k", ca_file = ca_file,
  proxy = "" }

local function download(from, as)
  local zip <close> = assert(client:download { url = from, path = folder,
    filename = as, segments = math.tointeger(segments),
    verify = verify ~= "false" and verify })
  return zip.path
end

if small then
  io.write(peak(), " ")
  os.remove(download(small, "small-" .. name))
  io.write(peak(), " ")
end
download(url, name)
if small then io.write(peak(), "\n") end
