--- A download that was checked, and began again because its bytes were no
-- snapshot, went on without one of the places that `concurrency` counts: it had
-- given its own back for the check.

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"

describe("a download that begins again after its check", function()
  local s, folder, client, told

  before_each(function()
    s = server.shared()
    folder, told = helpers.tmpdir(), {}
    client = helpers.client(s, { concurrency = 1, trace = function(one)
      told[#told + 1] = one.operation .. " " .. one.event
    end })
  end)
  after_each(function()
    client:close()
    helpers.remove(folder.path)
  end)

  local function index(text)
    for i, one in ipairs(told) do
      if one == text then return i end
    end
  end

  local function wait_told(text)
    downloads.wait(function()
      client:step(0.005)
      return index(text)
    end, text)
  end

  -- One that is no snapshot is checked while the place is another's.
  local function start()
    local broken = s:put_file("broken.zip", downloads.lookalike(1))
    local whole = s:put_file("whole.zip", downloads.archive(64))
    s:fault { fault = "stall", bytes = 1000, times = 1,
      match = { path = "/files/whole.zip" } }
    local one = client:spawn(client.download, client,
      { url = broken, path = folder.path })
    local two = client:spawn(client.download, client,
      { url = whole, path = folder.path })
    wait_told "download broken.zip file"
    wait_told "download whole.zip request"
    return one, two
  end

  it("waits for its turn", function()
    local one, two = start()
    s:release()
    assert(two:wait(20)):close()
    local zip, err = one:wait(20)
    assert.is_nil(zip)
    assert.equal("integrity", err.kind)
    assert.same({
      "download broken.zip request", "download broken.zip response",
      "download broken.zip request", "download broken.zip response",
    }, { told[1], told[2], told[#told - 1], told[#told] })
    assert.same({ "whole.zip" }, helpers.names(folder.path))
  end)

  it("may be cancelled meanwhile", function()
    local one, two = start()
    one:cancel()
    local zip, err = one:wait(20)
    assert.is_nil(zip)
    assert.equal("cancelled", err.kind)
    s:release()
    assert(two:wait(20)):close()
    assert(client:account()) -- in the only place
    assert.same({ "whole.zip" }, helpers.names(folder.path))
  end)
end)
