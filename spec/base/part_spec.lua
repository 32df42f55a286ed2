-- part.c and record.c on real files: the part, its lock, its record, and the
-- rename to the final name.

local lfs = require "lfs"
local quote = require("spec.support.quote").shell
local probe = require "store_probe"

local NOBODY = 65534

local function is_root()
  local before = probe.seteuid(0)
  probe.seteuid(before)
  return true
end
local ROOT = pcall(is_root)

local function errno(name) return probe.errno(name) end

local function sh(command, ...)
  assert(os.execute(command:format(...)))
end

local function attribute(path, name)
  return lfs.symlinkattributes(path, name)
end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function write(path, bytes)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(bytes))
end

local function names(path)
  local list = {}
  for name in lfs.dir(path) do
    if name ~= "." and name ~= ".." then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

-- As another user, who may not do everything, where we are one who may.
local function as_nobody(f)
  if not ROOT then return f() end
  local before = probe.seteuid(NOBODY)
  local ok, err = pcall(f)
  probe.seteuid(before)
  if not ok then error(err, 0) end
end

-- The command of another process that has the probe; its stdin is `from`.
local function command(code, from)
  local interpreter = arg and arg[-1] or "lua5.4"
  if not interpreter:match "lua[^/]*$" then interpreter = "lua5.4" end
  local all = ("package.cpath = %q; local probe = require 'store_probe'; %s")
    :format(package.cpath, code)
  return ("echo $$; exec %s -e %s < %s"):format(quote(interpreter), quote(all),
                                              quote(from or "/dev/null"))
end

-- A process that holds the lock until `gate` is closed, and its pid.
local function holder(dir)
  local fifo = dir .. "/gate"
  sh("mkfifo %s", quote(fifo))
  local code = [[
    local p, err = probe.open(%q, "a.zip")
    print(p and "locked" or err.message)
    io.stdout:flush()
    io.read "a"]]
  local pipe = io.popen(command(code:format(dir .. "/d"), fifo))
  local gate = assert(io.open(fifo, "w"))
  local pid = pipe:read "n"
  assert.equal("", pipe:read "l")
  assert.equal("locked", pipe:read "l")
  return pipe, gate, pid
end

local function descriptors()
  return #names "/proc/self/fd"
end

