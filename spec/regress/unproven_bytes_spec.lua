--- What comes with status 200 where the rest of a snapshot was asked for is
-- nothing until its first four bytes have come: the two that did were written
-- into the part as if they were the rest's, where the answer stalled or the
-- download was cancelled; and a page without a length emptied the part. And a
-- part that was begun with fewer bytes went on with whatever came.

local socket = require "socket"
local square = require "squarecloud"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"

local BYTES = downloads.archive(512)

local function answer(head, body)
  return "HTTP/1.1 " .. table.concat(head, "\r\n") .. "\r\n\r\n" .. body
end

-- The rest that is asked for, `most` bytes of it; then the connection closes.
local function rest(most)
  return function(request)
    local first = tonumber(request:match "bytes=(%d+)" or 0)
    return answer({ "206 Partial Content", 'ETag: "one"',
      ("Content-Range: bytes %d-%d/%d"):format(first, #BYTES - 1, #BYTES),
      ("Content-Length: %d"):format(#BYTES - first) },
      BYTES:sub(first + 1, most and first + most)), true
  end
end

local function two_bytes()
  return answer({ "200 OK", 'ETag: "two"', "Content-Length: " .. #BYTES }, "XY")
end

local function page()
  return answer({ "200 OK", "Transfer-Encoding: chunked" },
    "d\r\n<html></html>\r\n0\r\n\r\n")
end

describe("a part", function()
  local dir, client, listener, url, ranges, open

  before_each(function()
    dir, ranges, open = helpers.tmpdir(), {}, {}
    listener = assert(socket.bind("127.0.0.1", 0))
    listener:settimeout(0)
    url = ("http://127.0.0.1:%d/a.zip"):format((select(2,
      listener:getsockname())))
    client = square.Client { api_key = "k", proxy = "" }
  end)
  after_each(function()
    client:close()
    for _, one in ipairs(open) do one:close() end
    listener:close()
    helpers.remove(dir.path)
  end)

  -- The next request's answer.
  local function serve(handler)
    local one
    downloads.wait(function()
      client:step(0.005)
      one = listener:accept()
      return one
    end, "a request")
    open[#open + 1] = one
    one:settimeout(5)
    local request = {}
    repeat request[#request + 1] = assert(one:receive "*l")
    until request[#request] == ""
    request = table.concat(request, "\n")
    ranges[#ranges + 1] = request:match "bytes=%d+%-" or ""
    local text, closes = handler(request)
    one:send(text)
    if closes then one:close() end
  end

  local function start()
    return client:spawn(client.download, client,
      { url = url, path = dir.path, verify = false })
  end

  local function check_whole(task)
    assert(task:wait(20))
    assert.is_true(BYTES == helpers.read_file(dir .. "/a.zip"))
  end

  it("takes nothing of an answer that stalls in its first bytes", function()
    client:close()
    client = square.Client { api_key = "k", proxy = "", stall_timeout = 1.5 }
    local task = start()
    serve(rest(100000))
    serve(two_bytes)
    serve(rest())
    check_whole(task)
    assert.same({ "bytes=0-", "bytes=100000-", "bytes=100000-" }, ranges)
  end)

  it("takes nothing of one when cancelled in its first bytes", function()
    local task = start()
    serve(rest(100000))
    serve(two_bytes)
    client:sleep(0.1)
    task:cancel()
    task = start()
    serve(rest())
    check_whole(task)
    assert.same({ "bytes=0-", "bytes=100000-", "bytes=100000-" }, ranges)
  end)

  it("stays when a page without a length comes", function()
    local task = start()
    serve(rest(100000))
    serve(page)
    local zip, err = task:wait(20)
    assert.is_nil(zip)
    assert.equal("integrity", err.kind, tostring(err))
    assert.same({ "a.zip.part", "a.zip.part.meta" }, helpers.names(dir.path))
    task = start()
    serve(rest())
    check_whole(task)
    assert.same({ "bytes=0-", "bytes=100000-", "bytes=100000-" }, ranges)
  end)

  it("is not begun with fewer than four bytes", function()
    local task = start()
    serve(rest(3))
    serve(rest(4))
    serve(rest())
    check_whole(task)
    assert.same({ "bytes=0-", "bytes=0-", "bytes=4-" }, ranges)
  end)

  it("is not left behind with fewer than four bytes", function()
    local task = start()
    serve(function(request) return (rest(3)(request)) end) -- and stays open
    client:sleep(0.1)
    task:cancel()
    downloads.wait(function() return #helpers.names(dir.path) == 0 end,
      "the part's end")
    task = start()
    serve(rest())
    check_whole(task)
    assert.same({ "bytes=0-", "bytes=0-" }, ranges)
  end)
end)
