--- Many tasks at once: a thousand of them, how many transfers are under way,
-- and who comes next.

local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local lifetimes = require "spec.support.lifetimes"
local server = require "spec.support.server"

local s

-- Waits until these requests, in order of arrival, hang, and there is no other.
local function wait_stalled(first, last)
  downloads.wait(function()
    local all = s:requests()
    for i = first, last do
      if not (all[i] and all[i].stalled) then return false end
    end
    assert.equal(last, #all)
    return true
  end, "requests")
end

describe("a thousand tasks", function()
  before_each(function() s = server.shared() end)

  it("sleep, and wait for one another", function()
    local client <close> = helpers.client(s)
    local sum = 0
    client:run(function()
      local all = {}
      for i = 1, 1000 do
        all[i] = client:spawn(function()
          client:sleep(i % 10 / 1000)
          if i > 1 and i % 2 == 0 then all[i - 1]:wait() end
          return i
        end)
      end
      assert.equal(1001, client:pending())
      for i = 1, 1000 do sum = sum + all[i]:wait() end
    end)
    assert.equal(500500, sum)
    assert.equal(0, client:pending())
  end)

  it("ask a thousand questions, over few connections", function()
    local client <close> = helpers.client(s, { concurrency = 4,
      base_url = s.http_base_url })
    local done = 0
    client:run(function()
      for _ = 1, 1000 do
        client:spawn(function()
          assert(client:account())
          done = done + 1
        end)
      end
    end)
    assert.equal(1000, done)
    local connections, count = {}, 0
    for _, one in ipairs(s:requests()) do
      if not connections[one.connection] then count = count + 1 end
      connections[one.connection] = true
    end
    assert.is_true(count <= 4, count)
  end)

  it("are cancelled and closed", function()
    local client <close> = helpers.client(s)
    local other <close> = helpers.client(s)
    local all = {}
    s:fault { fault = "stall" }
    for i = 1, 1000 do
      local one = i % 2 == 0 and client or other
      all[i] = one:spawn(function()
        return i % 3 == 0 and one:account() or one:sleep(3600)
      end)
    end
    assert.equal(1000, client:pending())
    other:close()
    assert.equal(500, client:pending())
    for i = 2, 1000, 2 do all[i]:cancel() end
    assert.equal(0, client:step(0))
    for i = 1, 1000 do
      assert.equal(i % 2 == 0 and "cancelled" or "closed",
        select(2, all[i]:wait()).kind)
    end
  end)

  it("wait for one", function()
    local client <close> = helpers.client(s)
    local heard = 0
    local one = client:spawn(client.sleep, client, 0.05)
    for _ = 1, 1000 do
      client:spawn(function()
        assert(one:wait())
        heard = heard + 1
      end)
    end
    while client:step(1) > 0 do end
    assert.equal(1000, heard)
  end)
end)

describe("concurrency", function()
  before_each(function() s = server.shared() end)

  it("bounds the transfers under way, and the rest queue", function()
    local client <close> = helpers.client(s, { concurrency = 3 })
    s:fault { fault = "stall" }
    local all = {}
    for i = 1, 9 do all[i] = client:spawn(client.account, client) end
    for turn = 1, 3 do
      wait_stalled(3 * turn - 2, 3 * turn)
      client:step(0.1)
      assert.equal(3 * turn, #s:requests())
      s:release()
    end
    for i = 1, 9 do assert(all[i]:wait()) end
  end)

  it("is each client's own", function()
    local a <close> = helpers.client(s, { concurrency = 1 })
    local b <close> = helpers.client(s, { concurrency = 2 })
    s:fault { fault = "stall" }
    local all = {}
    for i = 1, 4 do all[i] = a:spawn(a.account, a) end
    for i = 5, 8 do all[i] = b:spawn(b.account, b) end
    wait_stalled(1, 3)
    a:step(0.1)
    assert.equal(3, #s:requests())
    s:clear_faults()
    s:release()
    for i = 1, 8 do assert(all[i]:wait()) end
  end)

  it("is given in the order of asking", function()
    local client <close> = helpers.client(s, { concurrency = 1 })
    local wanted, got = {}, {}
    for i = 1, 20 do
      wanted[i] = ("/v2/apps/app-%d/snapshots"):format(i)
      client:spawn(client.all_app_snapshots, client, "app-" .. i)
    end
    while client:step(1) > 0 do end
    for i, one in ipairs(s:requests()) do got[i] = one.uri end
    assert.same(wanted, got)
  end)

  it("holds no place for what sleeps or waits to retry", function()
    local client <close> = helpers.client(s, { concurrency = 1,
      max_retry_wait = 60 })
    s:fault { fault = "rate_limited", retry_after = 30, times = 1 }
    local slow = client:spawn(client.account, client)
    local sleeper = client:spawn(client.sleep, client, 3600)
    s:wait_requests({ status = 429 })
    assert(client:spawn(client.account, client):wait())
    assert.equal("running", slow.status)
    slow:cancel()
    -- and takes one again
    s:fault { fault = "rate_limited", retry_after = 0, times = 1 }
    assert(client:spawn(client.account, client):wait())
    assert.equal(2, #s:requests { status = 429 })
    sleeper:cancel()
  end)

  it("holds no place for what is checked", function()
    local dir <close> = helpers.tmpdir()
    local client <close> = helpers.client(s, { concurrency = 1 })
    lifetimes.write_long_zip(dir .. "/source")
    local slow = client:spawn(client.download, client, { path = dir.path,
      url = s:put_file("long.zip", { path = dir .. "/source" }) })
    downloads.step_to_check(client, "long.zip.part")
    assert(client:spawn(client.account, client):wait())
    assert.equal("running", slow.status)
    -- and its check has not ended: what it finds would be fetched once more
    assert.equal(1, #downloads.requests(s))
  end)

  it("counts downloads and questions alike", function()
    local client <close> = helpers.client(s, { concurrency = 2 })
    local dir <close> = helpers.tmpdir()
    local url = s:put_file("a.zip", downloads.archive(64))
    s:fault { fault = "stall" }
    local all = {}
    for i = 1, 4 do
      all[2 * i - 1] = client:spawn(client.download, client,
        { url = url, path = dir.path, filename = i .. ".zip" })
      all[2 * i] = client:spawn(client.account, client)
    end
    for turn = 1, 4 do
      wait_stalled(2 * turn - 1, 2 * turn)
      client:step(0.1)
      assert.equal(2 * turn, #s:requests())
      s:release()
    end
    for i = 1, 8 do
      local result = assert(all[i]:wait())
      if i % 2 == 1 then result:close() end
    end
    assert.same({ "1.zip", "2.zip", "3.zip", "4.zip" },
      helpers.names(dir.path))
  end)
end)
