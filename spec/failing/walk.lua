--- Lets one thing fail, at its n-th call, in one scenario after another, for
-- n = 1, 2 … until the scenario is through before anything fails.
--
--   lua5.4 spec/failing/walk.lua WHERE WHAT,... TIMES STRIDE [SCENARIO...]
--
-- with spec/failing/shim.c preloaded, whose head says what the words mean.
-- WHAT: a name, with `:` and an errno behind it. WHERE `load`: the module is
-- loaded, into a state of its own. TIMES: so many calls in a row fail. STRIDE:
-- every how manieth n is tried, from a random one on (seed FAILING_SEED).
-- After each failure: was it clean, is nothing left open, allocated or half
-- written, and does the same script then do its work? Prints a line for each
-- scenario, and one for each thing that is wrong; exit code 1 when there is
-- any. FAILING_VERBOSE: prints what comes of each n.
package.path = "./?.lua;" .. package.path

local shim = require "failing_shim"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local square = require "squarecloud"
local scenarios = require "spec.failing.scenarios"

local where, whats = arg[1], arg[2]
local times, stride = math.tointeger(tonumber(arg[3])),
  math.tointeger(tonumber(arg[4]))
local wanted
for i = 5, #arg do
  wanted = wanted or {}
  wanted[arg[i]] = true
end

local SEED = math.tointeger(tonumber(os.getenv "FAILING_SEED" or os.time()))
local VERBOSE = os.getenv "FAILING_VERBOSE"
local POINTS_MAX = 100000
local RESET_EVERY = 100 -- the test server's snapshots become many
math.randomseed(SEED)

-- libcurl 7.88 loses an address's query when it finds no memory for it, and
-- libzip 1.7 a few bytes of an entry that it cannot open: theirs to mend
local of_others = where == "curl" or where == "zip"

local what, errno -- what fails now, and how
local of_memory
local kinds -- what may come of it, beside a raise for want of memory

local function set_out(name, number)
  what, errno = name, math.tointeger(tonumber(number)) or 12
  of_memory = what == "malloc" or what == "allocator"
  kinds = what == "allocator" and {}
    or of_memory and { network = true, filesystem = true,
      protocol = where == "curl", permission = where == "curl" }
    or { filesystem = true, exists = errno == 17,
      network = what == "pthread_create" }
end

local function collect()
  collectgarbage()
  collectgarbage()
end

-------------------------------------------------------------------- set up

local s <close> = server.start()
local env = { s = s, warned = shim.warned }
local tries = 0

function env.client(overrides)
  local options = { api_key = s.key, base_url = s.http_base_url,
    snapshots_url = s.http_snapshots_url, proxy = "", retries = 0 }
  for name, value in pairs(overrides or {}) do options[name] = value end
  return square.Client(options)
end

local function set_up_server()
  s:reset()
  env.large = nil
  local client <close> = env.client()
  s:make_snapshot { app = s.apps[1] }
  local info = assert(client:all_app_snapshots(s.apps[1]))[1]
  env.url, env.version = info.url, info.version_id
  env.object = env.url:match("^%w+://[^/]*([^?]*)")
  local dir <close> = helpers.tmpdir()
  local zip <close> = assert(info:download(tostring(dir)))
  env.etag, env.bytes = zip.etag, helpers.read_file(zip.path)
end

---------------------------------------------------------------- the judgement

local MEMORY = { "not enough memory", "out of memory", "stack overflow",
  "too many" }

local function is_memory(text)
  for _, words in ipairs(MEMORY) do
    if text:find(words, 1, true) then return true end
  end
end

-- nil when a failure was told as it should be, else what is wrong with it.
local function judge(outcome, result, err)
  if outcome == "memory" then
    return not of_memory and "a memory error"
  elseif outcome == "error" then
    local text = tostring(result)
    if type(result) == "table" and kinds[result.kind] then return end
    if of_memory and is_memory(text) then return end
    return "raised: " .. text
  elseif result then
    return -- it did without
  elseif type(err) == "table" and kinds[err.kind] and err.message ~= "" then
    return
  elseif of_memory and is_memory(tostring(err and err.message or err)) then
    return
  end
  return "gave nil, " .. tostring(err)
end

local function check_kept(scenario)
  for _, name in ipairs(helpers.names(env.dir)) do
    local may = false
    for _, finished in ipairs(scenario.finished or {}) do
      may = may or name == finished
    end
    for _, pattern in ipairs(scenario.kept or {}) do
      may = may or name:find(pattern)
    end
    -- what could not be removed stays for the next call
    may = may or what == "unlinkat" and name:find "%.part%.meta%.new$"
    if not may then error("left over: " .. name, 0) end
  end
end

---------------------------------------------------------------------- a walk

local base -- what is open and allocated when nothing goes on

