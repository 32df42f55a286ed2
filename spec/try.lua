-- make try: starts the test server with an account that has a month behind it,
-- and prints what spec/support/try.sh is to run before it becomes a shell. Ends
-- then; the server lives until that process ends.
--   lua5.4 spec/try.lua PID-OF-TRY.SH [a word: says what is here, on stderr]

package.path = "./?.lua;" .. package.path
local lfs = require "lfs"
local account = require "spec.support.try_account"
local quote = require("spec.support.quote").shell
local server = require "spec.support.server"

local NIGHTS = 30
local DAILY = 32 -- what the server's plan allows, as `squaresnap quota` has it

local WAIT = "Making a month of snapshots ..."
local INTRO = [[
 done.

%d applications and %d databases with %d snapshots of the last 30 days, on a
server that only this machine can reach. Nothing leaves this machine; your own
API key is not used. Type, for example:

  squaresnap whoami                        what there is, with the ids
  squaresnap list --expires-within 3       what the platform drops soon
  squaresnap sync --all --dir backups --keep-daily 7

You are in a folder of its own. The files of the applications, to break and to
restore, are in %s/live.
Ctrl-D or "exit" ends it all and removes both.

]]

-- Writes a file of a resource's as of a time, and the folders on its way.
local function write(dir, path, bytes, time)
  for at in path:gmatch "()/" do
    lfs.mkdir(dir .. "/" .. path:sub(1, at - 1))
  end
  local file <close> = assert(io.open(dir .. "/" .. path, "wb"))
  assert(file:write(bytes))
  file:close()
  lfs.touch(dir .. "/" .. path, time, time)
end

-- The night `day` nights before the last one, at `minute` past three.
local function night(now, day, minute)
  local date = os.date("*t", now)
  local function at(days_ago)
    return os.time { year = date.year, month = date.month,
      day = date.day - days_ago, hour = 3, min = minute, sec = minute % 60 }
  end
  return at(at(0) > now and day + 1 or day)
end

-- Each application and database: what it is, where its files are, its id as
-- the server takes it.
local function resources(s)
  local all = {}
  for _, one in ipairs(account.applications) do
    all[#all + 1] = { is = one, dir = s:app_dir(one.id), app = one.id }
  end
  for _, one in ipairs(account.databases) do
    all[#all + 1] = { is = one, dir = s:database_dir(one.id),
      database = one.id }
  end
  return all
end

-- Lets the days pass: each changes files, and each night has its snapshots.
-- How many these are, and how many of them are of last night.
local function make_month(s)
  local now, made, list = os.time(), 0, {}
  local all = resources(s)
  for day = NIGHTS - 1, 0, -1 do
    list = {}
    for _, one in ipairs(all) do
      local time = night(now, day, one.is.minute or 0)
      local evening = time - 5 * 3600
      local function add(path, bytes) write(one.dir, path, bytes, evening) end
      if day == NIGHTS - 1 then one.is:first(add) end
      if one.is.daily then one.is.daily(add, day, evening) end
      if not one.is.has or one.is.has(day) then
        list[#list + 1] = { app = one.app, database = one.database,
          modified = time }
      end
    end
    s:make_snapshots(list)
    made = made + #list
  end
  return made, #list
end

-- What the server is told of the account: data only.
local function description()
  local told = { name = account.name, email = account.email }
  for _, kind in ipairs { "applications", "databases" } do
    told[kind] = {}
    for i, one in ipairs(account[kind]) do
      told[kind][i] = { id = one.id, name = one.name, ram = one.ram,
        type = one.type, suffix = one.suffix }
    end
  end
  return told
end

local s

local function main(parent)
  math.randomseed(14)
  s = server.start { parent = parent, account = description() }
  local made, last_night = make_month(s)
  -- slow enough that a download can be watched
  s:configure { limit_rate = 16 << 20, boot_ms = 1500, record = false,
    limits = { daily = DAILY - last_night } }
  local folder = s.dir .. "/work"
  assert(lfs.mkdir(folder))
  print("export SQUARECLOUD_API_KEY=" .. quote(s.key))
  print("export SQUARECLOUD_BASE_URL=" .. quote(s.http_base_url))
  print("export SQUARECLOUD_SNAPSHOTS_URL=" .. quote(s.http_snapshots_url))
  print("try_dir=" .. quote(s.dir))
  print("cd " .. quote(folder))
  return INTRO:format(#account.applications, #account.databases, made, s.dir)
end

-- One line; with what zip said, from the log that goes with the server.
local function explain(err)
  local why
  for line in s and io.lines(s.dir .. "/error.log") or function() end do
    why = not line:find "^%d+/" and line:match "zip.*" or why
  end
  return (tostring(err):gsub("^[%w_./]+:%d+: ", ""):gsub("!$", "")
    :gsub("see error%.log", why or "%0"))
end

local says = arg[2] ~= nil
if says then io.stderr:write(WAIT) end
local ok, result = pcall(main, math.tointeger(tonumber(arg[1])))
if not ok then
  io.stderr:write(says and "\n" or "", "make try: ", explain(result), "\n")
  os.exit(1, true) -- and ends a server that has come so far
end
if says then io.stderr:write(result) end
os.exit(0, false) -- the server lives on
