--- A download on a disk that does not play along: folders and parts that are
-- not what they should be, a full disk, a limit on files. And how much memory
-- a large one takes.

local lfs = require "lfs"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local tool = require "spec.support.tool"

local NAME = "d.zip"
local PART = NAME .. ".part"
local META = PART .. ".meta"
local MIB = 1024 * 1024
local ENOENT, EACCES, ENOTDIR, EISDIR, EFBIG, ENOSPC, ENAMETOOLONG, ELOOP =
  2, 13, 20, 21, 27, 28, 36, 40

local function sh(command, ...)
  return os.execute(command:format(...))
end

local function is_root()
  local pipe <close> = assert(io.popen "id -u")
  return pipe:read "n" == 0
end

describe("a download's disk", function()
  local s, client, folder, bytes, url

  setup(function() bytes = downloads.archive(1024) end)

  before_each(function()
    s = server.shared()
    client = helpers.client(s, { retries = 0 })
    folder = helpers.tmpdir()
    url = s:put_file(NAME, bytes)
  end)

  after_each(function()
    client:close()
    sh("chmod -R u+rwx %s", folder.path)
    helpers.remove(folder.path)
  end)

  local function path(name)
    return folder .. "/" .. name
  end

  local function download(more)
    local options = { url = url, path = folder.path, filename = NAME }
    for name, value in pairs(more or {}) do options[name] = value end
    return client:download(options)
  end

  -- What is in the way is found before anything is asked.
  local function assert_refused(errno, named, zip, err)
    assert.is_nil(zip)
    assert.equal("filesystem", err.kind)
    if errno then assert.equal(errno, err.errno) end
    assert.truthy(err.message:find(named, 1, true), err.message)
    assert.is_false(err.retryable)
    assert.same({}, downloads.requests(s))
  end

  ---------------------------------------------- 23: what is in the way

  it("may have a file where the folder should be", function()
    helpers.write_file(path "file", "mine")
    assert_refused(ENOTDIR, path "file",
      download { path = path "file" })
    assert_refused(ENOTDIR, path "file",
      download { path = path "file/below/it" })
    assert.equal("mine", helpers.read_file(path "file"))
  end)

  it("may have a link to nowhere where the folder should be", function()
    lfs.link("nowhere", path "link", true)
    assert_refused(ENOENT, path "link", download { path = path "link" })
    assert_refused(nil, path "link", download { path = path "link/below" })
  end)

  it("may have a link to the folder", function()
    lfs.mkdir(path "real")
    lfs.link("real", path "link", true)
    local zip <close> = assert(download { path = path "link" })
    assert.equal(path("link/" .. NAME), zip.path)
    assert.same({ NAME }, helpers.names(path "real"))
  end)

  it("may have a folder name that is too long", function()
    assert_refused(ENAMETOOLONG, "nnn",
      download { path = path(("n"):rep(300)) })
    assert_refused(ENAMETOOLONG, path "n/n",
      download { path = path(("n/"):rep(5000)) })
  end)

  it("may have a folder where the file should be", function()
    lfs.mkdir(path(NAME))
    assert_refused(EISDIR, path(NAME), download { overwrite = true })
    assert_refused(EISDIR, path(NAME), download())
    assert.same({ NAME }, helpers.names(folder.path))
  end)

  it("may have a folder where the part should be", function()
    lfs.mkdir(path(PART))
    assert_refused(EISDIR, path(PART), download())
    assert.same({ PART }, helpers.names(folder.path))
  end)

  it("may have a link where the part should be", function()
    helpers.write_file(path "target", "theirs")
    for _, target in ipairs { "target", "nowhere", PART, "/dev/null" } do
      lfs.link(target, path(PART), true)
      assert_refused(ELOOP, path(PART), download())
      assert.equal("link", lfs.symlinkattributes(path(PART), "mode"))
      os.remove(path(PART))
    end
    assert.equal("theirs", helpers.read_file(path "target"))
    assert.same({ "target" }, helpers.names(folder.path))
  end)

  it("may have a pipe where the part should be", function()
    sh("mkfifo %s", path(PART))
    assert_refused(nil, path(PART), download())
    assert.equal("named pipe", lfs.attributes(path(PART), "mode"))
  end)

  it("may have a link where the record should be", function()
    helpers.write_file(path "target", "theirs")
    s:fault { fault = "cut", bytes = 100000 }
    for _, name in ipairs { META, META .. ".new" } do
      lfs.link("target", path(name), true)
      local zip, err = download()
      assert.is_nil(zip)
      assert.equal("network", err.kind)
      assert.equal("theirs", helpers.read_file(path "target"))
      assert.equal("file", lfs.symlinkattributes(path(META), "mode"))
      os.remove(path(META))
      os.remove(path(PART))
    end
  end)

  it("may have a part with a second name, which stays as it is", function()
    helpers.write_file(path "second", "theirs")
    lfs.link(path "second", path(PART))
    local zip <close> = assert(download())
    assert.equal("theirs", helpers.read_file(path "second"))
    assert.is_true(bytes == helpers.read_file(zip.path))
  end)

  it("makes a part of ours private again", function()
    helpers.write_file(path(PART), "x")
    sh("chmod 666 %s", path(PART))
    local zip <close> = assert(download())
    assert.equal("rw-------", downloads.mode(zip.path))
  end)

  it("may have a folder that is not to be written to", function()
    if is_root() then
      return pending "root may write everywhere; run as another user for this"
    end
    sh("chmod 500 %s", folder.path)
    assert_refused(EACCES, path(PART), download())
    assert_refused(EACCES, path "sub", download { path = path "sub" })
  end)

  it("may be a file system that nothing can be made in", function()
    assert_refused(nil, "/proc/self", download { path = "/proc/self" })
    assert_refused(nil, "/proc/x", download { path = "/proc/x/y" })
  end)

  ----------------------------------------------------- 22: the disk is full

  local function small_disk(kib)
    return downloads.small_disk(path "disk", kib)
  end

  it("may be full while bytes are written", function()
    local disk <close>, why = small_disk(512)
    if not disk then return pending(why) end
    local zip, err = download { path = disk.path }
    assert.is_nil(zip)
    assert.equal("filesystem", err.kind)
    assert.equal(ENOSPC, err.errno)
    assert.truthy(err.message:find(disk.path .. "/" .. PART, 1, true))
    assert.truthy(err.message:find("%d+ bytes needed, %d+ free"), err.message)
    assert.equal(1, #downloads.requests(s))
    assert.is_nil(lfs.attributes(disk.path .. "/" .. NAME))
    disk.grow()
    local again <close> = assert(download { path = disk.path })
    assert.is_true(bytes == helpers.read_file(again.path))
    assert.same({ NAME }, helpers.names(disk.path))
  end)

  it("goes on with the part when there is room again", function()
    local disk <close>, why = small_disk(768)
    if not disk then return pending(why) end
    helpers.write_file(disk.path .. "/big", ("x"):rep(300000))
    assert.is_nil((download { path = disk.path }))
    assert.same({ "big", PART, META }, helpers.names(disk.path))
    disk.grow()
    local zip <close> = assert(download { path = disk.path })
    assert.truthy(downloads.ranges(s)[2]:find "^bytes=[1-9]")
    assert.is_true(bytes == helpers.read_file(zip.path))
  end)

  it("may be full from the start", function()
    local disk <close>, why = small_disk(4096)
    if not disk then return pending(why) end
    url = s:put_file(NAME, downloads.lookalike(20))
    local zip, err = download { path = disk.path, verify = false }
    assert.is_nil(zip)
    assert.equal("filesystem", err.kind)
    assert.equal(ENOSPC, err.errno)
    assert.truthy(err.message:find(("%d bytes needed"):format(20 * MIB), 1,
      true), err.message)
    assert.same({}, helpers.names(disk.path))
    helpers.write_file(disk.path .. "/room", ("x"):rep(3 * MIB))
  end)

  it("may have too little room for a second one", function()
    local disk <close>, why = small_disk(1536)
    if not disk then return pending(why) end
    assert(download { path = disk.path }):close()
    local zip, err = download { path = disk.path, filename = "second.zip" }
    assert.is_nil(zip)
    assert.equal(ENOSPC, err.errno)
    local _ <close> = assert(download { path = folder.path })
    assert.is_true(bytes == helpers.read_file(disk.path .. "/" .. NAME))
  end)

  local function limited(kib, mib)
    local content = mib and downloads.lookalike(mib) or bytes
    s:put_file(NAME, content)
    local process = downloads.start(s, { url = url, path = folder.path,
      filename = NAME, verify = false }, {
      -- in blocks of 512 bytes, or of 1024 in other shells
      shell = ("ulimit -f %d;"):format(kib * 2) })
    return process.wait()
  end

  it("may set a limit to a file's size", function()
    local said = limited(256)
    assert.truthy(said:find("^filesystem\t" .. EFBIG .. "\t"), said)
    assert.truthy(said:find(path(PART), 1, true), said)
    assert.is_nil(lfs.attributes(path(NAME)))
    local zip <close> = assert(download())
    assert.is_true(bytes == helpers.read_file(zip.path))
  end)

  it("may set a limit that is known from the start", function()
    local said = limited(1024, 20)
    assert.truthy(said:find("^filesystem\t" .. EFBIG .. "\t"), said)
    assert.is_nil(lfs.attributes(path(NAME)))
  end)

  ------------------------------------------------------------------- memory

  it("holds a file of any size; memory does not", function()
    local why_not = tool.cannot "the memory used"
    if why_not then return pending(why_not) end
    local source = path "source.zip"
    downloads.write_large(source, 256)
    local large = s:put_file("large.zip", { path = source })
    -- the first download brings in all code and the CA bundle
    local process = downloads.start(s, { url = large:gsub("^http:.-/files",
      s.https .. "/files"), path = path "to" }, { before = [[
      local function peak()
        for line in io.lines "/proc/self/status" do
          local kib = line:match "^VmHWM:%s*(%d+)"
          if kib then return tonumber(kib) end
        end
      end
      local first = assert(client:download { path = options.download.path,
        url = options.client.user_agent })
      assert(first:test())
      local before = peak()
      local zip = assert(client:download(options.download))
      print("peak", peak() - before, zip.bytes)
      os.exit(true, true)
    ]], client = { user_agent = s.https .. "/files/" .. NAME } })
    local said = process.wait()
    local kib, size = said:match "^peak\t(%d+)\t(%d+)"
    assert.truthy(kib, said)
    assert.equal(lfs.attributes(source, "size"), tonumber(size))
    assert.is_true(tonumber(kib) < 8 * 1024, kib)
  end)
end)
