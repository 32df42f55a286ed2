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
---@field app_id string the application's or database's id, without the type
---that a database snapshot's id may end in
---@field etag? string the store's
---@field path string absolute

---A ZIP file that is not an entry.
---@class squarecloud.mirror.Problem
---@field path string
---@field kind "none"|"damaged"|"foreign"|"newer"|"copy"|"unreadable"
---@field message string
---@field entry? squarecloud.mirror.Entry what a damaged file should be

---@class squarecloud.mirror.OpenOptions
---@field dir string its folder
---@field create? boolean create it if missing; default true
---@field lock? boolean default true; false is for file systems without locks

---@class squarecloud.mirror.SyncOptions: squarecloud.retention.Options
---@field apps? string[] ids
---@field databases? string[] ids
---@field all? boolean the whole account instead, and the applications of the
---workspaces that its key is in
---@field policy? squarecloud.retention.Policy default: keep everything listed
---@field concurrency? integer downloads at once; default 4
---@field segments? integer connections for each download
---@field dry_run? boolean only report what would be downloaded
---@field adopt? boolean add undamaged files that lack only their JSON
---@field progress? squarecloud.Progress|squarecloud.mirror.SyncProgress

---Return `false` to end the sync.
---@alias squarecloud.mirror.SyncProgress
---| fun(snapshot: table, done: integer, total: integer?, rate: number): false?

---@class squarecloud.mirror.PruneOptions: squarecloud.retention.Options
---@field dry_run? boolean only report what would be removed

---@class squarecloud.mirror.VerifyOptions
---@field id? string only this application's or database's
---@field application_type? squarecloud.ApplicationType
---@field set_aside? boolean rename damaged files to `<name>.zip.damaged`, so
---that the next sync downloads them again
---@field progress? squarecloud.Progress|squarecloud.mirror.VerifyProgress

---Return `false` to end the check.
---@alias squarecloud.mirror.VerifyProgress
---| fun(entry: squarecloud.mirror.Entry, done: integer, total: integer): false?

---@class squarecloud.mirror.LatestOptions
---@field id string
---@field application_type? squarecloud.ApplicationType

---@class squarecloud.mirror.PlanOptions
---@field id string
---@field application_type? squarecloud.ApplicationType
---@field version_id? string which one; default the newest
---@field at? string|number a time: the newest that is not later
---@field now? string|number a time; default os.time()

---@class squarecloud.mirror.AdoptOptions
---@field path string
---@field id? string required, as the others are, if the file's name does not
---contain it
---@field version_id? string
---@field created_at? string|number
---@field app_id? string

---How a snapshot can be restored.
---@class squarecloud.mirror.Plan
---@field how "platform"|"upload" "platform": the platform still has it;
---"upload": only the file is left, to be uploaded by hand
---@field entry squarecloud.mirror.Entry
---@field path string
---@field restore? squarecloud.RestoreOptions for client:restore_snapshot
---@field expires_at number epoch seconds
---@field reason string why

---What was done with one snapshot: an entry's fields (without `path` for a
---listing that failed), and the outcome.
---@class squarecloud.mirror.Result: squarecloud.mirror.Entry
---@field status string
---@field err? squarecloud.Error
---@field reasons? string[] prune: why it is kept
---@field set_aside? string verify: the new path

---An array of results, with a count for each status and a total of bytes.
---@class squarecloud.mirror.Results: { [integer]: squarecloud.mirror.Result }
---@field bytes integer total of what was downloaded, removed, or found ok
---@field failed integer
---@field downloaded? integer sync
---@field adopted? integer sync: files that lacked only their JSON
---@field skipped? integer sync: it ended before their turn
---@field planned? integer sync, prune: what a dry run would do
---@field kept? integer prune
---@field removed? integer prune
---@field ok? integer verify
---@field damaged? integer verify
---@field problems? string[] sync: what was left out of a listing because it
---could not be read; nil when nothing was

---A mirror. Must be closed.
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

---Everything the mirror holds, sorted by path, as the retention functions take
---it.
---@return squarecloud.mirror.Entry[]? entries
---@return squarecloud.mirror.Problem[]|squarecloud.Error problems ZIP files in
---the mirror's folders that are not entries, and why; or the error
function methods:list()
  check_open(self, "list")
  local found, err = record.scan(self.dir)
  if not found then
    return nil, err
  end
  return found.entries, found.problems
end

---Downloads whatever the policy would keep and the mirror does not have yet:
---first what has nothing in the mirror, then what has the oldest copies; of one
---application, soonest to expire first. Each download is a task of the client,
---so that the others continue while one waits. A failure does not stop the
---others.
---@param client squarecloud.Client
---@param options squarecloud.mirror.SyncOptions `on_empty` is "keep_newest"
---unless given: a sync removes nothing
---@return squarecloud.mirror.Results? results in the order of the work, then
---the listings that failed: "downloaded" (with `err` if its etag could not be
---recorded), "adopted", "failed", "skipped", "planned"
---@return squarecloud.Error? err if nothing could be started: locked, a bad
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
---@return squarecloud.mirror.Results? results newest first, with those that
---are kept first: "kept", "removed", "planned", "failed"
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

---Reads every file again and checks every CRC.
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

---How an application or database can be restored; nothing is sent.
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
    plan.how, plan.reason = "upload", "the platform keeps it for only 30 days"
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

---Adds a ZIP file that lies in `<dir>/<application_type>/<id>/` without its
---JSON, after checking it completely. Whatever its name does not contain must
---be given. From then on it belongs to the mirror, and prune may remove it. A
---file that has its JSON is already an entry, which is returned.
---@param options squarecloud.mirror.AdoptOptions|string or the path
---@return squarecloud.mirror.Entry? entry
---@return squarecloud.Error? err `integrity`, `filesystem`, or `exists`: its
---JSON does not belong to the mirror, or another file is this snapshot
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
    check.fail("adopt", "'%s' is not in the folder of an application or "
      .. "database of this mirror", failure.show(path))
  end
  for _, name in ipairs { "id", "created_at" } do
    if not entry[name] then
      check.fail("adopt", "option '%s' is missing: the file's name does not "
        .. "contain it", name)
    end
  end
  return locked(self, care.adopt, entry)
end

---Closes the mirror. A sync under way in a task ends soon: its downloads stop
---where they are, and the next sync resumes them.
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
---@return squarecloud.Mirror? mirror must be closed
---@return squarecloud.Error? err of kind `filesystem`
local function open(options)
  options = check.options("open", options, { dir = "string",
    create = "boolean", lock = "boolean" }, "dir")
  if not options.dir or options.dir == "" or options.dir:find "\0" then
    check.fail("open", "option 'dir' %s", not options.dir and "is missing"
      or options.dir == "" and "is empty" or "contains a NUL")
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
---@field TYPES string[] the application types, which name the folders
local mirror = { open = open, TYPES = layout.TYPES }

return mirror
