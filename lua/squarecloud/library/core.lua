---@meta squarecloud.core

-- What the C module gives (and squarecloud passes on): clients, their options,
-- any ZIP file. Definitions for editors and for the reference pages; nobody
-- runs this. The classes are in the files beside it.

local core = {}

---@class squarecloud.ClientOptions
---@field api_key string the account's; the only one that must be given
---@field base_url? string the API's address; default the platform's. https;
---http for loopback addresses only
---@field snapshots_url? string the store's; default the platform's
---@field account_id? string default what the key begins with, else asked for
---once
---@field timeout? number seconds, each attempt of a read; default 30
---@field action_timeout? number seconds, each attempt of creating or
---restoring; default 300
---@field connect_timeout? number seconds; default 10
---@field stall_timeout? number seconds that a download may bring no byte;
---default 30
---@field retries? integer attempts after the first; default 3
---@field max_retry_wait? number seconds, the longest `Retry-After` that is
---waited for; default 60
---@field concurrency? integer transfers under way at once; default 8
---@field segments? integer connections of a download, 1 to 16; default 1
---@field max_response_bytes? integer of an API answer; default 8 MiB
---@field ca_file? string certificates to trust, PEM; default the system's
---@field proxy? string its url, "" for none; default the environment's
---@field user_agent? string default "squarecloud-lua/" and the version
---@field trace? fun(event: squarecloud.TraceEvent) is told of each request,
---answer and retry. What it raises turns it off, with a warning

---What a trace function is told: no key, no signature, no query.
---@class squarecloud.TraceEvent
---@field event "request"|"response"|"failure"|"retry"|"file"
---@field operation string "snapshot a1"
---@field method string
---@field url string without its query
---@field attempt integer from 1
---@field detail? string what went wrong; the range that is asked for; of a file:
---that it is continued or started over, what the file system refuses
---@field http_status? integer
---@field bytes? integer of the answer
---@field seconds? number it took, or that are waited before the retry
---@field dropped? integer events before this one that there was no room for

---Makes a client; nothing is sent. Wrong options raise.
---@param options squarecloud.ClientOptions|string or the key alone
---@return squarecloud.Client client to be closed
function core.Client(options) end

---Opens a ZIP file and reads its directory.
---@param path string
---@return squarecloud.ZipFile? zip to be closed
---@return squarecloud.Error? err `filesystem`, `integrity`
function core.open_zip(path) end

---The libraries that the module runs on.
---@return string line such as "libcurl/7.88.1 OpenSSL/3.0.15, libzip 1.7.3"
function core.libraries() end

---@type string the module's version, three numbers
core.version = nil

return core
