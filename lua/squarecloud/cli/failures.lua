-- What went wrong, as one line that says what to do next, and as an exit code.

local console = require "squarecloud.cli.console"
local format = require "squarecloud.cli.format"

local failures = {}

local EWOULDBLOCK, EFBIG, ENOSPC, EDQUOT = 11, 27, 28, 122

local CODES = { authentication = 4, permission = 4, not_found = 5, quota = 6,
  rate_limited = 7, integrity = 8, expired = 8 }

--- The exit code of an error: 1 unless its kind has one of its own.
function failures.code(err)
  return err.exit_code or CODES[err.kind] or 1
end

--- How the command is called about a resource, as a hint shows it.
-- @param about id, database
function failures.call(command, about)
  return ("`squaresnap %s %s%s`"):format(command,
    about.id and format.word(about.id) or "ID",
    about.database and " --database" or "")
end
local call = failures.call

-- What goes on with a transfer.
local function again(about)
  return "run " .. (about.again or "the same command again")
end

local function continue(about)
  return again(about) .. " to resume"
end

local HINTS = {}

function HINTS.authentication(_, about)
  return ("check the key%s, or create a new one in the platform's dashboard")
    :format(about.key_source and " in " .. console.show(about.key_source)
      or "")
end

function HINTS.permission(err, about)
  if err.code == "UPGRADE_REQUIRED" then
    return about.command == "list" and "listing the whole account needs a "
      .. "paid plan: name the applications (`squaresnap list ID`)"
      or "this needs a paid plan"
  elseif err.code == "MISSING_SCOPE" then
    return "give the key that scope in the platform's dashboard, or use "
      .. "another key"
  end
  return "use a key of the account that owns it"
end

function HINTS.not_found(err, about)
  if err.code == "SNAPSHOT_NOT_FOUND" or err.code == "VERSION_NOT_LISTED" then
    return call("list", about) .. " shows which versions there are"
  elseif err.http_status and err.operation:find "^download" then
    return "it is gone from the store: " .. call("list", about)
      .. " shows what there is"
  elseif about.database == false then
    return "`squaresnap whoami` shows the ids; for a database add --database"
  end
  return "`squaresnap whoami` shows the ids"
end

function HINTS.quota(_, about)
  local at = about.next_free_at and about.next_free_at()
  if not at then return "`squaresnap quota` shows when the next one is free" end
  return ("the next one is free at %s, in %s"):format(
    format.time(at, about.utc), format.span(at - os.time()))
end

function HINTS.rate_limited(err)
  if err.retry_after then
    return "run it again in " .. format.seconds(err.retry_after)
  end
  return "run it again in a minute"
end

function HINTS.pending(err, about)
  if err.code == "RESTORE_IN_PROGRESS" then
    return "a restore takes about a minute: wait, then run it again"
  end
  return "it is still being made: " .. call("list", about)
    .. " shows it when it is done"
end

local function move_away(about)
  return "move that file away, then " .. again(about)
end

function HINTS.integrity(err, about)
  if not about.transfer then return "download it again" end
  -- a mirror's file, not one that came
  if not err.operation then return move_away(about) end
  return ("nothing was kept: %s%s"):format(again(about),
    about.command == "download"
    and ", or choose another version (--version-id)" or "")
end

function HINTS.expired(_, about)
  return again(about) .. " to get a new address and resume"
end

function HINTS.filesystem(err, about)
  if err.errno == EWOULDBLOCK then
    return "run it again when that has finished"
  elseif err.errno == ENOSPC or err.errno == EDQUOT or err.errno == EFBIG then
    return "free some space, then " .. (about.transfer and continue(about)
      or "run it again")
  elseif err.advice then -- of a mirror's lock
    return "fix that, or, on a file system without locks, use --no-lock while "
      .. "nothing else changes the mirror"
  end
  return "fix that, then " .. (about.transfer and continue(about)
    or "run it again")
end

function HINTS.exists(_, about)
  return about.command == "download" and "use --force to replace it"
    or move_away(about)
end

function HINTS.tls()
  return "the server's certificate is not trusted; SSL_CERT_FILE may name the "
    .. "certificates to trust"
end

