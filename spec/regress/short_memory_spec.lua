-- What a want of memory, or a system call that failed, once left behind.

local failing = require "spec.support.failing"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"

local START = [[
local key, base_url, url, dir = ...
local square = require "squarecloud"
local _ = square.Client -- loads what is in C
local function new_client(more)
  local options = { api_key = key, base_url = base_url, proxy = "",
    retries = 0 }
  for name, value in pairs(more or {}) do options[name] = value end
  return square.Client(options)
end
-- For n = 1, 2 ... calls f with the n-th call of `what` failing, and then
-- judge(outcome, result, err), until nothing fails any more.
local function each(where, what, times, f, judge)
  local n, failed = 0
  repeat
    n = n + 1
    local _, outcome, result, err
    _, failed, outcome, result, err = shim.call(where, what, n, times, 12, f)
    if failed > 0 then judge(outcome, result, err, n) end
  until failed == 0
  assert(n > 1)
end
local _ = dir, url, new_client, each
]]

local function run(script, dir, environment)
  local s = server.shared()
  s:remove_snapshots { app = s.apps[1] }
  local entry = s:add_snapshot { app = s.apps[1],
    bytes = helpers.read_file "spec/fuzz/corpus/zip/stored" }
  local out, code = failing.run(START .. script, { s.key, s.http_base_url,
    entry.http_url, tostring(dir or "") }, environment)
  assert(code == 0, out)
end

local function walk(...)
  local out, code = failing.walk(...)
  assert(code == 0, out)
end

describe("when memory is short", function()
  it("leaves no descriptor of the part open", function()
    walk("core", "malloc", 1, 1, "replace")
  end)

  it("leaves no class without its metamethods", function()
    walk("load", "allocator", 2, 3)
  end)

  it("says so, not that the answer is no JSON", function()
    run [[
      local client = new_client()
      each("lua", "allocator", 2, function()
        return client:account()
      end, function(outcome, result, err)
        assert(outcome == "memory" or result, tostring(err))
      end)]]
  end)

  it("does not take an address that it would refuse", function()
    run [[
      local function try(address, words)
        each("curl", "malloc", 1, function()
          return square.Client { api_key = key, base_url = address }
        end, function(outcome, why)
          -- libcurl itself does not always know that it was memory
          assert(outcome == "error" and (why:find("out of memory", 1, true)
            or why:find("is not a valid url", 1, true)
            or why:find(words, 1, true)), address .. ": " .. tostring(why))
        end)
      end
      try("http://user:word@127.0.0.1/v2", "user name")
      try("https://127.0.0.1/v2?query", "query")
      try("https://127.0.0.1/v2", "out of memory")]]
  end)

  it("asks no proxy that it was told not to ask", function()
    local s = server.shared()
    run([[
      local client = new_client()
      each("curl", "malloc", 1, function()
        return client:account()
      end, function(outcome, result, err)
        assert(outcome == "ok" and (result or err.curl_code ~= 7),
          tostring(err))
      end)]], nil, { http_proxy = s.refused, HTTP_PROXY = s.refused,
        all_proxy = s.refused, no_proxy = "" })
  end)

  it("stands still with no request", function()
    run [[
      local socket = require "socket"
      local listener = assert(socket.bind("127.0.0.1", 0))
      local _, port = listener:getsockname()
      listener:settimeout(0)
      local client = new_client { proxy = "http://127.0.0.1:" .. port,
        base_url = "https://localhost:1/v2" }
      local asked = 0
      local function serve(one)
        one:settimeout(60)
        local line = one:receive "*l"
        if line then asked = asked + 1 end
        while line and line ~= "" do line = one:receive "*l" end
        one:send "HTTP/1.1 502 Bad Gateway\r\n\r\n"
        one:close()
      end
      local function ask()
        local task = client:spawn(client.snapshot, client, "a")
        while task.status == "running" do
          client:step(0.001)
          local one = listener:accept()
          if one then serve(one) end
        end
        return task:wait()
      end
      local function judge(_, result, err)
        assert(not result and err.kind ~= "timeout", tostring(err))
      end
      judge(nil, ask())
      each("curl", "malloc", 1, ask, judge)
      assert(asked > 2)]]
  end)

  it("leaves no folder of a rehearsal", function()
    local dir <close> = helpers.tmpdir()
    run([[
      local lfs = require "lfs"
      local client = new_client { snapshots_url = "http://127.0.0.1:1" }
      local info = assert(client:all_snapshots())[1]
      local function rehearse()
        return client:rehearse_restore(info, { consent = true })
      end
      assert(select(2, rehearse()).kind == "network") -- and loads what it needs
      each("lua", "allocator", 2, rehearse, function(_, _, _, n)
        for name in lfs.dir(dir) do assert(name:find "^%.", n) end
      end)]], dir, { TMPDIR = dir.path })
  end)

  it("tells of a rehearsal's copy, with none left at all", function()
    walk("lua", "allocator", 1000000, 9, "rehearse")
  end)

  it("keeps no mirror locked", function()
    local dir <close> = helpers.tmpdir()
    run([[
      local files = require "squarecloud.mirror.files"
      each("lua", "allocator", 2, function()
        local lock <close> = files.lock(dir)
        return lock
      end, function()
        collectgarbage()
        local lock <close>, err = files.lock(dir)
        assert(lock, tostring(err))
      end)]], dir)
  end)

  it("leaves no snapshot of a mirror out", function()
    local dir <close> = helpers.tmpdir()
    run([[
      local client <close> = new_client()
      local mirror <close> = assert(square.mirror.open(dir))
      assert(client:download { url = url, path = dir .. "/app/a",
        filename = "a.zip" }):close()
      local file <close> = assert(io.open(dir .. "/app/a/a.json", "w"))
      file:write('{"mirror":1,"id":"a","created_at":"2024-01-01T00:00:00Z",',
        '"bytes":210,"scope":"applications"}')
      file:flush()
      assert(#assert(mirror:list()) == 1)
      each("lua", "allocator", 2, function() return mirror:list() end,
        function(outcome, list, n)
          assert(outcome == "memory" or #list == 1, n)
        end)]], dir)
  end)
end)

describe("when the system says no", function()
  it("lets a ZIP file be read again", function()
    local dir <close> = helpers.tmpdir()
    run([[
      local client <close> = new_client()
      local zip <close> = assert(client:download { url = url, path = dir,
        verify = false })
      local _, failed, _, ok, err = shim.call("core", "pread", 1, 1, 5,
        function() return zip:test() end)
      assert(failed == 1 and not ok and err.kind == "filesystem")
      assert(zip:test())]], dir)
  end)

  it("keeps no part that could never be continued", function()
    walk("core", "write:5,openat:24", 1, 1, "park")
  end)
end)
