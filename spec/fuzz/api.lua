--- Throws random values, orders and closings at the whole API, against the real
-- test server: for the sanitizers to watch, and with statements of its own.
--
--   lua5.4 spec/fuzz/api.lua SECONDS [SEED]
--
-- An episode is a few hundred calls on a pool of objects of all classes, in
-- and out of tasks, closed and collected in any order. SEED is the first
-- episode's, which is all there is with SECONDS 0; each prints its own. What
-- an episode has done stands in build/fuzz/api.trace, line by line before it
-- is done, however it ends. The network's timing is not the seed's.
--
-- Wrong is: an error of Lua's own making from inside the library ("attempt to
-- index ..."); a `nil` without an error of a known kind; the key in anything
-- said; a task, descriptor or file left over. Exit code 1 then.
package.path = "./?.lua;" .. package.path

local lfs = require "lfs"
local socket = require "socket"
local classes = require "spec.support.classes"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local zips = require "spec.support.zips"
local square = require "squarecloud"

local SECONDS = tonumber(arg[1]) or 20
local SEED = math.tointeger(tonumber(arg[2] or os.time()))
local ACTIONS, DEPTH_MAX, POOL_MAX = 300, 3, 40
local TRACE = "build/fuzz/api.trace"
local KINDS = {}
for kind in ([[authentication permission not_found bad_request rate_limited
  quota pending server network tls timeout protocol expired integrity filesystem
  exists cancelled closed]]):gmatch "%S+" do KINDS[kind] = true end

local random = math.random
local here = lfs.currentdir()
for _, name in ipairs { "path", "cpath" } do -- the folder changes below
  package[name] = (";" .. package[name]):gsub(";%./", ";" .. here .. "/")
    :sub(2)
end
assert(square.retention and square.mirror and square.progress)

local s <close> = server.start()
local base <close> = helpers.tmpdir()
require("env_probe").set("TMPDIR", tostring(base))
os.execute("mkdir -p build/fuzz")
local trace = assert(io.open(TRACE, "w"))
trace:setvbuf "line"

