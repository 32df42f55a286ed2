--- A download that goes well, in all its forms: where the file lands, what it
-- is called, who may read it, what is checked, and what the options refuse.
-- How it goes on after a stop, in segments, with a progress function or on a
-- bad disk: spec/download/; what can go wrong on the wire:
-- spec/download_faults_spec.lua.

local lfs = require "lfs"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local square = require "squarecloud"
local zips = require "spec.support.zips"

local MODIFIED = 1719469422 -- 2024-06-27T06:23:42Z
local STAMP = "20240627T062342Z"

describe("a download", function()
  local s, client, folder, bytes, entry, app

  before_each(function()
    s = server.shared()
    app = s.apps[1]
    client = helpers.client(s)
    folder = helpers.tmpdir()
    bytes = downloads.archive(64)
    entry = s:add_snapshot { app = app, bytes = bytes, modified = MODIFIED }
  end)

  after_each(function()
    client:close()
    helpers.remove(folder.path)
  end)

  local function only_info()
    local infos = assert(client:all_app_snapshots(app))
    assert.equal(1, #infos)
    return infos[1]
  end

  local function assert_only(name)
    assert.same({ name }, helpers.names(folder.path))
  end

  ---------------------------------------------------------------- the forms

  it("gives a ZipFile of the snapshot's bytes", function()
    local info = only_info()
    local zip <close> = assert(info:download { path = folder.path })
    local path = ("%s/%s_%s.zip"):format(folder.path, app, STAMP)
    assert.equal(path, zip.path)
    assert.equal(#bytes, zip.bytes)
    assert.equal(entry.etag, zip.etag)
    assert.is_true(bytes == helpers.read_file(path))
    assert.same({ "data.txt", "folder/empty.txt" }, zip:names())
    assert_only(app .. "_" .. STAMP .. ".zip")
  end)

  it("takes the path alone", function()
    local zip <close> = assert(only_info():download(folder.path))
    assert.equal(("%s/%s_%s.zip"):format(folder.path, app, STAMP), zip.path)
  end)

  it("is made of a snapshot that was just created", function()
    local snapshot = assert(client:snapshot(app))
    local zip <close> = assert(snapshot:download(folder.path))
    local stamp = snapshot.created_at:gsub("[-:]", ""):gsub("%.%d+", "")
    assert.equal(("%s/%s_%s.zip"):format(folder.path, app, stamp), zip.path)
    assert.is_true(#zip > 0)
    assert.is_true(zip:test())
  end)

  it("is made of a database's snapshot", function()
    s:add_snapshot { database = s.databases[1], bytes = bytes,
      modified = MODIFIED }
    local infos = assert(client:all_app_snapshots {
      app_id = s.databases[1], application_type = "database" })
    local zip <close> = assert(infos[1]:download(folder.path))
    assert.is_true(bytes == helpers.read_file(zip.path))
    assert.truthy(downloads.requests(s)[1].uri:find("^/databases/"))
    assert_only(infos[1].id .. "_" .. STAMP .. ".zip")
  end)

  it("is made of a database's snapshot that was just created", function()
    local snapshot = assert(client:snapshot {
      app_id = s.databases[1], application_type = "database" })
    local zip <close> = assert(snapshot:download(folder.path))
    assert.is_true(zip:test())
  end)

  it("is made of an address, with the name in it", function()
    local zip <close> = assert(client:download {
      url = entry.url, path = folder.path })
    assert.equal(folder .. "/" .. app .. ".zip", zip.path)
    assert.is_true(bytes == helpers.read_file(zip.path))
  end)

  it("is made of http where both ends are on the loopback", function()
    local zip <close> = assert(client:download {
      url = entry.http_url, path = folder.path })
    assert.is_true(bytes == helpers.read_file(zip.path))
  end)

  it("asks once, for a range of everything, and never shows the key",
    function()
      local info = only_info()
      local _ <close> = assert(info:download(folder.path))
      local asked = downloads.requests(s)
      assert.equal(1, #asked)
      local headers = asked[1].headers
      assert.equal("bytes=0-", headers.range)
      assert.equal("identity", headers["accept-encoding"])
      assert.is_nil(headers["if-range"])
      assert.is_nil(headers.authorization)
      assert.is_nil(headers["content-type"])
      for name in pairs(headers) do
        assert.is_nil(name:find("^x%-amz"), name)
      end
      assert.equal("HTTP/1.1", asked[1].protocol)
      assert.equal(entry.path .. "?" .. entry.key, asked[1].uri)
    end)

  it("asks nobody but the store", function()
    local info = only_info()
    local before = #s:requests()
    local _ <close> = assert(info:download(folder.path))
    assert.equal(before + 1, #s:requests())
  end)

  ------------------------------------------------------------ where it lands

  it("lands in the current directory by default", function()
    local process = downloads.start(s, { url = entry.url },
      { folder = folder.path })
    assert.equal(("done\t%s/%s.zip\n"):format(folder.path, app),
      process.wait())
    assert_only(app .. ".zip")
  end)

  it("lands in `.` as in the current directory", function()
    local process = downloads.start(s, { url = entry.url, path = "." },
      { folder = folder.path })
    assert.equal(("done\t%s/%s.zip\n"):format(folder.path, app),
      process.wait())
  end)

  it("makes the folder and its parents, for the owner alone", function()
    local path = folder .. "/a/b c/d"
    local zip <close> = assert(client:download { url = entry.url,
      path = path .. "//" })
    assert.equal(path .. "/" .. app .. ".zip", zip.path)
    for _, part in ipairs { "/a", "/a/b c", "/a/b c/d" } do
      assert.equal("rwx------", downloads.mode(folder .. part))
    end
    assert.equal("rw-------", downloads.mode(zip.path))
  end)

  it("leaves the mode of a folder that was there", function()
    lfs.mkdir(folder .. "/open")
    os.execute("chmod 755 " .. folder .. "/open")
    local zip <close> = assert(client:download { url = entry.url,
      path = folder .. "/open" })
    assert.equal("rwxr-xr-x", downloads.mode(folder .. "/open"))
    assert.equal("rw-------", downloads.mode(zip.path))
  end)

  it("fixes a relative path at the call", function()
    lfs.mkdir(folder .. "/first")
    lfs.mkdir(folder .. "/second")
    local moved = [[
      local lfs = require "lfs"
      options.download.progress = function()
        lfs.chdir(options.client.user_agent)
      end]]
    local process = downloads.start(s, { url = entry.url, path = "to" }, {
      folder = folder .. "/first", before = moved,
      client = { user_agent = folder .. "/second" } })
    assert.equal(("done\t%s/first/to/%s.zip\n"):format(folder.path, app),
      process.wait())
    assert.same({ app .. ".zip" }, helpers.names(folder .. "/first/to"))
    assert.same({}, helpers.names(folder .. "/second"))
  end)

  ------------------------------------------------------------------- names

  it("takes a filename", function()
    for _, name in ipairs { "backup.zip", "no ending", "ação.zip", "-x", "...",
      (".hidden"), ("n"):rep(241) } do
      local zip <close> = assert(client:download { url = entry.http_url,
        path = folder.path, filename = name })
      assert.equal(folder .. "/" .. name, zip.path)
    end
  end)

  it("refuses a filename that is not plain", function()
    for _, case in ipairs {
      { "", "is empty" }, { ".", "'.' or '..'" }, { "..", "'.' or '..'" },
      { "a/b", "slash" }, { "/a", "slash" }, { "../a", "slash" },
      { "a\\b", "backslash" }, { "a\0b", "control" }, { "a\nb", "control" },
      { "a\rb", "control" }, { "a\27b", "control" }, { "a\127b", "control" },
      { ("n"):rep(242), "longer than" },
    } do
      local ok, why = pcall(client.download, client,
        { url = entry.url, path = folder.path, filename = case[1] })
      assert.is_false(ok, case[1])
      assert.truthy(why:find("filename", 1, true), why)
      assert.truthy(why:find(case[2], 1, true), why)
    end
    assert.same({}, downloads.requests(s))
    assert.same({}, helpers.names(folder.path))
  end)

  it("tames what an address suggests, and never raises", function()
    for _, case in ipairs {
      { "a.zip", "a.zip" }, { "a", "a.zip" }, { "", "snapshot.zip" },
      { "%2e%2e", "snapshot.zip" }, { "..", "snapshot.zip" },
      { "%2Fetc%2Fpasswd", "etcpasswd.zip" },
      { "..%2f..%2fa.zip", "a.zip" }, { ".bashrc", "bashrc.zip" },
      { "a%00b.zip", "ab.zip" }, { "a%0d%0ab.zip", "ab.zip" },
      { "%", "snapshot.zip" }, { "%zz.zip", "zz.zip" },
      { "%E6%97%A5.zip", "zip.zip" }, { "a%20b%5C.zip", "ab.zip" },
      { ("n"):rep(300) .. ".zip", ("n"):rep(196) .. ".zip" },
      { "%2d-rf", "--rf.zip" },
    } do
      local path = folder .. "/" .. case[2]
      helpers.write_file(path, "mine")
      local zip, err = client:download { path = folder.path,
        url = s.http .. "/echo/" .. case[1] .. "?a=/../b" }
      assert.is_nil(zip)
      assert.equal("exists", err.kind, case[1])
      assert.truthy(err.message:find(path, 1, true), err.message)
      helpers.remove(path)
    end
    assert.same({}, s:requests())
  end)

  it("tames an id that would not be a file's name", function()
    s:add_app { id = "../é x", name = "odd" }
    s:add_snapshot { app = "../é x", bytes = bytes, modified = MODIFIED }
    local infos = assert(client:all_app_snapshots "../é x")
    local zip <close> = assert(infos[1]:download(folder.path))
    assert.equal(("%s/x_%s.zip"):format(folder.path, STAMP), zip.path)
  end)

  it("keeps two snapshots of one application apart", function()
    s:add_snapshot { app = app, bytes = downloads.archive(8),
      modified = MODIFIED + 1 }
    local infos = assert(client:all_app_snapshots(app))
    for _, info in ipairs(infos) do
      assert(info:download(folder.path)):close()
    end
    assert.same({ app .. "_" .. STAMP .. ".zip",
      app .. "_20240627T062343Z.zip" }, helpers.names(folder.path))
  end)

  ----------------------------------------------------------------- options

  it("does not replace a file, and asks for nothing", function()
    helpers.write_file(folder .. "/" .. app .. ".zip", "mine")
    local zip, err = client:download { url = entry.url, path = folder.path }
    assert.is_nil(zip)
    assert.equal("exists", err.kind)
    assert.truthy(err.message:find(folder .. "/" .. app .. ".zip", 1, true))
    assert.same({}, downloads.requests(s))
    assert.equal("mine", helpers.read_file(folder .. "/" .. app .. ".zip"))
    assert_only(app .. ".zip")
  end)

  it("does not replace a symbolic link that leads nowhere", function()
    lfs.link("nowhere", folder .. "/" .. app .. ".zip", true)
    local zip, err = client:download { url = entry.url, path = folder.path }
    assert.is_nil(zip)
    assert.equal("exists", err.kind)
    assert.same({}, downloads.requests(s))
  end)

  it("replaces a file when told", function()
    local path = folder .. "/" .. app .. ".zip"
    helpers.write_file(path, "mine")
    local _ <close> = assert(client:download { url = entry.url,
      path = folder.path, overwrite = true })
    assert.is_true(bytes == helpers.read_file(path))
    assert.equal("rw-------", downloads.mode(path))
    assert_only(app .. ".zip")
  end)

  it("replaces a link, not what it points to", function()
    local path = folder .. "/" .. app .. ".zip"
    helpers.write_file(folder .. "/target", "theirs")
    lfs.link("target", path, true)
    local _ <close> = assert(client:download { url = entry.url,
      path = folder.path, overwrite = true })
    assert.equal("file", lfs.symlinkattributes(path, "mode"))
    assert.equal("theirs", helpers.read_file(folder .. "/target"))
  end)

  it("leaves the old file when the new one fails", function()
    local path = folder .. "/" .. app .. ".zip"
    helpers.write_file(path, "mine")
    s:fault { fault = "store_error", status = 404, code = "NoSuchKey" }
    local zip, err = client:download { url = entry.url, path = folder.path,
      overwrite = true }
    assert.is_nil(zip)
    assert.equal("not_found", err.kind)
    assert.equal("mine", helpers.read_file(path))
    assert_only(app .. ".zip")
  end)

  it("refuses options that it does not know or cannot take", function()
    local info = only_info()
    for _, case in ipairs {
      { { pathh = "x" }, "unknown option 'pathh'" },
      { { url = entry.url }, "unknown option 'url'" },
      { { path = 1 }, "'path'" }, { { path = "" }, "'path'" },
      { { path = "a\0b" }, "'path'" }, { { filename = 1 }, "'filename'" },
      { { overwrite = 1 }, "'overwrite'" }, { { resume = "no" }, "'resume'" },
      { { verify = true }, "'verify'" }, { { verify = "half" }, "'verify'" },
      { { verify = 1 }, "'verify'" }, { { segments = 0 }, "'segments'" },
      { { segments = 17 }, "'segments'" }, { { segments = 1.5 }, "'segments'" },
      { { segments = "2" }, "'segments'" }, { { progress = 1 }, "'progress'" },
      { { progress = false }, "'progress'" }, { 1, "table" },
      { true, "table" },
    } do
      local ok, why = pcall(info.download, info, case[1])
      assert.is_false(ok, case[2])
      assert.truthy(tostring(why):find(case[2], 1, true), why)
    end
    assert.same({}, downloads.requests(s))
  end)

  it("refuses an address that is none, without showing it", function()
    for _, url in ipairs { "", "x", "ftp://localhost/a.zip",
      "http://example.com/a.zip?Signature=s3cr3t", "https://u:s3cr3t@h/a.zip",
      "file:///etc/passwd", "https://localhost/a\nb", "https://localhost/a\0",
      "https://localhost/a b" } do
      local ok, why = pcall(client.download, client, url)
      assert.is_false(ok, url)
      assert.truthy(why:find("'url'", 1, true), why)
      assert.is_nil(why:find("s3cr3t", 1, true), why)
    end
    assert.has_error(function() client:download {} end)
    assert.has_error(function() client:download() end)
    assert.has_error(function() client:download { path = folder.path } end)
    assert.has_error(function() client:download(entry.url, "x") end)
  end)

  it("raises on a closed client", function()
    local info = only_info()
    client:close()
    for _, call in ipairs {
      function() client:download(entry.url) end,
      function() info:download(folder.path) end,
      function() info:download { nonsense = 1 } end,
    } do
      local ok, why = pcall(call)
      assert.is_false(ok)
      assert.truthy(why:find("closed", 1, true), why)
    end
    assert.same({}, helpers.names(folder.path))
  end)

  ------------------------------------------------------------------ verify

  -- Downloads `content` under `verify`; the rest of client:download's options.
  local function fetch(content, verify, more)
    local options = { url = s:put_file("v.zip", content),
      path = folder.path, verify = verify, overwrite = true }
    for name, value in pairs(more or {}) do options[name] = value end
    return client:download(options)
  end

  local flipped, unfinished
  setup(function()
    local whole, map = zips.build { { name = "a.txt", data = "some text" } }
    flipped = zips.flip(whole, map[1].data)
    unfinished = whole:sub(1, -5)
  end)

  it("checks every CRC unless told otherwise", function()
    for _, verify in ipairs { "full", nil } do
      local zip, err = fetch(flipped, verify)
      assert.is_nil(zip)
      assert.equal("integrity", err.kind)
      assert.truthy(err.message:find("a.txt", 1, true), err.message)
      assert.same({}, helpers.names(folder.path))
    end
    local zip, err = fetch(flipped, nil)
    assert.is_nil(zip)
    assert.equal("integrity", err.kind)
  end)

  it("tells of entries whose CRC nobody can check", function()
    local told = {}
    local tracer <close> = helpers.client(s, { trace = function(one)
      if one.event == "file" then told[#told + 1] = one.detail end
    end })
    for i, name in ipairs { "encrypted", "unknown", "empty" } do
      local url = s:put_file(name .. ".zip", zips.sample(name))
      assert(tracer:download { url = url, path = folder.path }):close()
      assert.equal(math.min(i, 2), #told)
    end
    assert.same({ "entries that could not be checked: 1",
      "entries that could not be checked: 1" }, told)
  end)

  it("checks the structure alone when told so", function()
    local zip <close> = assert(fetch(flipped, "structure"))
    assert.same({ "a.txt" }, zip:names())
    local ok, err = zip:test()
    assert.is_nil(ok)
    assert.equal("integrity", err.kind)
    local other, why = fetch(unfinished, "structure", { filename = "b" })
    assert.is_nil(other)
    assert.equal("integrity", why.kind)
    assert_only "v.zip"
  end)

  it("checks nothing but the beginning when told so", function()
    local zip <close> = assert(fetch(unfinished, false))
    assert.equal(#unfinished, zip.bytes)
    local names, err = zip:names()
    assert.is_nil(names)
    assert.equal("integrity", err.kind)
    assert.truthy(err.message:find(zip.path, 1, true), err.message)
    assert.is_true(unfinished == helpers.read_file(zip.path))
  end)

  it("refuses bytes that no ZIP file begins with, whatever `verify`",
    function()
      for _, content in ipairs { "<html>", "<?xml version='1.0'?>", '{"a":1}',
        "PK\3\5....", "PK", "" } do
        local zip, err = fetch(content, false)
        assert.is_nil(zip, content)
        assert.equal("integrity", err.kind)
        assert.same({}, helpers.names(folder.path))
      end
    end)

  it("takes an empty archive", function()
    local zip <close> = assert(fetch(zips.sample "empty", "full"))
    assert.equal(22, zip.bytes)
    assert.equal(0, #zip)
  end)

  it("takes every archive that is whole, and refuses every other", function()
    for _, sample in ipairs(zips.samples) do
      local content = zips.sample(sample.name)
      local zip, err = fetch(content, "full", { filename = "sample" })
      if sample.valid == true then
        assert(zip, sample.name .. ": " .. tostring(err)):close()
      else
        assert.is_nil(zip, sample.name)
        assert.equal("integrity", err.kind, sample.name)
      end
    end
  end)

  -------------------------------------------------- what the listing said

  it("wants the size that the listing said", function()
    for i, said in ipairs { #bytes + 1, #bytes - 1, 0, 1 << 50 } do
      local other = s.apps[2]
      s:remove_snapshots { app = other }
      s:add_snapshot { app = other, bytes = bytes, size = said,
        modified = MODIFIED + i }
      local info = assert(client:all_app_snapshots(other))[1]
      local before = #downloads.requests(s)
      local zip, err = info:download(folder.path)
      assert.is_nil(zip)
      assert.equal("integrity", err.kind)
      assert.equal(before + 1, #downloads.requests(s))
      assert.same({}, helpers.names(folder.path))
    end
  end)

  it("goes on after the ZipFile, the record and the client are gone",
    function()
      local path
      do
        local other = helpers.client(s)
        local zip = assert(other:download { url = entry.url,
          path = folder.path })
        path = zip.path
        other:close()
        assert.same({ "data.txt", "folder/empty.txt" }, zip:names())
        zip:close()
        assert.equal(path, zip.path)
      end
      local again <close> = assert(square.open_zip(path))
      assert.equal(2, #again)
    end)
end)
