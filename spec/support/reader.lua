--- Somebody who follows a page: a home, an account at the test server with what
-- pages name, the command where `luarocks install --local` puts it. What would
-- change the machine (apt-get, make, systemctl, ...) is noted instead of run.

local lfs = require "lfs"
local command = require "spec.support.command"
local helpers = require "spec.support.helpers"
local quote = require("spec.support.quote").shell
local server = require "spec.support.server"

local reader = {}
local Reader = {}
Reader.__index = Reader

local root = lfs.currentdir()

-- The command, run by the Lua that the specs run under: the PATH of cron has
-- another.
local SQUARESNAP = [[
#!/bin/sh
PATH=$REAL_PATH exec '%s/lua/squarecloud/bin/squaresnap' "$@"
]]

local NOTED = { "bin/sudo", "bin/apt-get", "bin/make", "bin/luarocks",
  "bin/systemctl", "bin/journalctl", ".ci/run" }

-- Notes a call; sudo's command is one of its own, and `make -s env` is real.
local NOTE = [[
#!/bin/sh
name=${0##*bin/}
[ "$name $*" != "make -s env" ] || exec env -u MAKEFLAGS -u MAKELEVEL \
  PATH="$REAL_PATH" make -s --no-print-directory -C '%s' env B='%s'
for word in "$name" "$@"; do printf '%%s\t' "$word" >>"$HOME/.calls"; done
echo >>"$HOME/.calls"
[ "$name" != sudo ] || exec "$@"
]]

local function write_program(path, text)
  helpers.write_file(path, text)
  assert(os.execute("chmod 755 " .. quote(path)))
end

-- Where what was built for this process lies: nothing is built again.
local function build_folder()
  return (helpers.absolute(package.searchpath("squarecloud.core",
    package.cpath)):gsub("/squarecloud/core%.so$", ""))
end

local function fill_account(s)
  s:reset()
  s:add_app { id = "application_id", name = "mine",
    files = { ["main.lua"] = "print 'hello'\n" } }
  s:add_database { id = "database_id", name = "mine", type = "postgres",
    files = { ["dump.sql"] = "select 1;\n" } }
  -- of yesterday: what the reader makes has another second in its name
  local yesterday = os.time() - 86400
  s:make_snapshots { { app = "application_id", modified = yesterday },
    { app = s.apps[1], modified = yesterday } }
end

--- Somebody with a new home: `home` (a path), `s` (the server).
function reader.new()
  local s, dir = server.shared(), helpers.tmpdir()
  fill_account(s)
  for _, name in ipairs { "bin", ".ci", ".luarocks", ".luarocks/bin" } do
    assert(lfs.mkdir(dir .. "/" .. name))
  end
  for _, name in ipairs { "csrc", "lua" } do -- a checkout, for who builds
    assert(lfs.link(root .. "/" .. name, dir .. "/" .. name, true))
  end
  write_program(dir .. "/.luarocks/bin/squaresnap", SQUARESNAP:format(root))
  for _, name in ipairs(NOTED) do
    write_program(dir .. "/" .. name, NOTE:format(root, build_folder()))
  end
  return setmetatable({ s = s, dir = dir, home = dir.path }, Reader)
end

function Reader:__close() helpers.remove(self.home) end

--- A file in the home.
function Reader:file(name) return self.home .. "/" .. name end

--- Runs a shell's line in the home. More in `setting`, as command.run has it.
function Reader:run(line, setting)
  local given = { script = line, folder = self.home, env = {
    HOME = self.home, CFLAGS = "-O0", REAL_PATH = os.getenv "PATH",
    SQUARECLOUD_BASE_URL = self.s.http_base_url,
    SQUARECLOUD_SNAPSHOTS_URL = self.s.http_snapshots_url,
    PATH = ("%s/.luarocks/bin:%s/bin:%s"):format(self.home, self.home,
      os.getenv "PATH") } }
  for name, value in pairs(setting or {}) do
    if name == "env" then
      for variable, text in pairs(value) do given.env[variable] = text end
    else
      given[name] = value
    end
  end
  return command.run(self.s, {}, given)
end

--- The calls that were noted since the last time, each a list of words.
function Reader:calls()
  local calls, path = {}, self:file ".calls"
  if not lfs.attributes(path) then return calls end
  for line in io.lines(path) do
    local words = {}
    for word in line:gmatch "([^\t]*)\t" do words[#words + 1] = word end
    calls[#calls + 1] = words
  end
  os.remove(path)
  return calls
end

----------------------------------------------- what a page says that comes out

local function literally(text) return (text:gsub("%p", "%%%0")) end

-- A line with all that differs from run to run made equal: times, versions,
-- sizes, numbers, and ids that only the server knows.
local function plain(self, line)
  local known = {}
  for _, list in ipairs { self.s.apps, self.s.databases } do
    for _, id in ipairs(list) do known[id] = id end
  end
  return (line:gsub(literally(self.home), "/home/ana")
    :gsub(literally(self.s.https), "https://snapshots.squarecloud.app")
    :gsub("%d%d%d%d%-%d%d%-%d%d[T ]%d%d:%d%d[:%d.]*Z?", "TIME")
    :gsub(("%d"):rep(8) .. "T" .. ("%d"):rep(6) .. "Z", "STAMP")
    :gsub("%x+%-%x+%-%x+%-%x+%-%x+", "VERSION")
    :gsub(("%x"):rep(32), function(id) return known[id] or "ID" end)
    :gsub("%d[%d.]* [KMG]?i?B%f[%W]", "SIZE")
    :gsub("%f[%w]%d[%d.]*%f[^%w.]", "NUMBER"):gsub("%s+", " "):gsub(" $", ""))
end

--- Whether a line that came out is what a page says; there … is any text.
function Reader:is_like(line, said)
  local pattern = literally(plain(self, said)):gsub(literally "…", ".*")
  return plain(self, line):find("^" .. pattern .. "$") ~= nil
end

--- The first line of `said` that is none of what came out, in this order; nil
-- when all are. A line … stands for any lines, as do all with `some`.
function Reader:missing(lines, said, some)
  local at, skips = 1, some
  for _, one in ipairs(said) do
    if one == "…" then
      skips = true
    else
      while skips and lines[at] and not self:is_like(lines[at], one) do
        at = at + 1
      end
      if not self:is_like(lines[at] or "", one) then return one end
      at, skips = at + 1, some
    end
  end
  return not skips and lines[at] and "(nothing more)" or nil
end

return reader
