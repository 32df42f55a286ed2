--- make torture: downloads killed (SIGKILL) again and again, at any moment.
--   lua5.4 spec/torture/run.lua FOLDER     on a real disk; made, and removed
--
-- A round is a fresh folder, one to three killed runs and a last one that
-- must finish. The moment is chosen at random: anywhere in the run; while a
-- slow store sends; after all bytes are there (sync, check); or when the
-- part's record goes away, which is just before the rename. Runs have one
-- segment or four, over HTTP or TLS, with and without the check of the ZIP,
-- which would mend what a wrong resume had broken; some replace an older file.
--
-- Wrong is: a file under the final name that is not the whole one (or, where
-- one is replaced, the older one), at any time; a last run that does not
-- finish; anything beside the final file then; a part whose bytes turned out
-- wrong, so that the library started over.
--
-- Environment: TORTURE_ROUNDS (200), TORTURE_SECONDS (360), TORTURE_MIB (200),
-- TORTURE_SEED (the clock's).
package.path = "./?.lua;" .. package.path

local lfs = require "lfs"
local socket = require "socket"
local archive = require "spec.support.archive"
local helpers = require "spec.support.helpers"
local quote = require "spec.support.quote"
local server = require "spec.support.server"

local function setting(name, default)
  return math.tointeger(tonumber(os.getenv("TORTURE_" .. name) or default))
end

local ROUNDS, SECONDS = setting("ROUNDS", 200), setting("SECONDS", 360)
local MIB, SEED = setting("MIB", 200), setting("SEED", os.time())
local PATIENCE = 120 -- seconds, for one run
local SLOW = 40 * 1000 * 1000 -- bytes a second and connection
local NAME, RECORD = "torture.zip", "torture.zip.part.meta"
local MAY_LIE_THERE = { [NAME] = true, [NAME .. ".part"] = true,
  [RECORD] = true, [RECORD .. ".new"] = true }

local random = math.random
math.randomseed(SEED)

-- A shell that only kills: faster than one shell each time.
local killer = assert(io.popen("while read -r p; do kill -KILL $p; done "
  .. "2>/dev/null", "w"))
killer:setvbuf "no"

---------------------------------------------------------------- what is there

local work = assert(..., "which folder?")
helpers.remove(work)
assert(lfs.mkdir(work))
local folder, whole, older = work .. "/folder", work .. "/whole.zip",
  work .. "/older.zip"
local s <close> = server.start()
s:configure { record = false }

local count = { kills = 0, rounds = 0, late = 0, wrong = 0, left = 0,
  unfinished = 0, over = 0, continued = 0 }
local phases = {}
local problems = {}

local function problem(what, ...)
  count[what] = count[what] + 1
  problems[#problems + 1] = ("round %d: "):format(count.rounds + 1)
    .. string.format(...)
  print(problems[#problems])
end

local function is_same(a, b)
  return (os.execute(("cmp -s %s %s"):format(quote.shell(a), quote.shell(b))))
end

local size_of_whole
local function is_final_new()
  return lfs.attributes(folder .. "/" .. NAME, "size") == size_of_whole
end

local function has_all(run)
  return run.log():find("all\n", 1, true) ~= nil
end

-- How many descriptors of the process are the part's: the second is the
-- check's, opened after the sync.
local function descriptors_of_part(pid)
  local n, dir = 0, ("/proc/%d/fd"):format(pid)
  local ok = pcall(function()
    for fd in lfs.dir(dir) do
      local to = lfs.symlinkattributes(dir .. "/" .. fd, "target")
      if to and to:sub(-5) == ".part" then n = n + 1 end
    end
  end)
  return ok and n or 0
end

local function phase_of(run)
  if is_final_new() then return "renamed" end
  if not has_all(run) then
    return lfs.attributes(folder .. "/" .. NAME .. ".part")
      and "fetching" or "starting"
  end
  if run.had_record and not lfs.attributes(folder .. "/" .. RECORD) then
    return "renaming"
  end
  return descriptors_of_part(run.pid) > 1 and "checking" or "syncing"
end

------------------------------------------------------------------------ a run

local function start(options)
  local log_name = work .. "/log"
  local command = ("echo $$; exec lua5.4 spec/torture/child.lua %s >%s 2>&1 "
    .. "</dev/null"):format(quote.shell(quote.lua(options)),
    quote.shell(log_name))
  os.remove(log_name)
  local pipe = assert(io.popen(command, "r"))
  local run = { pid = pipe:read "n", started = socket.gettime() }

  function run.log()
    local file <close> = io.open(log_name)
    return file and file:read "a" or ""
  end

  function run.has_ended()
    local log = run.log()
    return log:find("done\n", 1, true) or log:find("failed .*\n")
  end

  -- Too late is no kill.
  function run.kill()
    if run.has_ended() then return end
    run.phase = phase_of(run)
    killer:write(run.pid, "\n")
  end

  -- Its last word; nil when it was killed.
  function run.wait()
    local _, how, code = pipe:close()
    local log = run.log()
    if log:find("starting over", 1, true) then
      problem("over", "bytes of an earlier run were not right")
    end
    if log:find("continuing", 1, true) then
      count.continued = count.continued + 1
    end
    if how == "signal" and code == 9 then return nil end
    if how ~= "exit" or code ~= 0 then return how .. " " .. code end
    return log:match "done\n$" or log:match "failed (.*)\n$" or log
  end

  return run
end

local function options_of(round)
  local tls = random(4) == 1
  return {
    client = { api_key = s.key, base_url = s.base_url, proxy = "",
      snapshots_url = s.snapshots_url, ca_file = s.ca_file },
    download = { path = folder, filename = NAME,
      url = tls and round.urls.tls or round.urls.plain,
      overwrite = round.overwrite, segments = random(2) == 1 and 4 or 1,
      verify = ({ "full", "structure", false })[random(3)] },
  }
end

------------------------------------------------------------------ the moments

-- How long a run takes to its end, and from `all` on: learnt on the way, so
-- that most moments lie within.
local expected = { anywhere = 1.0, slow = 1.5, tail = 0.3, rename = 0.002 }

local function sleep_until(moment, run)
  while socket.gettime() < moment and not run.has_ended() do
    socket.sleep(math.max(0, math.min(0.002, moment - socket.gettime())))
  end
end

local function wait_for(what, run)
  local deadline = run.started + PATIENCE
  while not what(run) and not run.has_ended()
    and socket.gettime() < deadline do
    socket.sleep(0.001)
  end
end

local moments = {}

function moments.anywhere(run)
  sleep_until(run.started + random() * expected.anywhere, run)
end

function moments.slow(run)
  sleep_until(run.started + random() * expected.slow, run)
end

function moments.tail(run)
  wait_for(has_all, run)
  sleep_until(socket.gettime() + random() * expected.tail, run)
end

-- No sleep here: what is waited for is over in a millisecond.
function moments.rename(run)
  wait_for(has_all, run)
  local record, part = folder .. "/" .. RECORD, folder .. "/" .. NAME .. ".part"
  run.had_record = lfs.attributes(record) ~= nil
  local deadline = run.started + PATIENCE
  while lfs.attributes(run.had_record and record or part)
    and socket.gettime() < deadline do
  end
  local moment = socket.gettime() + random() * expected.rename
  while socket.gettime() < moment do end
end

local function pick_moment()
  local n = random(10)
  return n <= 3 and "anywhere" or n <= 6 and "slow" or n <= 8 and "tail"
    or "rename"
end

-- Most moments should come before the end, but not by much.
local function learn(name, killed)
  expected[name] = expected[name] * (killed and 1.05 or 0.8)
end

---------------------------------------------------------------------- a round

local function look_at_final(round, when)
  local final = folder .. "/" .. NAME
  if not lfs.attributes(final) or is_same(final, whole) then return end
  if round.overwrite and is_same(final, older) then return end
  problem("wrong", "a wrong file under the final name %s", when)
end

local function look_around(round)
  look_at_final(round, "after a kill")
  for _, name in ipairs(helpers.names(folder)) do
    if not MAY_LIE_THERE[name] then
      problem("left", "%s lies there after a kill", name)
    end
  end
end

-- After a run that came to its end.
local function look_at_end(word, was_there, round)
  local kept = was_there and not round.overwrite and word
    and word:find "^exists "
  if word ~= "done\n" and not kept then
    problem("unfinished", "the last run says: %s", word or "(hangs)")
  end
  if not is_same(folder .. "/" .. NAME, whole) then
    problem("wrong", "a wrong file at the end")
  end
  local names = table.concat(helpers.names(folder), " ")
  if names ~= NAME then problem("left", "at the end there are: %s", names) end
end

-- One run that is to be killed; true when it was, else that was the last.
local function torment(round)
  local moment, was_there = pick_moment(), is_final_new()
  if moment == "slow" then s:configure { limit_rate = SLOW } end
  local run = start(options_of(round))
  moments[moment](run)
  run.kill()
  local word = run.wait()
  s:configure { limit_rate = s.null }
  if not (was_there and not round.overwrite) then learn(moment, not word) end
  if word then
    count.late = count.late + 1
    look_at_end(word, was_there, round)
    return false
  end
  count.kills = count.kills + 1
  phases[run.phase] = (phases[run.phase] or 0) + 1
  look_around(round)
  return true
end

local function finish(round)
  local was_there = is_final_new()
  local run = start(options_of(round))
  wait_for(function() end, run)
  if not run.has_ended() then killer:write(run.pid, "\n") end
  look_at_end(run.wait(), was_there, round)
end

local function play(urls)
  local round = { urls = urls, overwrite = random(4) == 1 }
  helpers.remove(folder)
  lfs.mkdir(folder)
  if round.overwrite then
    helpers.write_file(folder .. "/" .. NAME, helpers.read_file(older))
  end
  local kills = random(4) == 1 and random(2, 3) or 1
  for i = 1, kills do
    if not torment(round) then
      if i > 1 then count.rounds = count.rounds + 1 end
      return
    end
  end
  finish(round)
  count.rounds = count.rounds + 1
end

------------------------------------------------------------------------ all

archive.random(older, 1)
size_of_whole = archive.random(whole, MIB)
local plain = s:put_file(NAME, { path = whole })
local urls = { plain = plain, tls = plain:gsub("^http://[^/]+", s.https1) }
print(("torture: seed %d; %d rounds over %d MiB, at most %d s"):format(SEED,
  ROUNDS, MIB, SECONDS))

local begun = socket.gettime()
local told = begun
while count.rounds < ROUNDS and socket.gettime() - begun < SECONDS do
  play(urls)
  if socket.gettime() - told > 30 then
    told = socket.gettime()
    print(("  %3.0f s: %d kills"):format(told - begun, count.kills))
  end
end
killer:close()
helpers.remove(work)

local met = {}
for name, n in pairs(phases) do met[#met + 1] = ("%s %d"):format(name, n) end
table.sort(met)
print(("  %.0f s; killed while: %s"):format(socket.gettime() - begun,
  table.concat(met, ", ")))
print(("  %d runs were over before their kill; %d continued a part, %d had to "
  .. "start over; %d last runs of %d did not finish"):format(count.late,
  count.continued, count.over, count.unfinished, count.rounds))
local right = #problems == 0
print(("torture: %d kills, %d wrong final files, %d left-over parts after "
  .. "success, %s"):format(count.kills, count.wrong, count.left,
  right and "every file right" or #problems .. " problems (seed " .. SEED
  .. ")"))
if count.rounds < ROUNDS then
  print(("torture: only %d of %d rounds in %d s (TORTURE_SECONDS)"):format(
    count.rounds, ROUNDS, SECONDS))
end
if right and count.rounds >= ROUNDS then os.exit(true, true) end
os.exit(false, true)
