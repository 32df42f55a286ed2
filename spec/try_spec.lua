-- make try, as a person runs it: a command of its own, a shell on a terminal,
-- and that nothing is left, however it ends.

local lfs = require "lfs"
local socket = require "socket"
local command = require "spec.support.command"
local helpers = require "spec.support.helpers"
local process = require "spec.support.process"
local quote = require("spec.support.quote").shell

local MUSIC = "8f3c1e0b5a7d4926b1c0d9e8f7a65432"
local PATIENCE = 120

-- what was built for this process, so that nothing is built for it again
local built = helpers.absolute(package.searchpath("squarecloud.core",
  package.cpath)):gsub("/squarecloud/core%.so$", "")

-- The shell's line that runs it, free of the make that runs this.
local function line(try, environment)
  local words = { "exec env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u TRY" }
  for name, value in pairs(environment or {}) do
    words[#words + 1] = quote(name .. "=" .. value)
  end
  words[#words + 1] = "make B=" .. quote(built) .. " try"
  if try then words[#words + 1] = quote("TRY=" .. try) end
  return table.concat(words, " ")
end

-- Starts it with its output in files; wait() gives { out, err, code }.
local function start(try, environment)
  local files = { out = os.tmpname(), err = os.tmpname() }
  return process.start(("%s >%s 2>%s </dev/null"):format(
    line(try, environment), files.out, files.err), files,
    function(_, _, code)
      return { out = helpers.read_file(files.out), code = code,
        err = helpers.read_file(files.err) }
    end)
end

local function is_gone(pid)
  local file <close> = io.open(("/proc/%d/stat"):format(pid))
  local stat = file and file:read "a"
  return not stat or stat:find "^%d+ %b() [ZX]" ~= nil
end

local function parent_of(pid)
  return math.tointeger(tonumber(helpers.read_file(("/proc/%d/stat")
    :format(pid)):match "^%d+ %b() %a (%d+)"))
end

-- Waits until `reached()` gives something, and returns it.
local function wait_for(reached, what)
  local deadline = socket.gettime() + PATIENCE
  repeat
    local found = table.pack(reached())
    if found[1] then return table.unpack(found) end
    socket.sleep(0.02)
  until socket.gettime() > deadline
  error("in vain: " .. what())
end

-- Waits until nothing is left of one: its folder, its processes by name.
local function assert_gone(here)
  local function left()
    if lfs.attributes(here.dir) then return "the folder" end
    for name, pid in pairs(here.pids) do
      if not is_gone(pid) then return name end
    end
  end
  wait_for(function() return not left() end, left)
end

local function server_of(dir)
  return math.tointeger(tonumber(helpers.read_file(dir .. "/nginx.pid")))
end

-- It on a terminal of its own, with a shell.
local Terminal = {}
Terminal.__index = Terminal

local function open_terminal(shell, environment)
  local pipe <close> = io.popen("command -v " .. shell)
  local files = { shown = os.tmpname(), keys = os.tmpname() }
  os.remove(files.keys)
  assert(os.execute("mkfifo " .. quote(files.keys)))
  local variables = { SHELL = pipe:read "l", TERM = "dumb" }
  for name, value in pairs(environment) do variables[name] = value end
  local started = process.start(("exec script -qefc %s /dev/null <%s >%s")
    :format(quote(line(nil, variables)), files.keys, files.shown), files,
    function(_, _, code)
      return { out = helpers.read_file(files.shown), code = code }
    end)
  local keys = assert(io.open(files.keys, "w"))
  keys:setvbuf "no"
  return setmetatable({ started = started, keys = keys,
    pid = started.pid, shown = files.shown, at = 1 }, Terminal)
end

function Terminal:type(text) self.keys:write(text) end

-- Waits for a pattern behind what was seen before; what it captures.
function Terminal:see(pattern)
  return select(3, wait_for(function()
    local found = { helpers.read_file(self.shown):find(pattern, self.at) }
    self.at = found[1] and found[2] + 1 or self.at
    return table.unpack(found)
  end, function() return pattern .. "\n" .. helpers.read_file(self.shown) end))
end

-- What there is of it, once its shell, whichever, is ready.
function Terminal:look()
  self:see "%(try%) "
  self:type "sh -c 'echo \"<$PPID $PWD>\"'\r"
  local shell, dir = self:see "<(%d+) (/[^\r\n]*)/work>"
  self:see "%(try%) "
  local program = parent_of(shell)
  return { dir = dir, pids = { shell = tonumber(shell), program = program,
    make = parent_of(program), server = server_of(dir) } }
end

function Terminal:wait()
  local result = self.started.wait()
  self.keys:close()
  return result
end

describe("make try", function()
  local dir
  before_each(function() dir = helpers.tmpdir() end)
  after_each(function() helpers.remove(dir.path) end)

  it("runs a command with a month of snapshots, and two at once", function()
    local mirror = dir .. "/mirror"
    local one = start(([[ echo "$PWD $(cat ../nginx.pid)"
      squaresnap --json whoami; squaresnap --json list
      squaresnap sync %s --dir %s --keep-last 3 -q >&2
      squaresnap restore %s --latest --dry-run ]]):format(MUSIC,
      quote(mirror), MUSIC))
    local other = start 'echo "$PWD $(cat ../nginx.pid)"; exit 3'
    local result = one.wait()
    assert.equal(0, result.code, result.err)
    local place, who, list, request, body = result.out:match(
      "^([^\n]*)\n([^\n]*)\n([^\n]*)\nPOST ([^\n]*)\n([^\n]*)\n$")
    assert.is_truthy(place, result.out)
    assert.equal("", result.err)

    who = command.decode(who)
    assert.equal("bot-musica", who.applications[1].name)
    assert.same({ 6, 3 }, { #who.applications, #who.databases })
    local of, now = {}, os.time()
    for _, info in ipairs(command.decode(list)) do
      of[info.id] = of[info.id] or {}
      table.insert(of[info.id], info)
      assert.is_true(info.timestamp < now)
      assert.is_true(info.timestamp > now - 30 * 86400 - 3600)
    end
    assert.equal(30, #of[MUSIC])
    assert.is_true(of[MUSIC][1].timestamp > now - 90000) -- last night's
    assert.is_nil(of[who.databases[3].id])
    -- what sits only there, about to lapse
    local lapsing = of[who.applications[6].id]
    assert.equal(1, #lapsing)
    assert.is_true(lapsing[1].timestamp < now - 29 * 86400 + 3600)

    local zips = 0
    for _, name in ipairs(helpers.names(mirror .. "/app/" .. MUSIC)) do
      if name:find "%.zip$" then zips = zips + 1 end
    end
    assert.equal(3, zips)
    assert.matches("^http://127%.0%.0%.1:%d+/v2/apps/" .. MUSIC
      .. "/snapshots/restore$", request)
    assert.equal(of[MUSIC][1].version_id,
      command.decode(body).versionId)

    local second = other.wait()
    assert.equal(2, second.code) -- make's
    assert.matches("Error 3", second.err)
    assert.not_equal(place, second.out:sub(1, -2))
    for _, text in ipairs { place, second.out } do
      local folder, server = text:match "^(.*)/work (%d+)"
      assert_gone { dir = folder, pids = { server = tonumber(server) } }
    end
  end)

  it("gives TRY to the shell as it stands", function()
    local result = start("echo \"$HOME '$(printf '%s' a#b)'\"",
      { HOME = dir.path }).wait()
    assert.equal(dir .. " 'a#b'\n", result.out)
  end)

  it("gives a shell on a terminal, which Ctrl-D ends", function()
    helpers.write_file(dir .. "/.bashrc", "PS1='$ '; PATH=/usr/bin:/bin\n")
    local terminal = open_terminal("bash", { HOME = dir.path })
    terminal:see "6 applications and 3 databases with 120 snapshots"
    terminal:see "Nothing leaves this machine"
    local here = terminal:look()
    terminal:type("squaresnap list " .. MUSIC .. " --newest 1\n")
    terminal:see("\n%d[^\n]* app   " .. MUSIC)
    terminal:see "%(try%) "
    terminal:type "squaresnap restore --snapshot-f\t --help\n"
    terminal:see "%-%-snapshot%-first +%-%-help\r*\n" -- completed
    terminal:see "%(try%) "
    terminal:type "\3"
    terminal:see "%(try%) "
    terminal:type "false\n"
    terminal:see "%(try%) "
    terminal:type "\4"
    local result = terminal:wait()
    assert.equal(0, result.code, result.out)
    assert.is_nil(result.out:find("make:", 1, true))
    assert_gone(here)
  end)

  -- in each shell that somebody may have
  local killed = { { "make", "zsh" }, { "program", "fish" },
    { "shell", "dash" }, { "terminal", "bash" } }
  it("leaves nothing when it, its shell or the terminal is killed", function()
    helpers.write_file(dir .. "/.zshrc", "")
    local terminals = {}
    for i, row in ipairs(killed) do
      terminals[i] = open_terminal(row[2], { HOME = dir.path })
    end
    for i, row in ipairs(killed) do
      local terminal, victim = terminals[i], row[1]
      local here = terminal:look()
      terminal:type "squaresnap sync --all --dir backups --no-progress\r"
      wait_for(function()
        return lfs.attributes(here.dir .. "/work/backups", "mode")
      end, function() return "a download" end)
      os.execute("kill -KILL " .. (here.pids[victim] or terminal.pid))
      assert_gone(here)
      terminal:wait()
    end
  end)

  it("ends when it is interrupted while it begins", function()
    local terminal = open_terminal("bash", { TMPDIR = dir.path })
    terminal:see "Making a month of snapshots"
    terminal:type "\3"
    local result = terminal:wait()
    assert.is_nil(result.out:find("%(try%)"))
    wait_for(function() return not helpers.names(dir.path)[1] end,
      function() return "nothing but " .. helpers.names(dir.path)[1] end)
  end)

  it("says in one line why it cannot begin", function()
    local pipe <close> = io.popen(("eval \"$(make -s env B=%s)\"; TMPDIR=%s "
      .. "TRY=date sh spec/support/try.sh lua5.4 2>&1"):format(quote(built),
      quote(dir .. "/missing")))
    assert.equal("make try: no temporary folder in " .. dir .. "/missing\n",
      pipe:read "a")
    assert.same({ nil, "exit", 1 }, { pipe:close() })
  end)
end)
