-- luacheck: std ngx_lua
--- The account: its applications and databases (each a folder under `live/`),
-- their snapshots (each a file under `store/`), its settings.
-- Owns all that a reset puts back; lives in nginx's one process. Functions
-- that can refuse return nil and { http status, code, message, headers }.

local lfs = require "lfs"
local fixtures = require "fixtures"
local limits = require "limits"
local posix = require "posix"
local random_name = require "random_name"
local signature = require "signature"

local state = { generation = 0 }

local DEFAULTS = {
  limits = {},            -- see the head of server.lua
  plan = "standard",
  expires_in = 30 * 86400, -- seconds that a download address holds
  processing_ms = nil,    -- creating answers 202; the snapshot comes later
  create_ms = 0,          -- creating takes this long to answer
  created_version = false, -- what creating answers has a versionId
  boot = "runs",          -- what becomes of an upload
  boot_ms = 0,            -- how long that takes
  restore_ms = 0,         -- a restore takes this long to settle
  upload_limit = 100 * 1024 * 1024, -- bytes of a file: more is a 413
  listing_cache_ms = 0,   -- a listing stays as it was for so long
  cache_cleared = false,  -- a new snapshot's end drops what is cached
  latency_ms = 0,         -- before every answer
  limit_rate = 0,         -- bytes per second and connection, store and files
  record = true,          -- requests are kept
  snapshots_url = nil,    -- where created snapshots' urls point
}

--- Sleeps at least so long: nginx counts from its cached clock, which may be
-- late, in whole milliseconds.
function state.sleep(seconds)
  ngx.update_time()
  ngx.sleep(seconds + 0.001)
end

local function iso(ms)
  return os.date("!%Y-%m-%dT%H:%M:%S", math.floor(ms / 1000))
    .. (".%03dZ"):format(ms % 1000)
end

local function folder_of(id)
  return (id:gsub("[^A-Za-z0-9_-]",
    function(c) return ("=%02x"):format(c:byte()) end))
end

