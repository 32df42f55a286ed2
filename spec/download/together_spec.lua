--- Downloads beside each other in one process: tasks, clients that are closed
-- or forgotten under way, and processes that end in the middle of one.

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local lifetimes = require "spec.support.lifetimes"
local server = require "spec.support.server"

local NAME = "t.zip"
local PART = NAME .. ".part"
local META = PART .. ".meta"
local HELD = 600 * 1024

describe("downloads together", function()
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
    helpers.remove(folder.path)
  end)

  local function options(more)
    local all = { url = url, path = folder.path, filename = NAME }
    for name, value in pairs(more or {}) do all[name] = value end
    return all
  end

  local function path(name)
    return folder .. "/" .. name
  end

  local function stall(times)
    s:fault { fault = "stall", bytes = HELD, times = times or 1 }
  end

  -- A task that downloads, once some bytes have come.
  local function under_way(of, more)
    local came = false
    more = more or {}
    more.progress = function() came = true end
    local task = of:spawn(of.download, of, options(more))
    downloads.wait(function()
      of:step(0.01)
      return came
    end, "bytes")
    return task
  end

  local function assert_whole(zip, err)
    assert(zip, err)
    assert.is_true(bytes == helpers.read_file(zip.path))
    zip:close()
  end

  it("go on side by side under two names", function()
    stall(2)
    local one = under_way(client, { filename = "one.zip" })
    local two = under_way(client, { filename = "two.zip" })
    assert.equal(2, #downloads.requests(s))
    s:release()
    assert_whole(one:wait())
    assert_whole(two:wait())
    assert.same({ "one.zip", "two.zip" }, helpers.names(folder.path))
  end)

  it("keep off one another's file, of one client or two", function()
    stall()
    local other <close> = helpers.client(s)
    local first = under_way(client)
    for _, second in ipairs { client, other } do
      local zip, err = second:download(options())
      assert.is_nil(zip)
      assert.equal("filesystem", err.kind)
      assert.truthy(err.message:find("is being downloaded", 1, true))
    end
    local task = client:spawn(client.download, client, options())
    local zip, err = task:wait()
    assert.is_nil(zip)
    assert.equal("filesystem", err.kind)
    assert.equal(1, #downloads.requests(s))
    s:release()
    assert_whole(first:wait())
  end)

  it("wait for their turn within the client's concurrency", function()
    local narrow <close> = helpers.client(s, { concurrency = 1 })
    stall()
    local one = under_way(narrow, { filename = "one.zip" })
    local two = narrow:spawn(narrow.download, narrow,
      options { filename = "two.zip" })
    narrow:step(0.05)
    assert.equal(1, #downloads.requests(s))
    s:release()
    assert_whole(one:wait())
    assert_whole(two:wait())
  end)

  it("take over from one that was cancelled a moment ago", function()
    stall()
    local task = under_way(client)
    task:cancel()
    s:clear_faults()
    assert_whole(client:download(options()))
    assert.truthy(downloads.ranges(s)[2]:find "^bytes=[1-9]")
    local zip, err = task:wait()
    assert.is_nil(zip)
    assert.equal("cancelled", err.kind)
  end)

  it("end with their client; the part is kept for the next", function()
    stall()
    local other = helpers.client(s)
    local task = under_way(other)
    other:close()
    local zip, err = task:wait()
    assert.is_nil(zip)
    assert.equal("closed", err.kind)
    s:clear_faults()
    assert_whole(client:download(options()))
    assert.truthy(downloads.ranges(s)[2]:find "^bytes=[1-9]")
  end)

  it("end with their client in the middle of a check", function()
    local source = path "source"
    lifetimes.write_long_zip(source)
    url = s:put_file(NAME, { path = source })
    local other = helpers.client(s)
    local task = other:spawn(other.download, other, options())
    downloads.step_to_check(other, PART)
    other:close()
    local zip, err = task:wait()
    assert.is_nil(zip)
    assert.equal("closed", err.kind)
    local whole <close> = assert(client:download(options {
      verify = "structure" }))
    assert.equal(2, #downloads.requests(s)) -- of one byte: the same still
    assert.is_true(helpers.read_file(source) == helpers.read_file(whole.path))
  end)

  it("have progress functions that cancel and raise in a task", function()
    stall(2)
    local zip, err = client:spawn(client.download, client, options {
      progress = function() return false end }):wait()
    assert.is_nil(zip)
    assert.equal("cancelled", err.kind)
    assert.same({ PART, META }, helpers.names(folder.path))
    s:clear_faults()
    local object = {}
    local ok, why = pcall(function()
      return client:spawn(client.download, client, options {
        progress = function() error(object) end }):wait()
    end)
    assert.is_false(ok)
    assert.is_true(rawequal(object, why))
    ok, why = pcall(function()
      return client:spawn(client.download, client, options {
        progress = coroutine.yield }):wait()
    end)
    assert.is_false(ok)
    assert.truthy(tostring(why):find("yield", 1, true), why)
    assert_whole(client:download(options()))
  end)

  it("check and extract in tasks beside a download", function()
    local whole <close> = assert(client:download(options {
      filename = "whole.zip" }))
    stall()
    local task = under_way(client)
    local count
    client:spawn(function()
      assert(whole:test())
      assert.equal(2, #whole:names())
      assert.is_true(#whole:read "data.txt" > 0)
      count = assert(whole:extract(path "to"))
      s:release()
    end):wait()
    assert.equal(2, count)
    assert_whole(task:wait())
  end)

  -------------------------------------------------- 30: the process ends

  -- A process that runs `ending` once its download is under way.
  local function ending(script)
    stall()
    local process = downloads.start(s, options(), { before = [[
      local came = false
      options.download.progress = function() came = true end
      local task = client:spawn(client.download, client, options.download)
      while not came do
        assert(task.status == "running")
        client:step(0.05)
      end
      ]] .. script })
    local said, how, code = process.wait()
    s:clear_faults()
    assert_whole(client:download(options()))
    assert.same({ NAME }, helpers.names(folder.path))
    return said, how, code
  end

  for what, case in pairs {
    ["an exit"] = { "os.exit(3)", 3 },
    ["an exit that closes the state"] = { "os.exit(3, true)", 3 },
    ["the end of the script"] = { "do return end", 0 },
    ["an error"] = { "error 'enough'", 1 },
    ["a task that nobody has"] = { [[
      task = nil
      collectgarbage() collectgarbage()
      do return end]], 0 },
  } do
    it("end with " .. what, function()
      local said, how, code = ending(case[1])
      assert.equal("exit", how, said)
      assert.equal(case[2], code, said)
      if code ~= 1 then assert.equal("", said) end
    end)
  end
end)