local function check_leaks(what_of)
  collect()
  local core, others = shim.live()
  local files = helpers.open_files()
  if core ~= 0 then
    error(("%s: %d blocks of ours are not freed"):format(what_of, core), 0)
  elseif base and others > base.others and not of_others then
    error(("%s: %d blocks of libcurl and libzip are not freed"):format(
      what_of, others - base.others), 0)
  elseif base and files ~= base.files then
    error(("%s: %d descriptors more are open"):format(what_of,
      files - base.files), 0)
  end
end

local function empty_folder()
  for _, name in ipairs(helpers.names(env.dir)) do
    helpers.remove(env.dir .. "/" .. name)
  end
end

-- Judges what came of a scenario whose n-th call failed; how many calls there
-- were, and how many failed.
local function attempt(scenario, n, count)
  local at = scenario.prepare and scenario.prepare(env)
  local seen, failed, outcome, result, err = shim.call(where, what, n, count,
    errno, function() return scenario.call(env, at) end)
  if VERBOSE then
    print(scenario.name, n, outcome, tostring(result), tostring(err))
  end
  local why = judge(outcome, result, err)
  if why then error(why, 0) end
  if outcome == "ok" and result then
    if scenario.check then scenario.check(env, at, result) end
  else
    if scenario.survey then scenario.survey(env, at) end
    check_kept(scenario)
  end
  return seen, failed
end

local function try(scenario, n, count)
  tries = tries + 1
  if tries % RESET_EVERY == 0 then set_up_server() end
  empty_folder()
  local seen, failed = attempt(scenario, n, count)
  check_leaks "after it"
  return seen, failed
end

local function work(scenario)
  local at = scenario.name == "wait" and scenario.prepare(env)
  local result, err = scenario.call(env, at)
  if not result then error("then: " .. tostring(err), 0) end
  if scenario.check then scenario.check(env, at, result) end
end

-- Afterwards all is as if nothing had been; what lies there is used, but for
-- what was finished before something else failed, or in spite of it.
local function again(scenario)
  for _, name in ipairs(scenario.finished or {}) do
    os.remove(env.dir .. "/" .. name)
  end
  work(scenario)
  check_leaks "then"
end

local wrongs = 0

local function wrong(name, n, why)
  wrongs = wrongs + 1
  print(("WRONG %s, %s %s number %d (%d in a row, errno %d): %s"):format(
    name, where, what, n, times, errno, tostring(why)))
end

-- What is open and allocated once libcurl and libzip have what they keep.
local function find_base(scenario)
  base = nil
  try(scenario, 0, 0)
  base = { files = helpers.open_files(), others = select(2, shim.live()) }
  try(scenario, 0, 0)
end

local function walk(scenario)
  local dir <close> = helpers.tmpdir()
  env.dir = tostring(dir)
  find_base(scenario)
  local tried, n = 0, math.random(stride)
  repeat
    local ok, seen, failed = pcall(try, scenario, n, times)
    local why = not ok and seen
    if ok and failed > 0 then ok, why = pcall(again, scenario) end
    if not ok then
      wrong(scenario.name, n, why)
      find_base(scenario)
    end
    tried, n = tried + 1, n + stride
  until ok and failed == 0 or n > POINTS_MAX or wrongs > 20
  if scenario.changes then set_up_server() end
  print(("%s, %s %s: %d times"):format(scenario.name, where, what, tried))
end

-- Run twice in one state: what failed half way must not stay half made.
local LOAD = [[
local core = require "squarecloud.core"
local client <close> = core.Client { api_key = "key", retries = 0, proxy = "",
  base_url = "http://127.0.0.1:1" }
local response, err = client:restore_snapshot { app_id = "a",
  snapshot_id = "a", version_id = "1" }
assert(not response and err.kind == "network", err)
assert(tostring(err):find("network", 1, true) and client:app "a".id == "a")
assert(client:run(function() return client:sleep(0) end))
for name, method in pairs { Client = "__gc", Call = "__gc", Engine = "__gc",
  Task = "__gc", ZipFile = "__gc", Lock = "__gc", Folder = "__gc",
  Snapshot = "__index", Response = "__index", SnapshotInfo = "__index",
  Error = "__tostring" } do
  assert(debug.getregistry()["squarecloud." .. name][method], name)
end
]]

local function walk_load()
  local tried, n = 0, math.random(stride)
  repeat
    local _, failed, outcome, why, again_why = shim.load(n, times, LOAD)
    if outcome == "error" and not is_memory(why) or again_why then
      wrong("load", n, ("%s; then: %s"):format(why, again_why))
    end
    tried, n = tried + 1, n + stride
  until failed == 0 or wrongs > 20
  check_leaks "after loading"
  print(("load: %d times"):format(tried))
end

io.stdout:setvbuf "line"
set_up_server()
for name, number in whats:gmatch "([%w_]+):?(%d*)" do
  set_out(name, number)
  env.what = what
  for _, scenario in ipairs(where == "load" and {} or scenarios) do
    if not wanted or wanted[scenario.name] then walk(scenario) end
  end
  if where == "load" then walk_load() end
end
print(("walked, seed %d, %d wrong"):format(SEED, wrongs))
s:stop()
os.exit(wrongs == 0, true)