--- Adds an application or database with its files.
-- @param spec kind, id, name, owner (an account's id), ram, type, suffix (its
-- snapshots are named `<id>_<type>`), files
function state.add_resource(spec)
  local resource = {
    kind = spec.kind, id = spec.id, name = spec.name or spec.id,
    owner = spec.owner or state.account, ram = spec.ram or 256,
    type = spec.type, snapshots = {},
    dir = state.dir .. "/live/" .. spec.kind .. "/" .. folder_of(spec.id),
  }
  resource.snapshot_name = spec.suffix
    and (spec.id .. "_" .. spec.type) or spec.id
  state.remove_resource(spec.kind, spec.id)
  posix.write_tree(resource.dir, spec.files or {})
  local list = state[spec.kind]
  list[#list + 1] = resource
  return resource
end

function state.remove_resource(kind, id)
  for i, resource in ipairs(state[kind]) do
    if resource.id == id then
      posix.remove_tree(resource.dir)
      return table.remove(state[kind], i)
    end
  end
end

--- Adds a workspace of `owner`, in which the key's account is too: what is in
-- it belongs to the owner.
-- @param spec id, name, owner, group (the account's), applications (as
-- add_resource takes them)
function state.add_workspace(spec)
  local owner = spec.owner or state.account
  local workspace = { id = spec.id or random_name(16), owner = owner,
    name = spec.name or "workspace", applications = {},
    members = { { id = owner, group = "owner" } } }
  if owner ~= state.account then
    workspace.members[2] = { id = state.account, group = spec.group or "admin" }
  end
  for i, app in ipairs(spec.applications or {}) do
    app.kind, app.owner = "applications", owner
    workspace.applications[i] = state.add_resource(app)
  end
  table.insert(state.workspaces, workspace)
end

--- The account's own applications or databases.
function state.own(kind)
  local list = {}
  for _, resource in ipairs(state[kind]) do
    if resource.owner == state.account then list[#list + 1] = resource end
  end
  return list
end

--- Back to the start: files, snapshots, settings. What belongs to the time
-- before (timers, stalled requests) sees that `generation` has changed.
function state.reset()
  state.generation = state.generation + 1
  state.released = 0
  state.config = {}
  for name, value in pairs(DEFAULTS) do state.config[name] = value end
  state.listings, state.cached = {}, {}
  limits.reset(state.config)
  state.workspaces = {}
  for _, name in ipairs { "store", "files", "tmp", "uploads" } do
    posix.write_tree(state.dir .. "/" .. name, {})
  end
  lfs.mkdir(state.dir .. "/live")
  for _, kind in ipairs { "applications", "databases" } do
    local folder, known = state.dir .. "/live/" .. kind, {}
    lfs.mkdir(folder)
    for _, spec in ipairs(state.owned[kind]) do
      known[folder_of(spec.id)] = true
    end
    for name in lfs.dir(folder) do
      if not name:find("^%.%.?$") and not known[name] then
        posix.remove_tree(folder .. "/" .. name)
      end
    end
    state[kind] = {}
    for _, spec in ipairs(state.owned[kind]) do
      spec.kind = kind
      state.add_resource(spec)
    end
  end
end

function state.boot(settings)
  state.dir, state.account = settings.dir, settings.account_id
  state.key, state.ports = settings.key, settings.ports
  state.owned = settings.account or fixtures
  state.reset()
end

function state.configure(changes)
  for name, value in pairs(changes) do
    if value == ngx.null then value = DEFAULTS[name] end
    state.config[name] = value
  end
end

--- The application or database of an id, or nil and an error.
function state.find(kind, id)
  for _, resource in ipairs(state[kind]) do
    if resource.id == id then return resource end
  end
  if not id:find("^[%w_-]+$") then
    return nil, { 400, "INVALID_ID" }
  end
  return nil, { 404,
    kind == "databases" and "DATABASE_NOT_FOUND" or "APP_NOT_FOUND" }
end

--- Whether a shell command with these arguments exits with 0; what it prints
-- goes into error.log. A LuaJIT made with 5.2's manners answers `true`.
function state.succeeds(command, ...)
  local log, quoted = posix.quote(state.dir .. "/error.log"), {}
  for i, one in ipairs { ... } do quoted[i] = posix.quote(one) end
  local status = os.execute(("{ %s; } </dev/null >>%s 2>&1"):format(
    command:format(unpack(quoted)), log))
  return status == 0 or status == true
end

--- Puts a file among a resource's snapshots, newest first.
-- @param spec file, modified_ms, version (nil: none), name, size, key, expires
function state.place(resource, spec)
  local entry = {
    resource = resource, kind = resource.kind, file = spec.file,
    name = spec.name or resource.snapshot_name, version = spec.version,
    modified = spec.modified_ms or limits.now_ms(),
    modified_text = spec.modified_text,
    size = spec.size or lfs.attributes(spec.file, "size"),
    etag = spec.etag or ('"' .. random_name(16) .. '"'),
    key = spec.key, expires = spec.expires,
  }
  local list, at = resource.snapshots, 1
  while list[at] and list[at].modified > entry.modified do at = at + 1 end
  table.insert(list, at, entry)
  if state.config.cache_cleared then state.cached = {} end
  return entry
end

function state.random_id()
  return random_name(16)
end

function state.random_version()
  return random_name(16):gsub("^(........)(....)(....)(....)",
    "%1-%2-%3-%4-")
end

local function signed(entry, version)
  return signature.sign(state.path_of(entry), version,
    entry.expires or (ngx.time() + state.config.expires_in))
end

--- The key of a listed snapshot.
function state.key_of(entry)
  return entry.key or signed(entry, entry.version)
end

--- The key that creating a snapshot gives: it opens what is the newest then.
function state.created_key(entry)
  return signed(entry, state.config.created_version and entry.version or nil)
end

--- The store's path of a snapshot, as it stands in an address.
function state.path_of(entry)
  return "/" .. entry.kind .. "/" .. entry.resource.owner .. "/"
    .. signature.escape(entry.name) .. ".zip"
end

local function is_empty(dir)
  for name in lfs.dir(dir) do
    if name ~= "." and name ~= ".." then return false end
  end
  return true
end

-- The shell's words that zip a folder, beside others, and that wait for it:
-- when it fails there is no file. zip refuses an empty folder.
local ZIP = "(cd %%s && exec zip -qrX -n .jpg %%s .) & zip_%d=$!\n"
local ZIP_NOTHING = [[
(cd %%s && printf 'PK\5\6' && head -c 18 /dev/zero) >%%s & zip_%d=$!
]]
local WAIT = "wait $zip_%d || rm -f %%s\n"

--- Makes snapshots of the files that resources hold now, all at once.
-- @param list of { resource =, modified_ms = (now) }
-- @return their entries
function state.make_snapshots(list)
  local count, commands, words, entries = #list, {}, {}, {}
  for i, one in ipairs(list) do
    local dir = one.resource.dir
    one.version = state.random_version()
    one.file = state.dir .. "/store/" .. one.version .. ".zip"
    commands[i] = (is_empty(dir) and ZIP_NOTHING or ZIP):format(i)
    commands[count + i] = WAIT:format(i)
    words[2 * i - 1], words[2 * i] = dir, one.file
    words[2 * count + i] = one.file
  end
  state.succeeds(table.concat(commands) .. "true", unpack(words))
  for i, one in ipairs(list) do
    if not lfs.attributes(one.file) then
      return nil, { 500, "SNAPSHOT_FAILED", "zip failed, see error.log" }
    end
    entries[i] = state.place(one.resource, one)
  end
  return entries
end

local function make_snapshot(resource)
  local entries, err = state.make_snapshots { { resource = resource } }
  if not entries then return nil, err end
  return entries[1]
end

--- Creates a snapshot. Returns the entry, or `true` when it comes later.
function state.create(resource)
  local allowed, err = limits.create(resource.id)
  if not allowed then return nil, err end
  local pause = state.config.create_ms
  if pause > 0 then state.sleep(pause / 1000) end
  if not state.config.processing_ms then
    return make_snapshot(resource)
  end
  local generation = state.generation
  ngx.update_time()
  ngx.timer.at(state.config.processing_ms / 1000, function(premature)
    if not premature and generation == state.generation then
      make_snapshot(resource)
    end
  end)
  return true
end

local function entry_json(entry)
  return ('{"name":%s,"size":%d,"modified":%s,"key":%s}'):format(
    signature.json(entry.name), entry.size,
    signature.json(entry.modified_text or iso(entry.modified)),
    signature.json(state.key_of(entry)))
end

-- The JSON of a listing, kept for listing_cache_ms when that is set.
local function cached(name, make)
  local found, period = state.cached[name], state.config.listing_cache_ms
  if found and limits.now_ms() - found.at < period then return found.text end
  local parts = {}
  for i, entry in ipairs(make()) do parts[i] = entry_json(entry) end
  local text = "[" .. table.concat(parts, ",") .. "]"
  if period > 0 then
    state.cached[name] = { at = limits.now_ms(), text = text }
  end
  return text
end

--- The listing of one resource, as JSON text.
function state.list(resource)
  return cached(resource.kind .. "/" .. resource.id,
    function() return resource.snapshots end)
end

--- The listing of all applications or databases, as JSON text.
function state.list_all(kind)
  if state.config.plan == "free" then
    return nil, { 402, "UPGRADE_REQUIRED" }
  end
  return cached(kind, function()
    local all = {}
    for _, resource in ipairs(state.own(kind)) do
      for _, entry in ipairs(resource.snapshots) do all[#all + 1] = entry end
    end
    return all
  end)
end

--- The snapshot at a path of the store; without a version the newest one
-- that has none, else the newest.
function state.stored(kind, account, name, version)
  local newest, known
  for _, resource in ipairs(state[kind] or {}) do
    for _, entry in ipairs(resource.snapshots) do
      if entry.name == name and resource.owner == account then
        known = true
        if version and entry.version == version then return entry end
        if not version and not entry.version then return entry end
        newest = newest or entry
      end
    end
  end
  if version then return nil, known and "NoSuchVersion" or "NoSuchKey" end
  return newest, "NoSuchKey"
end

--- A restore of this resource is under way for so long: others get 409.
function state.begin_restore(resource, ms)
  resource.restoring_until = limits.now_ms() + ms
end

function state.is_restoring(resource)
  return (resource.restoring_until or 0) > limits.now_ms()
end

--- A resource starts; what becomes of it is config.boot.
-- @param word its status meanwhile ("starting")
function state.begin_boot(resource, word)
  resource.stopped, resource.boot_word = nil, word
  resource.boots_until = limits.now_ms() + state.config.boot_ms
end

--- "start", "stop" or "restart".
function state.act(resource, what)
  if what == "stop" then
    resource.stopped = true
  elseif what == "restart" then
    state.begin_boot(resource, "restarting")
  elseif resource.stopped then
    state.begin_boot(resource)
  end
end

--- What the platform says an application or database is doing.
function state.status_of(resource)
  local how, boots = state.config.boot, resource.boots_until
  if resource.stopped then return "exited" end
  if not boots or how == "runs" and boots <= limits.now_ms() then
    return "running"
  elseif how == "crashes" then
    return boots <= limits.now_ms() and "exited" or "running"
  end
  return how == "fails" and "exited" or resource.boot_word or "starting"
end

-- The snapshot a restore names, by the id of what it was made of or its own
-- name, and its version; a database's may be another database's.
local function find_version(resource, snapshot_id, version)
  local among = resource.kind == "databases" and state.databases
    or { resource }
  for _, one in ipairs(among) do
    for _, entry in ipairs(one.snapshots) do
      if entry.version == version
        and (snapshot_id == one.id or snapshot_id == entry.name) then
        return entry
      end
    end
  end
end

--- Puts a snapshot's files in place of the resource's.
function state.restore(resource, snapshot_id, version)
  if state.is_restoring(resource) then
    return nil, { 409, "RESTORE_IN_PROGRESS" }
  end
  local allowed, err = limits.restore()
  if not allowed then return nil, err end
  local entry = find_version(resource, snapshot_id, version)
  if not entry then return nil, { 404, "SNAPSHOT_NOT_FOUND" } end
  if entry.resource.type ~= resource.type then
    return nil, { 400, "SNAPSHOT_DATABASE_MISMATCH" }
  end
  limits.restored()
  if not state.unpack(entry.file, resource.dir) then
    return nil, { 500, "SNAPSHOT_RESTORE_FAILED" }
  end
  state.begin_restore(resource, state.config.restore_ms)
  return true
end

--- Replaces a folder by an archive's content; false, and nothing changed,
-- when the archive cannot be unpacked.
function state.unpack(file, dir)
  local fresh = state.dir .. "/tmp/" .. random_name(8)
  lfs.mkdir(fresh)
  -- unzip calls an archive without entries an error (1)
  if not state.succeeds("unzip -qqo %s -d %s || [ $? = 1 ]", file, fresh) then
    posix.remove_tree(fresh)
    return false
  end
  posix.remove_tree(dir)
  return os.rename(fresh, dir)
end

return state
