-- squarecloud.mirror: a folder of verified snapshots that outlives the
-- platform's 30 days. This file owns the face; mirror/ holds the places and
-- names (layout), the JSON beside each ZIP (record), the disk and the lock
-- (files), and what is done with them (sync, care).
--
--   <dir>/<application_type>/<id>/<id>_<time>_<version>.zip, and a small
--   .json beside each that says what it is. Nothing else is a source of truth:
--   what is there is found by looking, so a lost or foreign file is no
--   catastrophe. Foreign files are never touched.
--
-- sync, prune, adopt, and verify { set_aside = true } lock the folder while
-- they run, against other processes and other tasks of this one; a second one
-- gets an error of kind `filesystem` at once. Reading needs no lock: at any
-- moment, a kill included, what has a ZIP and a JSON is a whole snapshot.
--
-- Wrong use raises. What the disk, the network or the platform decides, and
-- what the filters refuse, is nil and an error object like the client's.

local retention = require "squarecloud.retention"
local care = require "squarecloud.mirror.care"
local check = require "squarecloud.mirror.check"
local failure = require "squarecloud.mirror.failure"
local files = require "squarecloud.mirror.files"
local layout = require "squarecloud.mirror.layout"
local record = require "squarecloud.mirror.record"
local sync = require "squarecloud.mirror.sync"

---A snapshot that the mirror holds.
---@class squarecloud.mirror.Entry: squarecloud.retention.Element
---@field id string as the platform lists it
---@field version_id? string
---@field created_at string
---@field bytes integer
---@field application_type squarecloud.ApplicationType
---@field app_id string what it is a snapshot of: the id without a type behind
---@field etag? string the store's
---@field path string absolute

---A ZIP file that is no entry.
---@class squarecloud.mirror.Problem
---@field path string
---@field kind "none"|"damaged"|"foreign"|"newer"|"copy"|"unreadable"
---@field message string
---@field entry? squarecloud.mirror.Entry what a damaged file should be

---@class squarecloud.mirror.OpenOptions
---@field dir string its folder
---@field create? boolean make it when it is missing; default true
---@field lock? boolean default true; false: for file systems that refuse one

---@class squarecloud.mirror.SyncOptions: squarecloud.retention.Options
---@field apps? string[] ids
---@field databases? string[] ids
---@field all? boolean the whole account instead
---@field policy? squarecloud.retention.Policy default all that is listed
---@field concurrency? integer downloads at once; default 4
---@field segments? integer connections of each
---@field dry_run? boolean says what would be downloaded
---@field adopt? boolean takes in whole files that only lack their JSON
---@field progress? squarecloud.Progress|squarecloud.mirror.SyncProgress

---`false` ends the sync.
---@alias squarecloud.mirror.SyncProgress
---| fun(snapshot: table, done: integer, total: integer?, rate: number): false?

---@class squarecloud.mirror.PruneOptions: squarecloud.retention.Options
---@field dry_run? boolean says what would be removed

---@class squarecloud.mirror.VerifyOptions
---@field id? string only this one's
---@field application_type? squarecloud.ApplicationType
---@field set_aside? boolean what is damaged is renamed to
---`<name>.zip.damaged`, so that the next sync fetches it anew
---@field progress? squarecloud.Progress|squarecloud.mirror.VerifyProgress

---`false` ends it.
---@alias squarecloud.mirror.VerifyProgress
---| fun(entry: squarecloud.mirror.Entry, done: integer, total: integer): false?

---@class squarecloud.mirror.LatestOptions
---@field id string
---@field application_type? squarecloud.ApplicationType

---@class squarecloud.mirror.PlanOptions
---@field id string
---@field application_type? squarecloud.ApplicationType
---@field version_id? string this one; else the newest
---@field at? string|number a time: the newest that is not later
---@field now? string|number a time; default os.time()

---@class squarecloud.mirror.AdoptOptions
---@field path string
---@field id? string what its name does not tell must be said
---@field version_id? string
---@field created_at? string|number
---@field app_id? string

---How a snapshot can be brought back.
---@class squarecloud.mirror.Plan
---@field how "platform"|"upload" the platform still has it; or the file is all
---there is, to be uploaded by hand
---@field entry squarecloud.mirror.Entry
---@field path string
---@field restore? squarecloud.RestoreOptions what client:restore_snapshot takes
---@field expires_at number epoch seconds
---@field reason string why it is so

---What was done with one snapshot: an entry's fields (of a listing that failed,
---no `path`), and what became of it.
---@class squarecloud.mirror.Result: squarecloud.mirror.Entry
---@field status string
---@field err? squarecloud.Error
---@field reasons? string[] prune: why it is kept
---@field set_aside? string verify: the new path

