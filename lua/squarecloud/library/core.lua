---@meta squarecloud.core

-- What the C module gives (and squarecloud passes on): clients, their options,
-- any ZIP file. Definitions for editors and for the reference pages; nobody
-- runs this. The classes are in the files beside it.

local core = {}

---@class squarecloud.ClientOptions
---@field api_key string the account's API key; the only required option
---@field base_url? string the API's address; default the platform's. Must be
---https, except on loopback addresses
---@field snapshots_url? string the store's address; default the platform's
---@field account_id? string the account that owns all that is listed; default
---the part of the key before the first dash, else the platform is asked once;
---for another's application, its workspace's owner, who is asked for once
---@field timeout? number seconds for each attempt of a read; default 30
---@field action_timeout? number seconds for each attempt to create or restore,
---and for the answer to an upload; default 300
---@field connect_timeout? number seconds to connect; default 10
---@field stall_timeout? number seconds that a transfer may move no byte;
---default 30
---@field retries? integer attempts after the first; default 3
---@field max_retry_wait? number seconds, the longest pause of a rate limit, and
---the longest `Retry-After`, to wait for; default 300; 0: never wait
---@field pace? number seconds between two creates with one key, whichever client
---sends them; default 5, the platform's limit; 0: none
---@field concurrency? integer transfers under way at once; default 8
---@field segments? integer connections for one download, 1 to 16; default 1
---@field max_response_bytes? integer the largest API answer; default 64 MiB, more
---than 60,000 snapshots take
---@field ca_file? string certificates to trust, PEM; default the system's
---@field proxy? string its url, "" for none; default from the environment
---@field user_agent? string default "squarecloud-lua/" and the version
---@field trace? fun(event: squarecloud.TraceEvent) called for each request,
---answer, retry and wait. If it raises, it is turned off with a warning

---What a trace function receives. There is no key, signature or query in it.
---@class squarecloud.TraceEvent
---@field event "request"|"response"|"failure"|"retry"|"wait"|"file"|"account" the
---last when it was not told whose an application is
---@field operation string "snapshot a1"
---@field method? string
---@field url? string without its query
---@field attempt integer from 1
---@field detail? string what went wrong; the range requested; for a file: that
---it is continued or started over, or what the file system refuses; for a wait:
---"rate_limited: " and the code of a limit that another request met, or "pace";
---why the key's account is used
---@field http_status? integer
---@field bytes? integer the answer's size
---@field seconds? number how long it took, or how long it waits
---@field dropped? integer how many events before this one were lost for lack of
---room

---Makes a client; nothing is sent. Wrong options raise.
---
---Rate limits are the key's: what one request meets, every client of this Lua
---state with the same key waits out. `KEEP_CALM` pauses the key's creates for
---5 s and, met twice in a row by one application, that application's creates
---and restores for 60 s. `RATE_LIMIT`, `RATE_LIMIT_EXCEEDED` and any other 429
---pause every call for 60 s; when the first request after the pause is refused
---again, the next one is twice as long, up to `max_retry_wait`. A `Retry-After`
---counts instead of these times. The request that was refused goes again after
---the pause if it has `retries` left; waiting for what another one met spends
---none. With `max_retry_wait = 0` nothing waits. The daily quota pauses
---nothing.
---@param options squarecloud.ClientOptions|string or the key alone
---@return squarecloud.Client client must be closed
function core.Client(options) end

---Opens a ZIP file and reads its directory.
---@param path string
---@return squarecloud.ZipFile? zip must be closed
---@return squarecloud.Error? err `filesystem`, `integrity`
function core.open_zip(path) end

---The libraries that the module runs on.
---@return string line such as "libcurl/7.88.1 OpenSSL/3.0.15, libzip 1.7.3"
function core.libraries() end

---@type string the module's version, three numbers
core.version = nil

return core
