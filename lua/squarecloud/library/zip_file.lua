---@meta _

-- ZIP files. Definitions for editors and for the reference pages; nobody runs
-- this.

---What a download and `square.open_zip` return. Its methods yield inside a
---task: the work is done on the module's own threads. Stays open when its
---client is closed.
---@class squarecloud.ZipFile
---@field path string absolute
---@field bytes integer
---@field etag? string the store's, after a download
---@operator len: integer the number of entries; raises if `names` would fail
local ZipFile = {}

---@class squarecloud.ZipEntry
---@field bytes integer unpacked
---@field compressed integer
---@field crc integer CRC-32
---@field modified integer epoch seconds; 0 if not recorded
---@field directory boolean
---@field encrypted boolean

---@class squarecloud.ExtractLimits
---@field max_bytes? integer unpacked, in total; default what an undamaged
---archive can hold
---@field max_entries? integer default no limit
---@field overwrite? boolean replace existing files; default false

---@return string[]? names in the archive's order
---@return squarecloud.Error? err
function ZipFile:names() end

---For a generic `for`: name, entry.
---@return (fun(): string?, squarecloud.ZipEntry?)? iterator
---@return squarecloud.Error? err
function ZipFile:entries() end

---The whole of one entry.
---@param name string
---@return string? bytes
---@return squarecloud.Error? err `not_found`, `integrity`
function ZipFile:read(name) end

---Unpacks everything and compares every CRC; nothing is written.
---@return true? ok
---@return integer|squarecloud.Error unverifiable how many entries libzip cannot
---read (encrypted, or an unknown method); or the error: `integrity`
function ZipFile:test() end

---Unpacks into a folder, created if missing. An archive with absolute names,
---`..`, symlinks or device files is refused as a whole, before anything is
---written.
---@param dir string
---@param limits? squarecloud.ExtractLimits
---@return integer? files how many
---@return squarecloud.Error? err `integrity`, `exists`, `filesystem`
function ZipFile:extract(dir, limits) end

---@return table fields a plain copy: path, bytes, etag
function ZipFile:to_table() end

---Closes the file; its fields stay readable. Closing twice does nothing.
function ZipFile:close() end