---An array of them; beside them how many there are of each status, and bytes.
---@class squarecloud.mirror.Results: { [integer]: squarecloud.mirror.Result }
---@field bytes integer of what was downloaded, removed, or found to be ok
---@field failed integer
---@field downloaded? integer sync: now here
---@field adopted? integer sync: their JSON was all that was lacking
---@field skipped? integer sync: ended before their turn
---@field planned? integer sync, prune: what a dry run would do
---@field kept? integer prune
---@field removed? integer prune
---@field ok? integer verify
---@field damaged? integer verify

---A mirror, to be closed.
---@class squarecloud.Mirror
---@field dir string absolute
local methods = {}

local Mirror = { __name = "squarecloud.Mirror", __index = methods }

local function check_open(self, method)
  if getmetatable(self) ~= Mirror then
    error(method .. ": expected a mirror, got " .. type(self), 3)
  elseif self.closed then
    error("the mirror is closed", 3)
  end
end

-- Runs a function that changes the mirror, under its lock.
local function locked(self, change, ...)
  if not self.locks then
    return change(self, ...)
  end
  local lock <close>, err = files.lock(self.dir)
  if not lock then
    return nil, err
  end
  return change(self, ...)
end

---Everything the mirror holds, by path: what the filters take.
---@return squarecloud.mirror.Entry[]? entries
---@return squarecloud.mirror.Problem[]|squarecloud.Error problems ZIP files in
---the mirror's folders that are no entries, and why; or the error
function methods:list()
  check_open(self, "list")
  local found, err = record.scan(self.dir)
  if not found then
    return nil, err
  end
  return found.entries, found.problems
end

---Downloads what the policy would keep and is not here yet, soonest to expire
---first; each in a task of the client, so that others go on while one waits.
---One that fails stops no other.
---@param client squarecloud.Client
---@param options squarecloud.mirror.SyncOptions `on_empty` is "keep_newest"
---unless given: a sync removes nothing
---@return squarecloud.mirror.Results? results in the order of the work, then
---the listings that failed: "downloaded" (`err`: its etag could not be written
---down), "adopted", "failed", "skipped", "planned"
---@return squarecloud.Error? err when nothing could be begun: locked, a bad
---policy, no listing at all
function methods:sync(client, options)
  check_open(self, "sync")
  if type(client) ~= "userdata" and type(client) ~= "table" then
    check.fail("sync", "expected a client, got %s", type(client))
  end
  options = check.options("sync", options, check.with_retention {
    apps = "ids", databases = "ids", all = "boolean", policy = "table",
    concurrency = "count", segments = "segments", dry_run = "boolean",
    adopt = "boolean", progress = "progress" })
  local settings = check.settings("sync", options)
  if options.all and (options.apps or options.databases) then
    check.fail("sync", "either 'all', or 'apps' and 'databases'")
  elseif not (options.all or options.apps or options.databases) then
    check.fail("sync", "one of 'apps', 'databases', 'all' is missing")
  end
  options.concurrency = math.tointeger(options.concurrency or 4)
  if options.policy then
    local ok, why = retention.check_policy(options.policy)
    if not ok then
      return nil, failure.new("bad_request", why, { operation = "sync" })
    end
  end
  if options.dry_run then
    return sync.run(self, client, options, settings)
  end
  return locked(self, sync.run, client, options, settings)
end

---Removes the local files that a policy does not keep; never a file that the
---mirror did not make. Refuses what `on_empty` refuses.
---@param policy squarecloud.retention.Policy
---@param options? squarecloud.mirror.PruneOptions
---@return squarecloud.mirror.Results? results newest first, first those that
---stay: "kept", "removed", "planned", "failed"
---@return squarecloud.Error? err a bad policy, a refusal, locked
function methods:prune(policy, options)
  check_open(self, "prune")
  if type(policy) ~= "table" then
    check.fail("prune", "the policy must be a table, got %s", type(policy))
  end
  options = check.options("prune", options,
    check.with_retention { dry_run = "boolean" })
  local settings = check.settings("prune", options)
  if options.dry_run then
    return care.prune(self, policy, options, settings)
  end
  return locked(self, care.prune, policy, options, settings)
end

---Reads everything again, down to every CRC.
---@param options? squarecloud.mirror.VerifyOptions|string or the id
---@return squarecloud.mirror.Results? results by path: "ok", "damaged",
---"failed" (it could not be read)
---@return squarecloud.Error? err
function methods:verify(options)
  check_open(self, "verify")
  options = check.options("verify", options, { id = "id",
    application_type = "application_type", set_aside = "boolean",
    progress = "progress" }, "id")
  if options.set_aside then
    return locked(self, care.verify, options)
  end
  return care.verify(self, options)
end

