--- What walk.lua has fail: short scripts that together make every call of the
-- contract. Each is
--
--   name
--   prepare(env)    → what the call gets; nothing fails in it. Optional
--   call(env, at)   something true, or nil and an error
--   check(env, at, result)   raises when a call that went well did not do it
--   survey(env, at)  raises when what a failure has left is not as it should be
--   kept            what may lie in env.dir after a failure: patterns
--   changes         true when it leaves the test server otherwise
--   finished        and files there that are done, and in the next call's way
--
-- env: s (the test server), client(options), dir (an empty folder), url and
-- bytes of a snapshot.

local helpers = require "spec.support.helpers"
local zips = require "spec.support.zips"
local square = require "squarecloud"

local scenarios = {}

local function add(name, scenario)
  scenario.name = name
  scenarios[#scenarios + 1] = scenario
end

local function read(path)
  local file = io.open(path, "rb")
  local bytes = file and file:read "a"
  if file then file:close() end
  return bytes
end

local function names(dir)
  return table.concat(helpers.names(dir), " ")
end

local PART = { "^a%.zip%.part$", "^a%.zip%.part%.meta$" }

-- Under its final name there is the whole of a snapshot, or nothing.
local function check_whole(env)
  local bytes = read(env.dir .. "/a.zip")
  assert(bytes == nil or bytes == env.bytes, "half a file has its final name")
end

local function check_download(env)
  assert(read(env.dir .. "/a.zip") == env.bytes, "the file is not the snapshot")
  -- what could not be removed means nothing beside the final file
  assert(names(env.dir) == "a.zip" or env.what == "unlinkat"
    and names(env.dir) == "a.zip a.zip.part.meta",
    "left over: " .. names(env.dir))
end

------------------------------------------------------------------ API calls

add("client", {
  call = function(env)
    local client = env.client { trace = function() end, user_agent = "spec" }
    assert(tostring(client):find "squarecloud.Client")
    client:close()
    local closed = square.Client(env.s.key)
    closed:close()
    return true
  end,
})

add("create", {
  changes = true,
  call = function(env)
    local client <close> = env.client()
    local snapshot, err = client:snapshot { app_id = env.s.apps[1] }
    if not snapshot then return nil, err end
    assert(snapshot.url and snapshot.key and tostring(snapshot))
    for name, value in pairs(snapshot) do assert(snapshot[name] == value) end
    assert(snapshot:to_table().id == snapshot.id)
    return client:database(env.s.databases[1]):snapshot()
  end,
  check = function(_, _, snapshot) assert(snapshot.created_at) end,
})

add("list", {
  call = function(env)
    local client <close> = env.client { trace = function() end }
    local list, err = client:all_app_snapshots(env.s.apps[1])
    if not list then return nil, err end
    local info = list[1]
    assert(info.url and info.bytes and info.timestamp and info.expires_at)
    assert(info == info and tostring(info))
    local all
    all, err = client:all_snapshots { scope = "applications" }
    if not all then return nil, err end
    local response
    response, err = client:account()
    if not response then return nil, err end
    assert(response.status == "success" and response.response.user)
    return client:app(env.s.apps[1]):all_snapshots()
  end,
  check = function(_, _, list) assert(#list == 1) end,
})

add("unknown account", {
  call = function(env)
    local client <close> = env.client { api_key = "no-" .. env.s.key }
    local list, err = client:all_app_snapshots(env.s.apps[1])
    if list or err.kind ~= "authentication" then return nil, err end
    assert(tostring(err):find("authentication", 1, true))
    assert((err .. "."):sub(-1) == ".")
    list, err = client:download { url = env.s.refused .. "/a.zip",
      path = env.dir }
    if list or err.kind ~= "network" or err.curl_code ~= 7 then
      return nil, err
    end
    return true
  end,
})

add("restore", {
  call = function(env)
    local client <close> = env.client()
    local list, err = client:all_app_snapshots(env.s.apps[1])
    if not list then return nil, err end
    local response
    response, err = client:restore_snapshot(list[1])
    if not response then return nil, err end
    response, err = client:app(env.s.apps[1]):restore_snapshot {
      snapshot_id = list[1].id, version_id = list[1].version_id }
    if not response then return nil, err end
    return list[1]:restore()
  end,
  check = function(_, _, response) assert(response.status == "success") end,
})

-- The platform promises a snapshot, and is asked for the list until it comes.
add("wait", {
  changes = true,
  prepare = function(env)
    require("squarecloud.waiting").times.look = 0.1
    env.s:configure { processing_ms = 1 }
    -- two of one second could not be told apart
    env.s:remove_snapshots { app = env.s.apps[2] }
    return env.s
  end,
  call = function(env)
    local client <close> = env.client()
    return client:snapshot { app_id = env.s.apps[2], wait = 30 }
  end,
  check = function(_, _, snapshot) assert(snapshot.version_id) end,
})

------------------------------------------------------------------ downloads

local function download(env, options)
  local client <close> = env.client(options.client)
  options.client = nil
  options.url = options.url or env.url
  options.path = options.path or env.dir
  options.filename = "a.zip"
  local zip <close>, err = client:download(options)
  if not zip then return nil, err end
  assert(zip.bytes == #env.bytes and zip.path and tostring(zip))
  return true
end

add("download", {
  kept = PART, finished = { "a.zip" },
  survey = check_whole, check = check_download,
  call = function(env)
    local seen
    local ok, err = download(env, {
      client = { trace = function() end },
      progress = function(done) seen = done end })
    assert(not ok or seen == #env.bytes)
    return ok, err
  end,
})

add("download to a new folder", {
  kept = { "^new$" }, finished = { "new/folder/a.zip" },
  survey = function(env)
    local bytes = read(env.dir .. "/new/folder/a.zip")
    assert(bytes == nil or bytes == env.bytes)
  end,
  check = function(env)
    assert(names(env.dir .. "/new/folder") == "a.zip")
  end,
  call = function(env)
    return download(env, { path = env.dir .. "/new/folder",
      verify = "structure", segments = 2 })
  end,
})

add("replace", {
  kept = { "^a%.zip$", table.unpack(PART) },
  prepare = function(env)
    helpers.write_file(env.dir .. "/a.zip", "older")
  end,
  survey = function(env)
    local bytes = read(env.dir .. "/a.zip")
    assert(bytes == "older" or bytes == env.bytes, "the older file is gone")
  end,
  check = check_download,
  call = function(env)
    return download(env, { overwrite = true, verify = false })
  end,
})

add("resume", {
  kept = PART, finished = { "a.zip" },
  survey = check_whole, check = check_download,
  prepare = function(env)
    local half = #env.bytes // 2
    local record = ("squarecloud part 1\nobject %s v=%s\netag %s\n"
      .. "total %d\npiece 0 %d %d\n"):format(env.object, env.version, env.etag,
      #env.bytes, half, #env.bytes)
    local sum = -3750763034362895579 -- FNV-1a
    for i = 1, #record do sum = (sum ~ record:byte(i)) * 1099511628211 end
    helpers.write_file(env.dir .. "/a.zip.part", env.bytes:sub(1, half))
    helpers.write_file(env.dir .. "/a.zip.part.meta",
      record .. ("sum %016x\n"):format(sum))
  end,
  call = function(env) return download(env, {}) end,
})

-- Large enough for room to be asked for, and cancelled when half is there.
add("park", {
  changes = true,
  kept = { "^b%.zip%.part$", "^b%.zip%.part%.meta$" },
  -- without a record the part could never be continued; what another holds
  -- the lock of is left alone
  survey = function(env)
    assert(names(env.dir) ~= "b.zip.part" or env.what == "flock",
      "a part without a record")
  end,
  prepare = function(env)
    env.large = env.large
      or env.s:put_file("large.zip", "PK\3\4" .. ("\0"):rep(24 << 20))
    env.s:configure { limit_rate = 16 << 20 }
  end,
  call = function(env)
    local client <close> = env.client()
    local zip, err = client:download { url = env.large, path = env.dir,
      filename = "b.zip", progress = function(done) return done < 1 << 20 end }
    assert(not zip)
    return err.kind == "cancelled", err
  end,
  check = function(env)
    env.s:configure { limit_rate = env.s.null }
    local left = names(env.dir)
    assert(left == "b.zip.part b.zip.part.meta" or left == "", left)
  end,
})

-- The store sends it to another host, and there to a second address.
add("redirected", {
  changes = true,
  kept = PART, finished = { "a.zip" },
  survey = check_whole, check = check_download,
  prepare = function(env)
    local moved = env.s.http:gsub("127.0.0.1", "localhost") .. "/files/moved"
    env.s:clear_faults()
    env.s:fault { fault = "redirect", to = moved,
      match = { path = "/files/first" } }
    env.s:fault { fault = "redirect", to = env.url,
      match = { path = "/files/moved" } }
    return env.s
  end,
  call = function(env)
    return download(env, { url = env.s.http .. "/files/first" })
  end,
})

add("from a listing", {
  kept = { "%.zip$", "%.part$", "%.part%.meta$" },
  call = function(env)
    local client <close> = env.client()
    local list, err = client:all_app_snapshots(env.s.apps[1])
    if not list then return nil, err end
    return list[1]:download { path = env.dir, overwrite = true }
  end,
  check = function(env, _, zip)
    assert(zip:read(zip:names()[1]))
    assert(read(zip.path) == env.bytes)
    zip:close()
    assert(names(env.dir) == zip.path:match "[^/]*$", names(env.dir))
  end,
})

------------------------------------------------------------------------ ZIPs

local ARCHIVE = {
  { name = "d/", mode = 0x41ed },
  { name = "d/a.txt", data = ("first "):rep(1000), method = 8, mode = 0x81a4 },
  { name = "b.txt", data = "second", mtime = 1700000000 },
  { name = "d/e/c.txt", data = "third" },
}

add("zip", {
  kept = { "^z%.zip$", "^out$" },
  prepare = function(env)
    zips.write(env.dir .. "/z.zip", zips.build(ARCHIVE))
  end,
  call = function(env)
    -- whose engine the ZIP file shares, as in a script
    local _ <close> = env.client()
    local zip <close>, err = square.open_zip(env.dir .. "/z.zip")
    if not zip then return nil, err end
    local list, count = zip:names(), 0
    for name, entry in zip:entries() do
      assert(name and entry.bytes)
      count = count + 1
    end
    assert(#list == 4 and count == 4 and #zip == 4)
    local bytes
    bytes, err = zip:read "d/a.txt"
    if not bytes then return nil, err end
    assert(bytes == ARCHIVE[2].data)
    local ok
    ok, err = zip:test()
    if not ok then return nil, err end
    return zip:extract(env.dir .. "/out", { overwrite = true })
  end,
  -- what is there has been written whole
  survey = function(env)
    for _, entry in ipairs(ARCHIVE) do
      local bytes = entry.data and read(env.dir .. "/out/" .. entry.name)
      assert(bytes == nil or bytes == entry.data, "half an entry was written")
    end
    local pipe <close> = io.popen(("find '%s' -name '.squarecloud-*'")
      :format(env.dir))
    local left = pipe:read "a"
    assert(left == "", "left over: " .. left)
  end,
  check = function(env, _, count)
    assert(count == 3)
    assert(read(env.dir .. "/out/d/e/c.txt") == "third")
  end,
})

------------------------------------------------------------------ rehearsals

local report = {} -- the last rehearsal's
local told -- and its error
local copies = {} -- of earlier ones, still there
local may_come = false -- whether the one before was left during the upload

local function rehearse(env, client)
  told = nil
  local list, err = client:all_app_snapshots(env.s.apps[1])
  if not list then return nil, err end
  local done
  done, told = client:rehearse_restore(list[1], { consent = true, settle = 0,
    timeout = 60, progress = function() end, report = report })
  return done, told
end

-- Who made a copy knows of it, and nothing of the snapshot is left behind.
local function survey_rehearsal(env)
  local client <close> = env.client()
  local said = env.warned() .. (told and told.message or "")
  local unnamed = said:find("look for an application", 1, true)
  for _, app in ipairs(assert(client:account()).response.applications) do
    local own = env.s.apps[1] == app.id or env.s.apps[2] == app.id
      or env.s.apps[3] == app.id
    if not own and not copies[app.id] then
      copies[app.id] = true
      assert(said:find(app.id, 1, true) or unnamed or may_come,
        "a hidden copy")
    end
  end
  may_come = unnamed
  for _, name in ipairs(helpers.names(os.getenv "TMPDIR")) do
    assert(not name:find "^squarecloud%-rehearsal", "left over: " .. name)
  end
end

local function check_rehearsal(env)
  assert(report.deleted and report.status == "running")
  survey_rehearsal(env)
end

add("rehearse", {
  survey = survey_rehearsal, check = check_rehearsal,
  call = function(env)
    local client <close> = env.client { trace = function() end }
    return rehearse(env, client)
  end,
})

add("rehearse in a task", {
  survey = survey_rehearsal, check = check_rehearsal,
  call = function(env)
    local client <close> = env.client()
    return client:run(rehearse, env, client)
  end,
})

----------------------------------------------------------------------- tasks

local LONG = 0.3 -- seconds; what fails meanwhile waits for it

local function work(env, client)
  local list = client:spawn(client.all_app_snapshots, client, env.s.apps[1])
  local slow = client:spawn(client.sleep, client, LONG)
  local gone = client:spawn(function()
    local held <close> = env.client()
    return client:sleep(LONG) and held
  end)
  local ok, why = slow:wait(0.001)
  if ok == nil and why.kind ~= "timeout" then return nil, why end
  assert(ok == nil)
  gone:cancel()
  slow:cancel()
  assert(slow.status == "cancelled" and tostring(gone))
  ok, why = slow:wait()
  assert(not ok and why.kind == "cancelled")
  return list:wait()
end

add("tasks", {
  call = function(env)
    local client <close> = env.client()
    local outcome, err = client:run(work, env, client)
    if not outcome then return nil, err end
    assert(client:pending() == 0 and client:step(0) == 0)
    assert(client:pollfd() == client:getfd() and client:events() == "r")
    assert(client:timeout() == nil)
    return outcome
  end,
  check = function(_, _, list) assert(#list == 1) end,
})

add("failing tasks", {
  call = function(env)
    local client <close> = env.client()
    local ok, why = pcall(client.run, client, function()
      client:spawn(error, "of its own")
      client:spawn(coroutine.yield)
    end)
    assert(not ok)
    why = tostring(why)
    if not why:find("of its own", 1, true)
      and not why:find("must not call coroutine.yield", 1, true) then
      error(why, 0)
    end
    return true
  end,
  -- what nobody waited for is told of, not kept
  check = function(env)
    local client <close> = env.client()
    assert(client:pending() == 0)
    assert(client:run(function() return client:sleep(0) end))
  end,
})

------------------------------------------------------------- the Lua layer

add("retention", {
  call = function(env)
    local client <close> = env.client()
    local list, err = client:all_snapshots()
    if not list then return nil, err end
    local retention = square.retention
    local keep, remove = retention.apply(list, { keep_last = 1,
      keep_daily = "unlimited", keep_within = "2y" })
    if not keep then return nil, { kind = "raised", message = remove } end
    assert(retention.latest(list) and retention.total_size(list))
    return keep
  end,
  check = function(_, _, keep) assert(#keep > 0) end,
})

add("mirror", {
  kept = { "." },
  call = function(env)
    local client <close> = env.client()
    local mirror <close>, err = square.mirror.open(env.dir .. "/mirror")
    if not mirror then return nil, err end
    local file <close> = io.tmpfile()
    local bars <close> = square.progress.new { stream = file }
    local results
    results, err = mirror:sync(client, { apps = { env.s.apps[1] },
      progress = bars })
    if not results then return nil, err end
    for _, one in ipairs(results) do
      if one.status == "failed" then return nil, one.err end
      if one.err then return nil, one.err end
    end
    local entries
    entries, err = mirror:list()
    if not entries then return nil, err end
    local verified
    verified, err = mirror:verify {}
    if not verified then return nil, err end
    return mirror:prune({ keep_last = 1 }, { dry_run = true })
  end,
  survey = function(env)
    local pipe <close> = io.popen(("find '%s' -name '*.zip'"):format(env.dir))
    for path in pipe:lines() do
      assert(read(path) == env.bytes, "half a file in the mirror")
    end
  end,
  check = function(env, _, results)
    -- a JSON that cannot be read makes its ZIP a problem, not an entry
    assert(#results == 1 or env.what == "fopen")
  end,
})

return scenarios