function HINTS.protocol(_, about)
  return (about.base_url and "is " .. about.base_url .. " right? " or "")
    .. "--verbose shows more"
end

function HINTS.bad_request(err, about)
  if not err.http_status then return nil end -- the line says what is wrong
  return about.id and "check the id and the version"
    or "--verbose shows more"
end

local function transport(_, about)
  return about.transfer and continue(about) or "run it again later"
end
HINTS.network, HINTS.timeout, HINTS.server = transport, transport, transport

local function list_shows_versions(_, about)
  return call("list", about) .. " shows which versions there are"
end

local OUR_BUG = "this is a bug in squaresnap: please report it, with what "
  .. "--verbose shows"
local NO_FILE = "the platform does not accept this snapshot as an upload: "
  .. "download it instead"

-- Codes with more to say than their kind: a text, or a function as in HINTS.
local BY_CODE = {
  INVALID_ID = "check the id: `squaresnap whoami` shows the ids",
  INVALID_SNAPSHOT_ID = list_shows_versions,
  INVALID_VERSION_ID = list_shows_versions,
  INVALID_SCOPE = OUR_BUG,
  MISSING_PARAMETERS = OUR_BUG,
  INVALID_JSON_BODY = OUR_BUG,
  USER_NOT_FOUND = "check whose key it is: `squaresnap whoami`",
  SNAPSHOT_DATABASE_MISMATCH = "restore it into a database of the same engine",
  DATABASE_NOT_RUNNING = "start the database, then run it again",
  INSUFFICIENT_MEMORY = "stop or delete an application, or upgrade the plan",
  APPLICATIONS_LIMIT_REACHED = "delete an application, or upgrade the plan",
  PAYLOAD_TOO_LARGE = NO_FILE,
  FILE_TOO_LARGE = NO_FILE,
  INVALID_FILE = NO_FILE,
  INVALID_FILENAME = NO_FILE,
  INVALID_PATH = OUR_BUG,
}

-- What was sent and perhaps carried out is not to be sent again, whatever the
-- kind; a `pending` says that it is being done.
local function hint_of(err, about)
  if err.hint ~= nil then return err.hint end
  if err.sent and err.kind ~= "pending" then
    return "it may have been carried out anyway: check with "
      .. call("list", about) .. " before you run it again"
  end
  -- of a failing server the code decides nothing
  local hint = err.kind ~= "server" and BY_CODE[err.code] or HINTS[err.kind]
  if type(hint) == "function" then return hint(err, about) end
  return hint
end

--- One line: what failed, why, what to do next.
-- @param about id, database, command, transfer (a part was kept), again (what
-- goes on with it, if not the same command), key_source, base_url (what gave
-- another one), utc, next_free_at (function)
function failures.line(err, about)
  local hint, text = hint_of(err, about), tostring(err)
  -- a mirror's advice is for Lua
  if err.advice then text = text:sub(1, -#err.advice - 3) end
  return console.show(text) .. (hint and "; " .. hint or "")
end

--- The fields that a program reads.
function failures.to_table(err)
  return { kind = err.kind, message = err.message, code = err.code,
    http_status = err.http_status, retry_after = err.retry_after,
    retryable = err.retryable, sent = err.sent, errno = err.errno,
    exit_code = failures.code(err) }
end

local Own = {}
Own.__index = Own
function Own:__tostring()
  return self.operation .. ": " .. self.kind .. ": " .. self.message
end

--- An error of the command's own, as the library's are.
function failures.new(fields) return setmetatable(fields, Own) end

---------------------------------------------------------------- several

local Tally = {}
Tally.__index = Tally

--- Counts what became of several, for one exit code.
function failures.tally()
  return setmetatable({ done = 0, codes = {} }, Tally)
end

function Tally:succeeded() self.done = self.done + 1 end

function Tally:failed(err)
  self.codes[#self.codes + 1] = failures.code(err)
end

--- 0; 3 when some failed; what they have in common when all did, else 1.
function Tally:exit_code()
  if #self.codes == 0 then return 0 end
  if self.done > 0 then return 3 end
  for _, code in ipairs(self.codes) do
    if code ~= self.codes[1] then return 1 end
  end
  return self.codes[1]
end

return failures