-- The newest entry of an id that passes `test`; nil and an error when there is
-- none.
local function newest(self, method, options, test)
  local found, err = record.scan(self.dir)
  if not found then
    return nil, err
  end
  local chosen = {}
  for _, entry in ipairs(found.entries) do
    if care.is_chosen(entry, options) and (not test or test(entry)) then
      chosen[#chosen + 1] = entry
    end
  end
  local entry = retention.latest(chosen)
  if not entry then
    return nil, failure.new("not_found", "the mirror has no such snapshot",
      { operation = method .. " " .. failure.show(options.id) })
  end
  return entry
end

---The newest snapshot of an application or database.
---@param options squarecloud.mirror.LatestOptions|string or the id
---@return squarecloud.mirror.Entry? entry
---@return squarecloud.Error? err `not_found` when there is none
function methods:latest(options)
  check_open(self, "latest")
  options = check.options("latest", options,
    { id = "id", application_type = "application_type" }, "id")
  if not options.id then
    check.fail("latest", "option 'id' is missing")
  end
  return newest(self, "latest", options)
end

---How an application or database can be brought back; nothing is sent.
---@param options squarecloud.mirror.PlanOptions|string or the id
---@return squarecloud.mirror.Plan? plan
---@return squarecloud.Error? err `not_found`
function methods:restore_plan(options)
  check_open(self, "restore_plan")
  options = check.options("restore_plan", options, { id = "id", at = "time",
    application_type = "application_type", version_id = "id", now = "time" },
    "id")
  if not options.id then
    check.fail("restore_plan", "option 'id' is missing")
  end
  local at, now = check.moment("restore_plan", "at", options.at),
    check.moment("restore_plan", "now", options.now) or os.time()
  local entry, err = newest(self, "restore_plan", options, function(one)
    return (not options.version_id or one.version_id == options.version_id)
      and (not at or retention.parse_time(one.created_at) <= at)
  end)
  if not entry then
    return nil, err
  end
  local plan = { entry = entry, path = entry.path,
    expires_at = retention.expires_at(entry) }
  if plan.expires_at <= now then
    plan.how, plan.reason = "upload", "the platform keeps it for 30 days only"
  elseif not entry.version_id then
    plan.how, plan.reason = "upload", "its version is not known"
  else
    plan.how, plan.reason = "platform", "the platform still has it"
    plan.restore = { application_type = entry.application_type,
      app_id = entry.app_id, snapshot_id = entry.id,
      version_id = entry.version_id }
  end
  return plan
end

---Takes in a ZIP file that lies in `<dir>/<application_type>/<id>/` without
---its JSON, after reading it whole. What its name does not tell must be said.
---From then on it is the mirror's, and prune may remove it. A file that has its
---JSON is an entry already, which is given as it is.
---@param options squarecloud.mirror.AdoptOptions|string or the path
---@return squarecloud.mirror.Entry? entry
---@return squarecloud.Error? err `integrity`, `filesystem`, or `exists`: its
---JSON is not ours, or another file is this snapshot already
function methods:adopt(options)
  check_open(self, "adopt")
  options = check.options("adopt", options, { path = "string", id = "id",
    version_id = "id", created_at = "time", app_id = "id" }, "path")
  if not options.path then
    check.fail("adopt", "option 'path' is missing")
  end
  check.moment("adopt", "created_at", options.created_at)
  local path, err = files.absolute(options.path)
  if not path then
    return nil, err
  end
  local entry = care.describe(self.dir, path, options)
  if not entry then
    check.fail("adopt", "'%s' is not in a folder of this mirror for one "
      .. "application or database", failure.show(path))
  end
  for _, name in ipairs { "id", "created_at" } do
    if not entry[name] then
      check.fail("adopt", "option '%s' is missing: the file's name does not "
        .. "tell it", name)
    end
  end
  return locked(self, care.adopt, entry)
end

---Ends the use of a mirror. A sync under way in a task ends soon: downloads
---stop where they are, to be continued by the next.
function methods:close()
  if getmetatable(self) ~= Mirror then
    error("close: expected a mirror, got " .. type(self), 2)
  end
  self.closed = true
end

Mirror.__close = methods.close

function Mirror:__tostring()
  return ("%s (%s%s)"):format(Mirror.__name, failure.show(self.dir),
    self.closed and ", closed" or "")
end

---Opens a mirror.
---@param options squarecloud.mirror.OpenOptions|string or the folder
---@return squarecloud.Mirror? mirror to be closed
---@return squarecloud.Error? err of kind `filesystem`
local function open(options)
  options = check.options("open", options, { dir = "string",
    create = "boolean", lock = "boolean" }, "dir")
  if not options.dir or options.dir == "" or options.dir:find "\0" then
    check.fail("open", "option 'dir' %s", not options.dir and "is missing"
      or options.dir == "" and "is empty" or "holds a NUL")
  end
  local dir, err = files.absolute(options.dir)
  local ok = dir
  if dir and options.create ~= false then
    ok, err = files.make_folder(dir)
  elseif dir then
    ok, err = files.names(dir)
  end
  if not ok then
    return nil, err
  end
  return setmetatable({ dir = dir, closed = false,
    locks = options.lock ~= false }, Mirror)
end

---@class squarecloud.mirror
---@field TYPES string[] the application types, as folders have them
local mirror = { open = open, TYPES = layout.TYPES }

return mirror