local function pick(list) return list[random(#list)] end

---------------------------------------------------------------------- values

local pool -- what the episode has made: { class =, value = }
local dir -- its folder

local function bytes(most)
  local b = {}
  for i = 1, random(0, most) do b[i] = random(0, 255) end
  return (string.char(table.unpack(b)):gsub("/", "_")) -- stays in the folder
end

local STRINGS = { "", ".", "..", "a", "app", "database", "applications",
  "full", "a\0b", "\27[31m", "a b", "snapshot.zip", "x/../y", "é",
  ("x"):rep(300), "https://127.0.0.1:1/a.zip?Signature=x", "http://example.com",
  "ftp://127.0.0.1", "2024-01-01T00:00:00Z", "7d", "nil" }

local function text()
  local n = random(8)
  if n == 1 then return bytes(40) end
  if n == 2 then return pick(s.apps) end
  if n == 3 then return pick(s.databases) end
  if n == 4 then return dir end
  if n == 5 and pool.url then return pool.url end
  return pick(STRINGS)
end

local NUMBERS = { 0, 1, -1, 2, 16, 17, 0.001, 0.5, -0.5, 0 / 0, 1 << 53,
  math.maxinteger, math.mininteger, 1e300, 3.0 }

-- Of seconds: nothing here waits long.
local function seconds()
  return pick { 0, 0, 0.001, 0.003, 0.01, -1, 0 / 0, "x", false }
end

local act -- below

local function callback()
  return pick {
    function() end,
    function() return false end,
    function() error "raised by the fuzzer" end,
    function() error({}) end,
    function() act() end,
    function() coroutine.yield() end,
    function() collectgarbage() end,
    coroutine.wrap(function() end),
  }
end

local function object(class)
  local found = {}
  for _, one in ipairs(pool) do
    if not class or one.class == class then found[#found + 1] = one.value end
  end
  return #found > 0 and pick(found) or nil
end

local OPTIONS = { "app_id", "application_type", "account_id", "scope",
  "snapshot_id",
  "version_id", "wait", "url", "path", "filename", "overwrite", "resume",
  "verify", "segments", "progress", "misspelt", "apps", "policy", "dry_run",
  "keep_last", "max_bytes", "max_entries", "trace", 1 }

local function value(depth)
  local n = random(12)
  if n <= 4 then return text() end
  if n == 5 then return pick(NUMBERS) end
  if n == 6 then return random(2) == 1 end
  if n == 7 then return callback() end
  if n <= 9 then return object() end
  if n == 10 then return coroutine.create(callback()) end
  if n == 11 and (depth or 0) < 2 then
    local t = {}
    for _ = 1, random(0, 4) do
      local name = pick(OPTIONS)
      t[name] = name == "wait" and seconds() or value((depth or 0) + 1)
    end
    return t
  end
  return nil
end

-- Mostly what is meant.
local function maybe(meant)
  if random(12) == 1 then return value() end
  if type(meant) == "function" then return meant() end
  return meant
end

local function client_options()
  local o = { api_key = maybe(s.key), base_url = maybe(s.http_base_url),
    snapshots_url = maybe(s.http_snapshots_url), proxy = "", retries = 0,
    timeout = 0.5, action_timeout = 0.5, connect_timeout = 0.5,
    stall_timeout = 0.3 }
  if random(4) == 1 then o.trace = callback() end
  if random(6) == 1 then o.concurrency = maybe(1) end
  if random(10) == 1 then o.max_response_bytes = maybe(100) end
  if random(20) == 1 then o[pick(OPTIONS)] = value() end
  return o
end

local function download_options()
  local o = { path = maybe(function() return dir .. "/" .. random(3) end),
    overwrite = maybe(random(2) == 1) }
  if random(2) == 1 then o.filename = maybe(pick { "a.zip", "b.zip" }) end
  if random(3) == 1 then o.progress = maybe(callback) end
  if random(3) == 1 then
    o.verify = maybe(pick { "full", "structure", false })
  end
  if random(4) == 1 then o.segments = maybe(random(4)) end
  if random(4) == 1 then o.resume = maybe(random(2) == 1) end
  return o
end

local function restore_options()
  return { app_id = maybe(pick(s.apps)), snapshot_id = maybe(pick(s.apps)),
    version_id = maybe "1" }
end

-- A snapshot and how to rehearse it; nothing here waits long.
local function some_snapshot()
  return object(pick { "SnapshotInfo", "Snapshot" })
end

local function rehearsal_options()
  local o = { consent = maybe(random(6) > 1), settle = maybe(0),
    timeout = pick { 0.001, 0.05, 0.3, 0.3 } }
  if random(4) == 1 then o.keep = maybe(random(2) == 1) end
  if random(3) == 1 then o.progress = maybe(callback) end
  if random(3) == 1 then o.report = maybe {} end
  if random(20) == 1 then o[pick(OPTIONS)] = value() end
  return o
end

local function task_body()
  return function(...)
    for _ = 1, random(3) do act() end
    return ...
  end
end

local function app() return pick(s.apps) end
local function entry() return pick { "a.txt", "b.txt", "none" } end
local function some(f) return function() return maybe(f) end end

-- The arguments that a method is meant to have; others get whatever.
local MEANT = {
  Client = { snapshot = { some(app) }, all_app_snapshots = { some(app) },
    all_snapshots = {}, account = {}, workspaces = {}, app = { some(app) },
    database = { some(app) }, restore_snapshot = { some(restore_options) },
    rehearse_restore = { some(some_snapshot), some(rehearsal_options) },
    download = { function()
      local o = download_options()
      o.url = maybe(pool.url or "x")
      return o
    end },
    spawn = { task_body }, run = { task_body }, step = { seconds },
    sleep = { seconds }, pending = {}, pollfd = {}, close = {} },
  Snapshot = { download = { download_options }, resolve = {} },
  SnapshotInfo = { download = { download_options }, restore = {} },
  Handle = { restore_snapshot = { some(restore_options) } },
  ZipFile = { read = { some(entry) }, extract = { function()
    return dir .. "/out" .. random(3)
  end, function() return { overwrite = maybe(random(2) == 1) } end } },
  Task = { wait = { seconds }, cancel = {} },
}
local SECONDS_FIRST = { step = true, sleep = true, wait = true }

------------------------------------------------------------------- statements

local function fail(why)
  io.stderr:write(("api.lua: seed %d: %s\n"):format(pool.seed, why))
  trace:write("WRONG: ", why, "\n")
  trace:flush()
  os.execute("tail -n 40 '" .. here .. "/" .. TRACE .. "' >&2")
  os.exit(1)
end

local function check_text(what)
  local ok, shown = pcall(tostring, what)
  if ok and shown:find(s.key, 1, true) then
    fail("the key is shown: " .. shown)
  end
  return ok and shown or ""
end

local function check_raised(why)
  local shown = check_text(why)
  if shown:find("squarecloud/", 1, true) and shown:find("attempt to", 1, true)
    or shown:find("stack overflow", 1, true) then
    fail("an error of Lua's own: " .. shown)
  end
end

-- What a call has given; objects go to the pool. (A task gives what its body
-- gave, and the retention says what is wrong in plain text.)
local function take(what, count, first, second)
  local own = what:find "^Client" or what:find "^Snapshot"
    or what:find "^ZipFile" or what:find "^Handle" or what:find "^mirror "
  if own and first == nil and count > 1 then
    if type(second) ~= "table" or not KINDS[second.kind]
      or type(second.message) ~= "string" or second.message == "" then
      fail(what .. ": nil without an error: " .. tostring(second))
    end
    check_text(second)
  end
  local list = type(first) == "table" and #first > 0 and first or { first }
  for i = 1, math.min(#list, 3) do
    local class = type(list[i]) == "userdata"
      and (getmetatable(list[i]) or {}).__name
    class = type(class) == "string" and class:match "^squarecloud%.(.*)"
    if class then
      pool[#pool + 1] = { class = class, value = list[i] }
      if class == "SnapshotInfo" or class == "Snapshot" then
        pool.url = list[i].url
      end
    end
  end
  while #pool > POOL_MAX do table.remove(pool, random(#pool)) end
end

local function take_all(what, ok, ...)
  if ok then take(what, select("#", ...), ...) else check_raised((...)) end
end

---------------------------------------------------------------------- actions

local function shown(v)
  if type(v) == "string" then return ("%q"):format(v):gsub("\n", "n") end
  if type(v) ~= "table" or getmetatable(v) then
    return type(v) == "userdata" and "an object" or tostring(v)
  end
  local parts = {}
  for name, one in pairs(v) do
    parts[#parts + 1] = tostring(name) .. " = "
      .. (type(one) == "table" and "{...}" or tostring(shown(one)))
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function log(depth, what, ...)
  local words = {}
  for i = 1, select("#", ...) do words[i] = shown((select(i, ...))) end
  trace:write(("  "):rep(depth), what, "(", table.concat(words, ", "), ")\n")
end

local depth = 0
local called = {}

local function call(what, f, ...)
  log(depth, what, ...)
  called[what] = (called[what] or 0) + 1
  return take_all(what, pcall(f, ...))
end

local METHODS = {}
for class, metatable in pairs(classes.all()) do
  local list = classes.methods(metatable)
  METHODS[class] = { functions = list, names = helpers.keys(list) }
end

-- What these give is their function's.
local GIVES_ITS_OWN = { ["Client.run"] = "run" }

local function call_method(class, receiver)
  local methods = METHODS[class]
  if not methods then return end
  local name = pick(methods.names)
  if name == "close" and random(3) > 1 then return end
  if (name == "run" or name == "spawn") and depth >= DEPTH_MAX then return end
  local meant = MEANT[class] and MEANT[class][name]
  local arguments, count = {}
  if meant and random(10) > 1 or SECONDS_FIRST[name] then
    count = #meant
    for i, make in ipairs(meant) do arguments[i] = make() end
  else
    count = random(0, 3)
    for i = 1, count do arguments[i] = value() end
  end
  if random(50) == 1 then receiver = value() end
  local what = class .. "." .. name
  call(GIVES_ITS_OWN[what] or what, methods.functions[name], receiver,
    table.unpack(arguments, 1, count))
end

-- What every object can be asked.
local function look_at(class, v)
  local name = pick { "id", "url", "bytes", "status", "path", "none", 1 }
  call(class .. " index", function() return { v[name] } end)
  call(class .. " tostring", function() return { tostring(v) } end)
  call(class .. " ==", function() return v == object(class) end)
  if class == "ZipFile" then
    call("ZipFile #", function() return #v end)
    call("ZipFile entries", function()
      for _ in v:entries() do if random(3) == 1 then act() end end
    end)
  elseif class == "Snapshot" or class == "SnapshotInfo" then
    call(class .. " pairs", function() for _ in pairs(v) do act() end end)
  end
end

local MIRROR = { "list", "verify", "latest", "restore_plan", "adopt", "close" }

local function use_mirror()
  local mirror, err = square.mirror.open(dir .. "/mirror")
  if not mirror then return nil, err end
  local client = object "Client"
  if client then
    call("mirror sync", mirror.sync, mirror, client, {
      apps = maybe { pick(s.apps) }, progress = maybe(nil) })
  end
  call("mirror prune", mirror.prune, mirror, maybe { keep_last = 1 },
    maybe { dry_run = true })
  local name = pick(MIRROR)
  call("mirror " .. name, mirror[name], mirror, value())
  return mirror:close()
end

-- A rehearsal in a task, left at any of its steps: closed, cancelled, dropped
-- or forgotten.
local function use_rehearsal()
  local client = object "Client"
  if not client then return end
  if not some_snapshot() then
    call("Client.snapshot", client.snapshot, client, pick(s.apps))
  end
  local task
  call("Client.spawn", function()
    task = client:spawn(client.rehearse_restore, client, some_snapshot(),
      rehearsal_options())
    return task
  end)
  for _ = 1, random(0, 30) do
    call("Client.step", client.step, client, pick { 0, 0.001 })
  end
  local leave = pick { function() client:close() end, act, collectgarbage,
    function() return task:cancel() end }
  call("leave a rehearsal", leave)
end

local FAULTS = { "reset", "empty_reply", "drop_kept", "close_after", "cut",
  "chunked_malformed", "no_length", "http09", "nothing", "html", "gzip",
  "json_deep", "ignore_range", "range_not_satisfiable", "short_range" }

local ACTS = {
  function() call("Client", square.Client, maybe(client_options)) end,
  function() call("open_zip", square.open_zip, maybe(dir .. "/sample.zip")) end,
  function() collectgarbage() end,
  function() collectgarbage "step" end,
  function() if #pool > 0 then table.remove(pool, random(#pool)) end end,
  function() call("retention", square.retention[pick { "apply", "latest",
    "newer_than", "check_policy", "describe", "parse_time", "to_download",
    "total_size", "quota_left" }], value(), value(), value()) end,
  function() if random(4) == 1 then call("mirror", use_mirror) end end,
  use_rehearsal,
  function()
    local client = object "Client"
    if client then
      call("Client.step", client.step, client, 0)
      call("list", client.all_app_snapshots, client, pick(s.apps))
    end
  end,
  function()
    local co = coroutine.wrap(function() act() end)
    call("in a coroutine", function() co() end)
  end,
  function()
    if random(6) > 1 then return end
    s:clear_faults()
    if random(2) == 1 then
      pcall(s.fault, s, { fault = pick(FAULTS), times = 1,
        match = { path = pick { "/v2", "/applications", "/" } } })
    end
  end,
}

function act()
  if depth > DEPTH_MAX then return end
  depth = depth + 1
  if random(3) == 1 or #pool == 0 then
    pick(ACTS)()
  else
    local one = pick(pool)
    if random(4) == 1 then
      look_at(one.class, one.value)
    else
      call_method(one.class, one.value)
    end
  end
  depth = depth - 1
end

--------------------------------------------------------------------- episodes

local function close_all()
  while #pool > 0 do
    local one = table.remove(pool, random(#pool))
    if one.class == "Task" and random(2) == 1 then
      pcall(one.value.cancel, one.value)
    elseif random(2) == 1 then
      pcall(function() one.value:close() end)
    end
    if random(4) == 1 then collectgarbage() end
  end
end

local function episode(seed)
  trace:close()
  trace = assert(io.open(here .. "/" .. TRACE, "w"))
  trace:setvbuf "line"
  trace:write("seed ", seed, "\n")
  math.randomseed(seed)
  s:reset()
  local above = ("%s/%d"):format(base, seed)
  dir = above .. "/in" -- so that ".." is the episode's, too
  assert(lfs.mkdir(above) and lfs.mkdir(dir) and lfs.chdir(dir))
  zips.write(dir .. "/sample.zip", zips.sample "stored")
  pool = { seed = seed }
  depth = 0
  call("Client", square.Client, client_options())
  for _ = 1, ACTIONS do act() end
  depth = 0
  close_all()
  pool.url = nil
  collectgarbage()
  collectgarbage()
  lfs.chdir(here)
  helpers.remove(above)
  for _, name in ipairs(helpers.names(tostring(base))) do
    fail("left over: " .. name)
  end
end

local before
local seed, ending = SEED, socket.gettime() + SECONDS
warn "@off"
repeat
  episode(seed)
  local files = helpers.open_files()
  before = before or files
  if files > before then
    fail(("%d descriptors more are open"):format(files - before))
  end
  seed = seed + 1
until socket.gettime() >= ending
local kinds, calls = 0, 0
for _, n in pairs(called) do kinds, calls = kinds + 1, calls + n end
print(("fuzz: api clean, seeds %d to %d: %d calls of %d kinds"):format(SEED,
  seed - 1, calls, kinds))
