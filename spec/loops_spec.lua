--- Event loops: each example in doc/examples is run as a user would run it,
-- against the test server, and does what it says. A loop that is not installed
-- is passed over.

local child = require "spec.support.child"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local lifetimes = require "spec.support.lifetimes"
local server = require "spec.support.server"
local times = require "spec.support.times"

local s, dir

local function begin()
  s = server.shared()
  dir = helpers.tmpdir()
end

local function finish()
  helpers.remove(dir.path)
end

local function environment(more)
  local set = { SQUARE_API_KEY = s.key, base_url = s.base_url,
    snapshots_url = s.snapshots_url, ca_file = s.ca_file, https_proxy = "",
    HTTPS_PROXY = "", all_proxy = "", ALL_PROXY = "" }
  for name, value in pairs(more or {}) do set[name] = value end
  return set
end

local function script(name)
  return helpers.read_file("doc/examples/" .. name .. ".lua")
end

local function run(name, arguments, more)
  return child.run(script(name), arguments, environment(more))
end

-- Where a loop is found: nothing to do, variables to set, or false. Debian has
-- copas for other Luas only, but as plain Lua that serves here, too.
local function look_for(rock)
  if package.searchpath(rock, package.path)
    or package.searchpath(rock, package.cpath) then
    return {}
  end
  for _, version in ipairs { "5.3", "5.2", "5.1" } do
    local file = io.open(("/usr/share/lua/%s/%s.lua"):format(version, rock))
    if file then
      local text = file:read "a"
      file:close()
      return nil, text
    end
  end
  return false
end

-- What that copas wants for Lua 5.1; here pcall is all that this makes of it.
local COXPCALL = "return { pcall = pcall, xpcall = xpcall }"

local LOOPS = {
  { name = "cqueues", rock = "cqueues", ticks = true },
  { name = "luv", rock = "luv", ticks = true },
  { name = "select", rock = "socket" },
  { name = "copas", rock = "copas" },
  { name = "frame_loop", rock = "socket" },
}

describe("an event loop:", function()
  before_each(begin)
  after_each(finish)

  for _, loop in ipairs(LOOPS) do
    local found, text = look_for(loop.rock)
    if found == false then
      pending(loop.name .. ": the rock '" .. loop.rock .. "' is missing")
      goto continue
    end

    local function place_loop()
      if text then
        helpers.write_file(dir .. "/" .. loop.rock .. ".lua", text)
        helpers.write_file(dir .. "/coxpcall.lua", COXPCALL)
        found = { LUA_PATH = dir .. "/?.lua;" .. package.path }
      end
      return found
    end

    it(loop.name .. " downloads two snapshots at once", function()
      local bytes = { downloads.archive(256), downloads.archive(512) }
      for i = 1, 2 do s:add_snapshot { app = s.apps[i], bytes = bytes[i] } end
      s:fault { fault = "stall", match = { path = "/applications" } }
      local more = environment(place_loop())
      more.ASAN_OPTIONS = os.getenv "ASAN_OPTIONS" -- leaks are looked for
      local process = lifetimes.start_script("io.stdout:setvbuf 'line'\n"
        .. script(loop.name), { s.apps[1], s.apps[2], dir .. "/backups" }, more,
        nil, { "timeout", "-s", "KILL", "120" })
      -- both are asked for before one has come, and other work is done
      s:wait_requests(function(one) return one.stalled end, 2)
      if loop.ticks then
        downloads.wait(function() return process.out():find "tick 3" end,
          "the other work")
      end
      s:release()
      local out, err, _, code = process.wait()
      assert.equal("", err)
      assert.equal(0, code)
      local sizes = {}
      for path, size in out:gmatch "(%S+%.zip): (%d+) bytes" do
        sizes[#sizes + 1] = tonumber(size)
        assert.equal(tonumber(size), #helpers.read_file(path))
      end
      table.sort(sizes)
      assert.same({ #bytes[1], #bytes[2] }, sizes)
      assert.equal(2, #helpers.names(dir .. "/backups"))
      assert.equal(2, #s:requests { path = "/applications" })
    end)

    it(loop.name .. " hears of what fails", function()
      s:add_snapshot { app = s.apps[1], bytes = downloads.archive(64) }
      local _, err, code = run(loop.name, { s.apps[1], "nobody", dir.path },
        place_loop())
      assert.equal(1, code)
      assert.matches("not_found", err, 1, true)
    end)

    ::continue::
  end

  it("frame_loop goes on drawing meanwhile", function()
    for i = 1, 2 do
      s:add_snapshot { app = s.apps[i], bytes = downloads.archive(64) }
    end
    s:fault { fault = "delay", ms = 500 }
    local out = run("frame_loop", { s.apps[1], s.apps[2], dir.path })
    -- two answers behind one another, half a second each
    assert.is_true(tonumber(out:match "(%d+) frames") >= 20, out)
  end)
end)

describe("backups of many applications:", function()
  before_each(begin)
  after_each(finish)

  local function add_apps(count)
    local ids = {}
    for i = 1, count do
      ids[i] = ("many-%02d"):format(i)
      s:add_app { id = ids[i], name = ids[i], files = {
        ["main.lua"] = ("print(%d)\n"):format(i):rep(1000) } }
    end
    return ids
  end

  it("fifty, one after another created, a few at a time fetched", function()
    local ids = add_apps(50)
    local out, err, code = run("many_apps", { dir.path,
      table.unpack(ids) }, { concurrency = "3",
      LUA_INIT = times.lua_init { pace = 0.01 } })
    assert.equal(0, code, out .. err)
    assert.matches("50 of 50 backed up", out, 1, true)
    local created = s:requests { method = "POST" }
    assert.equal(50, #created)
    assert.is_true(created[50].time - created[1].time >= 0.01 * 49 * 0.9)
    local asked = {}
    for i, one in ipairs(created) do asked[i] = one.uri:match "many%-%d+" end
    table.sort(asked)
    assert.same(ids, asked)
    for i = 1, 50 do -- one line each
      local lines = select(2, err:gsub("[^\n]*" .. ids[i]:gsub("%-", "%%-")
        .. "[^\n]*", ""))
      assert.equal(1, lines, ids[i])
    end
    local names = helpers.names(dir.path)
    assert.equal(50, #names)
    for i, name in ipairs(names) do
      assert.matches("^" .. ids[i]:gsub("%-", "%%-") .. "_%d+T%d+Z%.zip$",
        name)
    end
  end)

  it("tell of each that fails, and go on", function()
    add_apps(3)
    s:fault { fault = "respond", status = 404, code = "APP_NOT_FOUND",
      match = { method = "POST", path = "/v2/apps/many-02/" } }
    local out, err, code = run("many_apps", { dir.path, "many-01", "many-02",
      "many-03" })
    assert.equal(1, code)
    assert.matches("2 of 3 backed up", out, 1, true)
    assert.matches("many%-02: snapshot many%-02: not_found: APP_NOT_FOUND",
      err)
    assert.equal(2, #helpers.names(dir.path))
  end)

  it("take all of the account's when none is named", function()
    local out, err, code = run("many_apps", { dir.path })
    assert.equal(0, code, err)
    assert.matches(("%d of %d backed up"):format(#s.apps, #s.apps), out, 1,
      true)
    assert.equal(#s.apps, #helpers.names(dir.path))
  end)
end)