describe("a part", function()
  local base, dir, before

  before_each(function()
    base = os.tmpname()
    os.remove(base)
    dir = base .. "/d"
    assert(lfs.mkdir(base))
    assert(lfs.mkdir(dir))
    before = descriptors()
  end)

  after_each(function()
    for _, call in ipairs { "flock", "renameat2", "linkat", "fallocate",
                            "pwrite", "fdatasync", "write" } do
      probe.fault(call)
    end
    collectgarbage() -- closes what a failed test left open
    sh("chmod -R u+rwx %s; rm -rf %s", quote(base), quote(base))
  end)

  local function open(overwrite)
    return assert(probe.open(dir, "a.zip", overwrite))
  end

  -- No part for this, and nothing left open; `find` is in the message.
  local function refused(kind, err_no, find, overwrite, folder, name)
    local p, err = probe.open(folder or dir, name or "a.zip", overwrite)
    assert.is_nil(p)
    assert.same({ kind, err_no and errno(err_no) or 0 },
                { err.kind, err.errno })
    assert.matches(find, err.message)
    assert.equal(before, descriptors())
    return err.message
  end

  describe("is opened", function()
    it("private, empty and locked, and closed more than once", function()
      local p = open()
      assert.same({ open = true, private = true, locked = true,
                    lock_file = false, fresh = true, size = 0,
                    fallbacks = 0 }, p:info())
      assert.same({ "a.zip.part" }, names(dir))
      assert.equal("rw-------", attribute(dir .. "/a.zip.part", "permissions"))
      assert.equal(before + 2, descriptors())
      p:close()
      p:close()
      assert.is_false(p:info().open)
      assert.equal(before, descriptors())
    end)

    it("in a folder that is made for it, private", function()
      local p = assert(probe.open(dir .. "/x//y/z/", "a.zip"))
      p:close()
      for _, made in ipairs { "/x", "/x/y", "/x/y/z" } do
        assert.equal("rwx------", attribute(dir .. made, "permissions"))
      end
      assert.not_equal("rwx------", attribute(dir, "permissions"))
      assert.same({ "a.zip.part" }, names(dir .. "/x/y/z"))
    end)

    it("private whatever the umask is", function()
      for _, umask in ipairs { "0", "077" } do
        local code = ("assert(probe.open(%q, 'a.zip')):close()"):format(
          base .. "/" .. umask .. "/y")
        sh("umask %s; { %s; } > /dev/null", umask, command(code))
        assert.equal("rwx------", attribute(base .. "/" .. umask .. "/y",
                                            "permissions"))
        assert.equal("rw-------", attribute(
          base .. "/" .. umask .. "/y/a.zip.part", "permissions"))
      end
    end)

    it("with the bytes that are there, and made private", function()
      write(dir .. "/a.zip.part", "12345")
      sh("chmod 666 %s/a.zip.part", dir)
      local p <close> = open()
      assert.same({ false, 5 }, { p:info().fresh, p:info().size })
      assert.equal("rw-------", attribute(dir .. "/a.zip.part", "permissions"))
      assert.equal("12345", read(dir .. "/a.zip.part"))
    end)

    it("through a symlink to the folder", function()
      assert(lfs.link(dir, base .. "/s", true))
      local p <close> = assert(probe.open(base .. "/s", "a.zip"))
      assert.is_true(p:info().fresh)
      assert.same({ "a.zip.part" }, names(dir))
    end)

    it("with a name as long as its helpers' allow", function()
      local name = ("n"):rep(241)
      local p <close> = assert(probe.open(dir, name))
      assert.is_true(p:set_record { object = "o", total = 0,
                                    pieces = { { 0, 0, 0 } } })
      assert.same({ name .. ".part", name .. ".part.meta" }, names(dir))
      for _, n in ipairs { 242, 250, 255, 300 } do
        local q, err = probe.open(dir, ("n"):rep(n))
        assert.is_nil(q)
        assert.equal(errno "ENAMETOOLONG", err.errno)
      end
    end)

    it("without a record that tells of other bytes", function()
      write(dir .. "/a.zip.part.meta", "left")
      write(dir .. "/a.zip.part.meta.new", "left")
      open():close()
      assert.same({ "a.zip.part" }, names(dir))
    end)
  end)

  describe("is refused", function()
    it("when the folder is a file", function()
      write(base .. "/f", "x")
      refused("filesystem", "ENOTDIR", "cannot open the folder .*/f", false,
              base .. "/f")
      refused("filesystem", "ENOTDIR", "folder .*/f", false,
              base .. "/f/deeper")
      assert.equal("x", read(base .. "/f"))
    end)

    it("when the folder is a dangling symlink, or nothing", function()
      assert(lfs.link("nowhere", base .. "/s", true))
      refused("filesystem", "ENOENT", "folder .*/s", false, base .. "/s")
      refused("filesystem", "ENOENT", "folder", false, "")
    end)

    it("when the folder is not writable", function()
      sh("chmod 555 %s", dir)
      as_nobody(function()
        refused("filesystem", "EACCES", "cannot open .*/d/a.zip.part: ")
        refused("filesystem", "EACCES", "cannot make the folder .*/d/x: ",
                false, dir .. "/x/y")
      end)
      assert.same({}, names(dir))
    end)

    it("when the folder may not be looked at", function()
      sh("chmod 0 %s", dir)
      if ROOT then sh("chown %d %s", NOBODY, dir) end
      as_nobody(function()
        refused("filesystem", "EACCES", "cannot open the folder")
      end)
    end)

    it("when the target is a folder", function()
      assert(lfs.mkdir(dir .. "/a.zip"))
      for _, overwrite in ipairs { false, true } do
        refused("filesystem", "EISDIR", "cannot replace .*/d/a.zip: ",
                overwrite)
      end
      assert.same({ "a.zip" }, names(dir))
    end)

    it("when it is a symlink, which nothing follows", function()
      write(base .. "/victim", "precious")
      assert(lfs.link(base .. "/victim", dir .. "/a.zip.part", true))
      refused("filesystem", "ELOOP", "cannot open .*/a.zip.part: ")
      assert.equal("precious", read(base .. "/victim"))
      assert.equal("link", attribute(dir .. "/a.zip.part", "mode"))
    end)

    it("when it is a dangling symlink, which nothing makes", function()
      assert(lfs.link(base .. "/victim", dir .. "/a.zip.part", true))
      refused("filesystem", "ELOOP", "cannot open .*/a.zip.part: ")
      assert.is_nil(attribute(base .. "/victim", "mode"))
    end)

    it("when it is a fifo, without waiting for anybody", function()
      sh("mkfifo %s/a.zip.part", dir)
      refused("filesystem", "EINVAL", "not a regular file: .*/a.zip.part")
    end)

    it("when it is a folder", function()
      assert(lfs.mkdir(dir .. "/a.zip.part"))
      refused("filesystem", "EISDIR", "cannot open .*/a.zip.part: ")
    end)

    it("when the target is there, in any shape", function()
      write(dir .. "/a.zip", "x")
      assert(lfs.link("nowhere", dir .. "/b.zip", true))
      sh("mkfifo %s/c.zip", dir)
      for _, name in ipairs { "a.zip", "b.zip", "c.zip" } do
        refused("exists", nil, "/d/" .. name .. " already exists", false, nil,
          name)
      end
      assert.same({ "a.zip", "b.zip", "c.zip" }, names(dir))
    end)

    it("when the target appears before the lock is had", function()
      probe.fault("flock", -2)
      refused("exists", nil, "already exists")
      assert.same({ "a.zip" }, names(dir))
    end)

    it("when the target appears so, its bytes kept", function()
      write(dir .. "/a.zip.part", "12345")
      probe.fault("flock", -2)
      refused("exists", nil, "already exists")
      assert.same({ "a.zip", "a.zip.part" }, names(dir))
      assert.equal("12345", read(dir .. "/a.zip.part"))
    end)
  end)

  describe("that is not ours alone", function()
    it("by a second name is left to that name", function()
      local path = dir .. "/a.zip.part"
      write(path, "precious")
      write(path .. ".meta", "x")
      probe.link(path, base .. "/kept")
      local p <close> = open()
      assert.same({ true, 0 }, { p:info().fresh, p:info().size })
      assert.is_true(p:write("new", 0))
      assert.equal("precious", read(base .. "/kept"))
      assert.equal("new", read(path))
      assert.same({ "a.zip.part" }, names(dir))
    end)

    it("since it is the final file, too, leaves that as it is", function()
      local final, path = dir .. "/a.zip", dir .. "/a.zip.part"
      write(final, "precious")
      probe.link(final, path)
      refused("exists", nil, "already exists")
      local p <close> = open(true)
      assert.is_true(p:truncate(0))
      assert.equal("precious", read(final))
      assert.is_true(p:write("new", 0))
      assert.is_true(p:commit(true))
      assert.equal("new", read(final))
      assert.same({ "a.zip" }, names(dir))
    end)

    if ROOT then
      it("since it is another user's is made anew", function()
        local path = dir .. "/a.zip.part"
        sh("chmod 1777 %s", dir)
        as_nobody(function() write(path, "trap") end)
        write(path .. ".meta", "trap")
        local theirs <close> = assert(io.open(path, "rb"))
        local p <close> = open()
        assert.is_true(p:info().fresh)
        assert.is_true(p:write("secret", 0))
        assert.equal(0, attribute(path, "uid"))
        assert.equal("rw-------", attribute(path, "permissions"))
        assert.equal("trap", theirs:read "a")
        assert.same({ "a.zip.part" }, names(dir))
      end)

      it("and cannot be removed is refused", function()
        local path = dir .. "/a.zip.part"
        sh("chmod 1777 %s", dir)
        write(path, "trap")
        sh("chmod 666 %s", path)
        as_nobody(function()
          refused("filesystem", "EPERM", "cannot replace .*/a.zip.part: ")
        end)
        assert.equal("trap", read(path))
      end)
    end
  end)

  describe("is locked", function()
    local function taken()
      return refused("filesystem", "EWOULDBLOCK",
                     "/d/a.zip is being downloaded by another process")
    end

    it("against a second one of the same process", function()
      local p = open()
      before = before + 2
      taken()
      local other <close> = assert(probe.open(dir, "b.zip"))
      assert.is_true(other:info().locked)
      other:close()
      p:close()
      before = before - 2
      open():close()
    end)

    it("against another process, until that ends", function()
      local pipe, gate = holder(base)
      before = descriptors()
      taken()
      gate:close()
      assert.is_true((pipe:close()))
      open():close()
    end)

    it("against another process, until that is killed", function()
      local pipe, gate, pid = holder(base)
      before = descriptors()
      taken()
      sh("kill -9 %d", pid)
      pipe:close()
      gate:close()
      open():close()
    end)

    it("so that another process is refused", function()
      local p <close> = open()
      local code = [[local p, err = probe.open(%q, "a.zip")
        print(p == nil and err.kind, err and err.errno)]]
      local pipe = io.popen(command(code:format(dir)))
      local _, said = pipe:read("l", "l")
      pipe:close()
      assert.equal("filesystem\t" .. errno "EWOULDBLOCK", said)
      assert.is_true(p:info().locked)
    end)

    it("and looked for again when its last owner removed it", function()
      write(dir .. "/a.zip.part", "12345")
      probe.fault("flock", -1, 3)
      local p <close> = open()
      assert.is_true(p:info().fresh)
      assert.same({ "a.zip.part" }, names(dir))
      assert.is_true(p:commit())
    end)

    it("and not looked for for ever", function()
      probe.fault("flock", -1)
      taken()
    end)
  end)

  describe("where there is no flock", function()
    local lock, host

    setup(function()
      local pipe = io.popen "uname -n"
      host = pipe:read "l"
      pipe:close()
    end)

    before_each(function()
      lock = dir .. "/a.zip.part.lock"
      probe.fault("flock", errno "ENOLCK")
    end)

    local function dead()
      local pipe = io.popen "echo $$"
      local pid = pipe:read "n"
      pipe:close()
      return pid
    end

    local function own()
      return tonumber((read "/proc/self/stat":match "^%d+"))
    end

    -- What a process writes: its pid, the machine, a number of its own.
    local function assert_owned()
      local pid, machine, number = read(lock):match "^(%d+) (%g+) (%x+)\n$"
      assert.same({ own(), host }, { tonumber(pid), machine })
      assert.is_true(#number > 1)
    end

    local function taken()
      refused("filesystem", "EWOULDBLOCK", "is being downloaded")
    end

    it("is locked by a file of its own", function()
      local p = open()
      assert.same({ true, false, true }, {
        p:info().lock_file, p:info().locked, p:info().open })
      assert.same({ "a.zip.part", "a.zip.part.lock" }, names(dir))
      assert.equal("rw-------", attribute(lock, "permissions"))
      assert_owned()
      before = descriptors()
      taken()
      assert.is_string(attribute(lock, "mode"))
      p:close()
      p:close()
      assert.same({ "a.zip.part" }, names(dir))
      local q = open()
      assert.is_true(q:commit())
      q:close()
      assert.same({ "a.zip" }, names(dir))
    end)

    it("takes over from a process that is no more", function()
      write(lock, ("%d %s 1\n"):format(dead(), host))
      local p <close> = open()
      assert.is_true(p:info().lock_file)
      assert_owned()
    end)

    -- As in a container that was killed, and has the same name and pids again;
    -- another of the same name may be alive.
    it("takes over from one that had the same pid and writes no more",
    function()
      local part = dir .. "/a.zip.part"
      write(part, "PK")
      write(lock, ("%d %s 1\n"):format(own(), host))
      taken()
      assert(lfs.touch(part, os.time() - 3500))
      taken()
      assert(lfs.touch(part, os.time() - 3700))
      local p <close> = open()
      assert.is_true(p:info().lock_file)
      assert_owned()
      before = descriptors()
      taken()
    end)

    it("does not take over when it cannot know", function()
      for _, text in ipairs {
        "", "x", "\n", "0 " .. host .. " 1\n", "-1 " .. host .. " 1\n",
        ("%d %s 1\n"):format(dead(), host .. "x"), -- of another machine
        ("-%d %s 1\n"):format(dead(), host), ("%d\n"):format(dead()),
        ("%d %s"):format(dead(), host), ("%d %s 1"):format(dead(), host),
        ("%d %s"):format(own(), host), ("1 %s 1\n"):format(host),
        ("%d %s 1\n"):format((1 << 32) + dead(), host),
        ("9"):rep(40) .. " " .. host .. " 1\n", ("x"):rep(1000),
      } do
        write(lock, text)
        taken()
        assert.equal(text, read(lock))
      end
    end)

    it("waits for nobody, and follows nothing", function()
      sh("mkfifo %s", lock)
      taken()
      os.remove(lock)
      assert(lfs.link("nowhere", lock, true))
      taken()
      os.remove(lock)
      assert(lfs.mkdir(lock))
      taken()
    end)

    it("says when its lock cannot be written", function()
      probe.fault("write", errno "ENOSPC")
      refused("filesystem", "ENOSPC", "cannot write .*/a.zip.part.lock: ")
      probe.fault("write", -1)
      refused("filesystem", "EIO", "cannot write .*/a.zip.part.lock: ")
      assert.is_nil(attribute(lock, "mode"))
    end)

    it("says so in any way", function()
      for _, name in ipairs { "ENOSYS", "EOPNOTSUPP", "EINVAL", "EIO" } do
        probe.fault("flock", errno(name))
        local p <close> = open()
        assert.is_true(p:info().lock_file)
      end
      probe.fault("flock", errno "EINTR", 3)
      local p <close> = open()
      assert.is_true(p:info().locked)
    end)
  end)

  describe("takes bytes", function()
    it("where they belong, however few go at once", function()
      for _, fault in ipairs { 0, -1, errno "EINTR" } do
        probe.fault("pwrite", fault, 3)
        local p <close> = open()
        assert.is_true(p:write("world", 6))
        assert.is_true(p:write("hello ", 0))
        assert.is_true(p:write("", 100))
        assert.equal("hello world", read(dir .. "/a.zip.part"))
        assert.is_true(p:truncate(5))
        assert.is_true(p:sync())
        assert.equal("hello", read(dir .. "/a.zip.part"))
        p:discard()
      end
    end)

    it("until the disk is full, and says so", function()
      local p <close> = open()
      probe.fault("pwrite", errno "ENOSPC")
      local ok, err = p:write(("x"):rep(1000), 0)
      assert.is_nil(ok)
      assert.same({ "filesystem", errno "ENOSPC", false },
                  { err.kind, err.errno, err.retryable })
      assert.matches("not enough room %(1000 bytes needed, %d+ free%) for "
                     .. dir .. "/a.zip.part: ", err.message)
    end)

    it("until another error, and says that", function()
      local p <close> = open()
      for _, name in ipairs { "EFBIG", "EIO", "EDQUOT" } do
        probe.fault("pwrite", errno(name))
        local _, err = p:write("x", 0)
        assert.equal(errno(name), err.errno)
        assert.matches("^cannot write " .. dir .. "/a.zip.part: ", err.message)
      end
    end)

    it("to be synced, or not", function()
      local p <close> = open()
      probe.fault("fdatasync", errno "EINTR", 2)
      assert.is_true(p:sync())
      probe.fault("fdatasync", errno "EIO")
      local _, err = p:sync()
      assert.same({ "filesystem", errno "EIO" }, { err.kind, err.errno })
    end)

    it("that a second descriptor reads, and only reads", function()
      local p <close> = open()
      p:write("bytes", 0)
      local text, private = p:reopen()
      assert.equal("bytes", text)
      assert.is_true(private)
      assert.equal(before + 2, descriptors())
    end)

    it("and no second descriptor reads another file's", function()
      local p <close> = open()
      local path = dir .. "/a.zip.part"
      for _, make in ipairs {
        function() end,
        function() write(path, "other") end,
        function() sh("mkfifo %s", path) end,
        function() assert(lfs.link("nowhere", path, true)) end,
      } do
        os.remove(path)
        make()
        local text, err = p:reopen()
        assert.is_nil(text)
        assert.equal("filesystem", err.kind)
        assert.equal(before + 2, descriptors())
      end
    end)
  end)

  describe("reserves room", function()
    local MiB = 1 << 20

    local function blocks() return attribute(dir .. "/a.zip.part", "blocks") end

    it("without being any longer", function()
      local p <close> = open()
      assert.is_true(p:reserve(5 * MiB - 1))
      assert.equal(0, blocks())
      assert.is_true(p:reserve(6 * MiB))
      assert.equal(0, attribute(dir .. "/a.zip.part", "size"))
    end)

    it("and gives it back when there is not enough", function()
      local p <close> = open()
      p:write("12345", 0)
      local small = blocks()
      assert.is_true(p:reserve(6 * MiB))
      probe.fault("fallocate", errno "ENOSPC")
      local ok, err = p:reserve(8 * MiB)
      assert.is_nil(ok)
      assert.same({ "filesystem", errno "ENOSPC" }, { err.kind, err.errno })
      assert.matches("%(8388608 bytes needed, %d+ free%)", err.message)
      assert.is_true(blocks() <= math.max(small, 16))
      assert.equal("12345", read(dir .. "/a.zip.part"))
    end)

    it("that no disk has, and is refused", function()
      local p <close> = open()
      local ok, err = p:reserve(1 << 60)
      if not ok then -- some file systems do not know how
        assert.equal("filesystem", err.kind)
        assert.is_true(err.errno == errno "EFBIG"
                       or err.errno == errno "ENOSPC")
        assert.equal(0, blocks())
      end
    end)

    it("where the file system knows how", function()
      local p <close> = open()
      for _, name in ipairs { "EOPNOTSUPP", "ENOSYS", "EINVAL", "EPERM" } do
        probe.fault("fallocate", errno(name))
        assert.is_true(p:reserve(6 * MiB))
      end
      probe.fault("fallocate", errno "EINTR", 2)
      assert.is_true(p:reserve(6 * MiB))
    end)
  end)

  describe("is committed", function()
    -- Each way there is: renameat2, link and unlink, look and rename.
    local ways = {
      { "renameat2" },
      { "link, no such call", "ENOSYS" },
      { "link, no such flag", "EINVAL" },
      { "link, in a sandbox", "EPERM" },
      { "look and rename", "EINVAL", "EPERM" },
      { "look and rename, no such call", "ENOSYS", "EOPNOTSUPP" },
    }
    local function poor(way)
      if way[2] then probe.fault("renameat2", errno(way[2])) end
      if way[3] then probe.fault("linkat", errno(way[3])) end
    end

    for _, way in ipairs(ways) do
      it("to the final name by " .. way[1], function()
        poor(way)
        local p = open()
        p:write("whole", 0)
        p:set_record { object = "o", total = 5, pieces = { { 0, 5, 5 } } }
        assert.is_true(p:commit())
        assert.same({ "a.zip" }, names(dir))
        -- SQ_NAMED_BY_LINK, SQ_NAMED_BY_LOOK
        assert.equal(way[3] and 4 or way[2] and 2 or 0, p:info().fallbacks)
        p:close()
        assert.equal("whole", read(dir .. "/a.zip"))
        assert.equal("rw-------", attribute(dir .. "/a.zip", "permissions"))
        assert.equal(1, attribute(dir .. "/a.zip", "nlink"))
        assert.equal(before, descriptors())
      end)

      for shape, make in pairs {
        ["a file"] = function(path) write(path, "theirs") end,
        ["a folder"] = function(path) assert(lfs.mkdir(path)) end,
        ["a dangling symlink"] = function(path)
          assert(lfs.link("nowhere", path, true))
        end,
      } do
        it(("never over %s that appeared, by %s"):format(shape, way[1]),
        function()
          poor(way)
          local p <close> = open()
          p:write("whole", 0)
          make(dir .. "/a.zip")
          local ino = attribute(dir .. "/a.zip", "ino")
          local ok, err = p:commit()
          assert.is_nil(ok)
          assert.equal("exists", err.kind)
          assert.matches("/d/a.zip has appeared", err.message)
          assert.equal(ino, attribute(dir .. "/a.zip", "ino"))
          assert.equal("whole", read(dir .. "/a.zip.part"))
        end)
      end
    end

    it("over a file when told", function()
      write(dir .. "/a.zip", "old")
      local p <close> = open(true)
      p:write("new", 0)
      assert.is_true(p:commit(true))
      assert.equal("new", read(dir .. "/a.zip"))
      assert.same({ "a.zip" }, names(dir))
    end)

    it("over a symlink, not over what it points to", function()
      write(base .. "/victim", "precious")
      assert(lfs.link(base .. "/victim", dir .. "/a.zip", true))
      local p <close> = open(true)
      p:write("new", 0)
      assert.is_true(p:commit(true))
      assert.equal("file", attribute(dir .. "/a.zip", "mode"))
      assert.equal("precious", read(base .. "/victim"))
    end)

    it("never over a folder", function()
      local p <close> = open(true)
      assert(lfs.mkdir(dir .. "/a.zip"))
      local ok, err = p:commit(true)
      assert.is_nil(ok)
      assert.same({ "filesystem", errno "EISDIR" }, { err.kind, err.errno })
      assert.matches("cannot rename to .*/d/a.zip: ", err.message)
    end)

    it("only as the file that it is", function()
      local p <close> = open()
      local path = dir .. "/a.zip.part"
      for _, make in ipairs {
        function() end,
        function() write(path, "other") end,
        function() assert(lfs.link("nowhere", path, true)) end,
      } do
        os.remove(path)
        make()
        local ok, err = p:commit()
        assert.is_nil(ok)
        assert.same({ "filesystem", errno "ENOENT" }, { err.kind, err.errno })
        assert.matches("another program removed .*/a.zip.part", err.message)
        assert.is_nil(attribute(dir .. "/a.zip", "mode"))
      end
    end)

    it("beneath its folder, wherever that has gone", function()
      local p <close> = open()
      p:write("whole", 0)
      assert(os.rename(dir, base .. "/moved"))
      assert(lfs.mkdir(dir))
      assert.is_true(p:commit())
      assert.same({}, names(dir))
      assert.equal("whole", read(base .. "/moved/a.zip"))
    end)
  end)

  describe("has a record", function()
    local r = { object = "/a v=1", etag = '"e"', total = 20,
                pieces = { { 0, 5, 20 } } }
    local meta

    before_each(function() meta = dir .. "/a.zip.part.meta" end)

    it("that is read back, in its next life, too", function()
      local p = open()
      assert.is_nil(p:record())
      assert.is_true(p:write("12345", 0))
      for _, fault in ipairs { 0, -1, errno "EINTR" } do
        probe.fault("write", fault, 3)
        assert.is_true(p:set_record(r))
        assert.same(r, p:record())
      end
      assert.equal("rw-------", attribute(meta, "permissions"))
      assert.same({ "a.zip.part", "a.zip.part.meta" }, names(dir))
      p:close()
      p = open()
      assert.same(r, p:record())
      p:forget()
      assert.is_nil(p:record())
      p:forget()
      assert.same({ "a.zip.part" }, names(dir))
      p:set_record(r)
      p:discard()
      p:discard()
      assert.same({}, names(dir))
      p:close()
      p:discard()
      p:forget()
      assert.equal(before, descriptors())
    end)

    it("that is believed only as a whole file", function()
      local p <close> = open()
      local text = probe.format(r)
      write(meta, text)
      assert.same(r, p:record())
      for n = 0, #text - 1 do
        write(meta, text:sub(1, n))
        assert.is_nil(p:record())
      end
      for _, other in ipairs { text .. "\n", text .. ("\0"):rep(9000),
                               ("x"):rep(8191), ("x"):rep(8192),
                               ("x"):rep(100000) } do
        write(meta, other)
        assert.is_nil(p:record())
      end
    end)

    it("that is a file, waited for by nobody", function()
      local p <close> = open()
      write(base .. "/real", probe.format(r))
      for _, make in ipairs {
        function() assert(lfs.link(base .. "/real", meta, true)) end,
        function() sh("mkfifo %s", meta) end,
        function() assert(lfs.mkdir(meta)) end,
      } do
        make()
        assert.is_nil(p:record())
        assert(lfs.rmdir(meta) or os.remove(meta))
      end
      assert.equal(before + 2, descriptors())
    end)

    it("whose temporary name cannot be a trap", function()
      local p <close> = open()
      local fresh = meta .. ".new"
      write(base .. "/victim", "precious")
      for _, make in ipairs {
        function() probe.link(base .. "/victim", fresh) end,
        function() assert(lfs.link(base .. "/victim", fresh, true)) end,
        function() sh("mkfifo %s", fresh) end,
        function() write(fresh, ("x"):rep(9000)) end,
      } do
        make()
        assert.is_true(p:set_record(r))
        assert.same(r, p:record())
        assert.equal("precious", read(base .. "/victim"))
        assert.equal("file", attribute(meta, "mode"))
        assert.equal(1, attribute(meta, "nlink"))
      end
    end)

    it("that stays as it was when it cannot be written", function()
      local p <close> = open()
      p:set_record(r)
      local other = { object = "/b", total = 1, pieces = { { 0, 0, 1 } } }
      for _, name in ipairs { "ENOSPC", "EIO" } do
        probe.fault("write", errno(name))
        local ok, err = p:set_record(other)
        assert.is_nil(ok)
        assert.same({ "filesystem", errno(name) }, { err.kind, err.errno })
        assert.matches("^cannot write " .. meta .. ": ", err.message)
        assert.same(r, p:record())
        assert.same({ "a.zip.part", "a.zip.part.meta" }, names(dir))
      end
      probe.fault "write"
      other.object = "a\nb"
      local _, err = p:set_record(other)
      assert.equal(errno "EINVAL", err.errno)
      assert.same(r, p:record())
      os.remove(meta)
      assert(lfs.mkdir(meta))
      _, err = p:set_record(r)
      assert.equal("filesystem", err.kind)
      assert.same({ "a.zip.part", "a.zip.part.meta" }, names(dir))
      assert.equal(before + 2, descriptors())
    end)

    it("and is discarded without touching another's part", function()
      local p <close> = open()
      local path = dir .. "/a.zip.part"
      os.remove(path)
      write(path, "other")
      p:discard()
      assert.equal("other", read(path))
    end)
  end)
end)
