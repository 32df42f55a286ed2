--- core.posix, what the mirror and the progress bar need of the system:
-- private modes, small files that are whole or not there, locks, a terminal's
-- size.

local lfs = require "lfs"
local child = require "spec.support.child"
local helpers = require "spec.support.helpers"
local posix = require("squarecloud.core").posix
local terminal = require "spec.support.terminal"

describe("core.posix", function()
  local folder, path

  before_each(function()
    folder = helpers.tmpdir()
    path = folder .. "/file"
  end)

  after_each(function() helpers.remove(folder.path) end)

  local function unlock(lock) getmetatable(lock).__close(lock) end

  local function mode(of) return lfs.attributes(of, "permissions") end

  -- Runs Lua in another process; gives what it printed.
  local function run(script, ...)
    local out, err = child.run(
      'local posix = require("squarecloud.core").posix ' .. script, { ... })
    assert.equal("", err)
    return out
  end

  it("makes a folder for its owner alone", function()
    assert.is_true(posix.make_folder(path))
    assert.equal("rwx------", mode(path))
    local ok, message, errno = posix.make_folder(path)
    assert.same({ false, "File exists", 17 }, { ok or false, message, errno })
  end)

  it("writes a file for its owner alone, whatever the umask", function()
    os.execute(("umask 0; : >'%s'"):format(path))
    local bytes = ("\0\255text"):rep(1000)
    assert.is_true(posix.write_file(path, bytes))
    assert.equal(bytes, helpers.read_file(path))
    assert.equal("rw-------", mode(path))
    assert.same({ "file" }, helpers.names(folder.path))
  end)

  it("writes through no link, and over no folder", function()
    helpers.write_file(folder .. "/elsewhere", "kept")
    assert(lfs.link(folder .. "/elsewhere", path .. ".new", true))
    assert(lfs.link(folder .. "/elsewhere", path, true))
    assert.is_true(posix.write_file(path, "text"))
    assert.equal("kept", helpers.read_file(folder .. "/elsewhere"))
    assert.equal("file", lfs.symlinkattributes(path, "mode"))
    assert(lfs.mkdir(folder .. "/folder"))
    assert.is_nil((posix.write_file(folder .. "/folder", "text")))
    assert.same({ "elsewhere", "file", "folder" }, helpers.names(folder.path))
  end)

  it("leaves the old file, and no draft, when it cannot write", function()
    helpers.write_file(path, "old")
    -- more than a process may write: the signal is not for the host to die of
    local script = os.tmpname()
    helpers.write_file(script, [[
      local posix = require("squarecloud.core").posix
      print(posix.write_file(..., ("x"):rep(1 << 20)))
    ]])
    local pipe = io.popen(("trap '' XFSZ; ulimit -f 100; LUA_PATH='%s' "
      .. "LUA_CPATH='%s' exec lua5.4 %s '%s'"):format(package.path,
      package.cpath, script, path))
    assert.equal("nil\tFile too large\t27\n", pipe:read "a")
    pipe:close()
    os.remove(script)
    assert.equal("old", helpers.read_file(path))
    assert.same({ "file" }, helpers.names(folder.path))
    assert.same({ "Not a directory", 20 },
      { select(2, posix.write_file("/dev/full/x", "text")) })
  end)

  it("locks a file against all but its holder", function()
    local lock = assert(posix.lock_file(path))
    assert.equal("rw-------", mode(path))
    assert.is_false(posix.lock_file(path))
    local script = "print(type(posix.lock_file(...)))"
    assert.equal("boolean\n", run(script, path))
    unlock(lock)
    unlock(lock)
    assert.equal("userdata\n", run(script, path))
    do
      local again <close> = assert(posix.lock_file(path))
      assert.equal("boolean\n", run(script, path))
      assert.truthy(again)
    end
    assert(posix.lock_file(path))
    collectgarbage()
    assert.equal("userdata\n", run(script, path))
  end)

  it("keeps a lock when a forked child closes its copy, and frees it though "
    .. "a child has one", function()
      local script = [[
        local probe = require "process_probe"
        local path, ways = ..., { {}, {} }
        local function unlock(lock) getmetatable(lock).__close(lock) end
        ways[1].child = function(lock) unlock(lock) end
        -- no child of its own: that takes all of the time
        ways[2].child = function() probe.wait(probe.pid(), 60) end
        for i, way in ipairs(ways) do
          local lock = assert(posix.lock_file(path))
          local pid = probe.fork()
          if pid == 0 then
            way.child(lock)
            os.exit(0, true)
          end
          if i == 1 then
            print(probe.wait(pid, 60))
            print(posix.lock_file(path))
            unlock(lock)
          else
            unlock(lock)
            print(type(posix.lock_file(path)))
            probe.kill(pid, 9)
            print(probe.wait(pid, 60))
          end
        end
      ]]
      assert.equal("exit\t0\nfalse\nuserdata\nsignal\t9\n",
        run(script, path))
    end)

  it("locks nothing that is no file of its own", function()
    assert(lfs.link(folder .. "/none", path, true))
    local lock, message = posix.lock_file(path)
    assert.is_nil(lock)
    assert.equal("Too many levels of symbolic links", message)
    assert.is_nil((posix.lock_file(folder .. "/none/file")))
  end)

  it("locks the file that has the name, not one that had it", function()
    local _ <close> = assert(posix.lock_file(path))
    os.remove(path)
    local _ <close> = assert(posix.lock_file(path))
    assert.is_false(posix.lock_file(path))
  end)

  it("tells a terminal's size, and what is none", function()
    local script = [[
      local posix = require("squarecloud.core").posix
      print(posix.terminal_size(1))
      print(posix.terminal_size(2))
    ]]
    assert.equal("33\t44\r\n33\t44\r\n", terminal.run(script, { columns = 44,
      rows = 33 }))
    assert.equal("33\t44\r\n\r\n", terminal.run(script, { columns = 44,
      rows = 33, redirect = "2>/dev/null" }))
    assert.equal("\n\n", (child.run(script)))
    assert.equal(0, select("#", posix.terminal_size(1 << 30)))
  end)

  it("reads what there is, and waits no longer than told", function()
    local script = os.tmpname()
    helpers.write_file(script, [[
      local posix = require("squarecloud.core").posix
      print(posix.read_some(0, 1))
      local writer = io.open(..., "w")
      writer:write "two\nlines"
      writer:flush()
      print(posix.read_some(0, 60000))
      print(posix.read_some(1 << 30, 1))
    ]])
    local pipe = assert(io.popen(("mkfifo %s; LUA_PATH='%s' LUA_CPATH='%s' "
      .. "lua5.4 %s %s 0<>%s"):format(path, package.path, package.cpath, script,
      path, path)))
    assert.equal("false\ntwo\nlines\nnil\tBad file descriptor\t9\n",
      pipe:read "a")
    pipe:close()
    os.remove(script)
    assert.equal("\n", run "print(posix.read_some(0, 1))")
  end)
end)
