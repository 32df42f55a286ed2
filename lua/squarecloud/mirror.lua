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

---@class squarecloud.mirror.Entry: squarecloud.retention.Element
---@field id string as the platform lists it
---@field version_id? string
---@field created_at string
---@field bytes integer
---@field application_type "app"|"database"
---@field app_id string what it is a snapshot of: the id without a type behind
---@field etag? string the store's
---@field path string absolute

---@class squarecloud.mirror.Problem
---@field path string
---@field kind "none"|"damaged"|"foreign"|"newer"|"copy"|"unreadable"
---@field message string
---@field entry? squarecloud.mirror.Entry what a damaged file should be

---@class squarecloud.Mirror
---@field dir string absolute
local Mirror = { __name = "squarecloud.Mirror" }

local methods = {}
Mirror.__index = methods

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

---Everything the mirror holds, by path, so by id and oldest first: what the
---filters take.
---@return squarecloud.mirror.Entry[]? entries
---@return squarecloud.mirror.Problem[]|table problems ZIP files in the
---mirror's folders that are no entries, and why; or the error
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
---@param client userdata
---@param options { apps: string[]?, databases: string[]?, all: boolean?,
--- policy: squarecloud.retention.Policy?, concurrency: integer?,
--- segments: integer?, dry_run: boolean?, adopt: boolean?, progress: any }
--- apps, databases: ids; all: the whole account; policy: none keeps all that
--- is listed; concurrency: 4; dry_run: says what would be downloaded; adopt:
--- takes in whole files that only lack their JSON; progress: an object of
--- squarecloud.progress, or function(snapshot, done, total, bytes_per_second)
--- where false ends the sync. And the retention's options, with `on_empty`
--- "keep_newest" unless given: a sync removes nothing
---@return table[]? results in the order of the work: an entry's fields, and
---`status`: "downloaded" (`err`: its etag could not be written down),
---"adopted", "failed" (`err`), "skipped" (ended before its turn), "planned";
---then the listings that failed (no `path`). Beside them how many there are
---of each: results.downloaded, .failed, …, and their .bytes
---@return table? err when nothing could be begun: locked, a bad policy, no
---listing at all
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
---@param options? { dry_run: boolean? } and the retention's options
---@return table[]? results newest first, first those that stay: an entry's
---fields, and `status`: "kept" (`reasons`), "removed", "planned", "failed"
---(`err`); beside them how many of each, and the .bytes removed or planned
---@return table? err a bad policy, a refusal, locked
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
---@param options? { id: string?, application_type: string?,
--- set_aside: boolean?, progress: any } id: only this one's (alone: the main
--- argument); set_aside: what is damaged is renamed to `<name>.zip.damaged`,
--- so that the next sync fetches it anew; progress: an object of
--- squarecloud.progress, or function(entry, done, total) where false ends it
---@return table[]? results by path: an entry's fields, and `status`: "ok",
---"damaged" (`err`; `set_aside`: its new path), "failed" (`err`: it could not
---be read); beside them how many of each, and the .bytes that are ok
---@return table? err
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
---@param options string|{ id: string, application_type: string? }
---@return squarecloud.mirror.Entry? entry
---@return table? err `not_found` when there is none
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
---@param options string|{ id: string, application_type: string?,
--- version_id: string?, at: string|number?, now: string|number? }
--- version_id: this one; at: the newest that is not later; else the newest
---@return { entry: squarecloud.mirror.Entry, path: string, how: string,
--- restore: table?, expires_at: number, reason: string }? plan
---`how` is "platform" while the platform has the snapshot: `restore` is what
---client:restore_snapshot takes. Else it is "upload": the file at `path` is
---what there is, to be uploaded by hand; `reason` says why
---@return table? err `not_found`
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
---From then on it is the mirror's, and prune may remove it.
---@param options string|{ path: string, id: string?, version_id: string?,
--- created_at: string|number?, app_id: string? }
---@return squarecloud.mirror.Entry? entry
---@return table? err `integrity`, `filesystem`, or `exists`: its JSON is not
---ours, or another file is this snapshot already
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
---@param options string|{ dir: string, create: boolean?, lock: boolean? }
--- dir: its folder (alone: the main argument), made if missing unless `create`
--- is false; lock = false: no lock, for file systems that refuse one
---@return squarecloud.Mirror? mirror to be closed
---@return table? err of kind `filesystem`
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

return { open = open, TYPES = layout.TYPES }
