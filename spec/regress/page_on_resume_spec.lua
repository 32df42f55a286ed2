-- A web page that came with status 200 where the rest of a snapshot was asked
-- for emptied the part before it was judged: the next call began at 0.

local server = require "spec.support.server"
local helpers = require "spec.support.helpers"
local downloads = require "spec.support.downloads"

describe("a part, when the store answers with something else,", function()
  local s, dir, client

  before_each(function()
    s = server.shared()
    s:reset()
    dir = helpers.tmpdir()
    client = helpers.client(s, { retries = 0 })
  end)
  after_each(function()
    client:close()
    helpers.remove(dir.path)
  end)

  for name, body in pairs {
    ["a page"] = "<html><body>Please log in to the network.</body></html>",
    ["JSON"] = '{"status":"error"}',
    ["three bytes"] = "PK\3",
    ["nothing"] = "",
  } do
    it("stays as it is: " .. name, function()
      local bytes = downloads.archive(512)
      local url = s:put_file("a.zip", bytes)
      s:fault { fault = "cut", bytes = 100000, times = 1 }
      assert.is_nil((client:download { url = url, path = dir.path }))
      s:fault { fault = "respond", status = 200, body = body, times = 1,
        match = { path = "/files/a.zip" } }
      local zip, err = client:download { url = url, path = dir.path }
      assert.is_nil(zip)
      assert.equal("integrity", err.kind, tostring(err))
      assert.same({ "a.zip.part", "a.zip.part.meta" },
        helpers.names(dir.path))
      assert(client:download { url = url, path = dir.path })
      assert.equal(("bytes=100000-%d"):format(#bytes - 1),
        downloads.ranges(s)[3])
      assert.equal(bytes, helpers.read_file(dir .. "/a.zip"))
    end)
  end
end)
