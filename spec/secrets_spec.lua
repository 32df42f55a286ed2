--- The key, signatures, access key ids and query strings of addresses: in
-- nothing that is printed, traced, raised or told in an error, whatever the
-- platform, the store or the script does with them. What a record's `url` and
-- `key` hold is the data itself.

local cjson = require("cjson").new()
local child = require "spec.support.child"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local square = require "squarecloud"

local s, client, dir, told, secrets

local DATA = { url = true, key = true } -- the fields that are the secrets

-- Adds what a value says of itself, by every way there is.
local function tell(value, seen)
  seen = seen or {}
  if seen[value] then return end
  if type(value) == "table" or type(value) == "userdata" then
    seen[value] = true
    told[#told + 1] = tostring(value)
    local metatable = getmetatable(value)
    if type(value) == "table" or metatable and metatable.__pairs then
      local is_record = type(value) == "userdata"
      for name, field in pairs(value) do
        tell(name, seen)
        if not (is_record and DATA[name]) then tell(field, seen) end
      end
    end
  else
    told[#told + 1] = tostring(value)
  end
end

local function tell_all(...)
  for i = 1, select("#", ...) do tell((select(i, ...))) end
  return ...
end

-- Calls, and tells all that it gives or raises.
local function try(f, ...)
  return select(2, tell_all(pcall(f, ...)))
end

local function decode(text)
  return (text:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

-- Learns the secrets of an address or key.
local function learn(query)
  for name, value in query:gmatch "([%w%-]+)=([^&]+)" do
    if name == "Signature" or name == "AWSAccessKeyId" then
      secrets[value] = name
      secrets[decode(value)] = name
    end
  end
  return query
end

-- Nil, or what of the secrets is in the text.
local function leak(text)
  for secret, name in pairs(secrets) do
    if text:find(secret, 1, true) then return name end
  end
  -- a piece of the key behind the account's id, which is no secret
  local tail = s.key:sub(#s.account_id + 1, #s.account_id + 6)
  if text:find(s.account_id .. tail, 1, true) then return "part of the key" end
  if text:gsub("%?%[hidden%]", ""):find "%?[^%s]*=" then return "a query" end
end

local function check_told()
  assert.is_true(#told > 0)
  for _, text in ipairs(told) do
    local found = leak(text)
    if found then error(("%s in: %q"):format(found, text:sub(1, 600)), 2) end
  end
end

local function begin()
  s = server.shared()
  dir = helpers.tmpdir()
  told, secrets = {}, { [s.key] = "the key" }
  client = helpers.client(s, { retries = 0, trace = tell })
end

local function finish()
  client:close()
  helpers.remove(dir.path)
end

describe("the watch over secrets", function()
  before_each(begin)
  after_each(finish)

  it("would see each of them", function()
    local snapshot = assert(client:snapshot(s.apps[1]))
    learn(snapshot.key)
    local signature = snapshot.key:match "Signature=([^&]+)"
    for text, name in pairs {
      ["x" .. s.key .. "y"] = "the key",
      ["x " .. s.key:sub(1, 30)] = "part of the key",
      ["a" .. signature] = "Signature",
      [decode(signature)] = "Signature",
      ["SQTESTACCESSKEY00001"] = "AWSAccessKeyId",
      ["https://a/b?scope=c"] = "a query",
    } do
      assert.equal(name, leak(text))
    end
    assert.is_not_nil(leak(snapshot.url))
    assert.is_nil(leak "https://a/b?[hidden] x=5")
    told = {}
    tell { err = { deep = { s.key } } }
    assert.is_false((pcall(check_told)))
  end)
end)

describe("no secret is told", function()
  before_each(begin)
  after_each(finish)

  it("when all goes well", function()
    tell(client)
    local snapshot = try(client.snapshot, client, s.apps[1])
    learn(snapshot.key)
    try(client.snapshot, client,
      { app_id = s.databases[1], application_type = "database" })
    for _, scope in ipairs { "applications", "databases" } do
      for _, info in ipairs(try(client.all_snapshots, client, scope)) do
        learn(info.key)
      end
    end
    local info = try(client.all_app_snapshots, client, s.apps[1])[1]
    try(client.account, client)
    try(info.restore, info)
    try(client.restore_snapshot, client, snapshot)
    for i, object in ipairs { snapshot, info } do
      local zip = try(object.download, object, { path = dir .. "/" .. i,
        progress = tell_all })
      try(zip.test, zip)
      try(zip.names, zip)
      zip:close()
      tell(zip)
    end
    local zip = try(client.download, client, { url = info.url,
      path = dir.path })
    zip:close()
    client:close()
    tell_all(client, snapshot, info, zip)
    assert.is_true(#told > 100)
    check_told()
  end)

  it("when the platform echoes the key in its words", function()
    local key, escaped = s.key, s.key:gsub(".", function(c)
      return ("\\u%04x"):format(c:byte())
    end)
    local faults = {
      { fault = "respond", status = 400, code = "INVALID_X", message = key },
      { fault = "respond", status = 401, code = key, message = "a" },
      { fault = "respond", status = 401, code = "X_" .. key },
      { fault = "respond", status = 400, code = "INVALID_X",
        message = "bad key '" .. key .. "', " .. key .. key },
      { fault = "respond", status = 400, code = "INVALID_X",
        message = "Authorization: " .. key },
      { fault = "respond", status = 400, body =
        '{"status":"error","code":"A","message":"key ' .. escaped .. '"}' },
      { fault = "respond", status = 200, body =
        '{"status":"' .. key .. '"}' },
      { fault = "respond", status = 200, body =
        '{"status":"success","' .. key .. '":' .. key .. "}" },
      { fault = "respond", status = 200, body = key },
      { fault = "html", body = "<html>" .. key .. "</html>" },
      { fault = "redirect", to = "https://example.com/?key=" .. key },
      { fault = "rate_limited", code = key, retry_after = key },
    }
    for _, fault in ipairs(faults) do
      fault.times = 3
      s:fault(fault)
      try(client.account, client)
      try(client.snapshot, client, s.apps[1])
      try(client.all_app_snapshots, client, s.apps[1])
      s:clear_faults()
    end
    check_told()
  end)

  it("when the key is cut where a text is", function()
    for _, unit in ipairs { "x", "é", "\27", "?a=b " } do
      for length = 0, 1100, 7 do
        local message = unit:rep(length // #unit) .. s.key .. " and more"
        s:fault { fault = "respond", status = 400, code = "INVALID_X",
          message = message, times = 1 }
        local _, err = client:account()
        tell(err)
        assert.is_nil(err.message:find(s.key:sub(1, 6), 1, true),
          "at " .. length)
      end
    end
    for length = 0, 70 do
      s:fault { fault = "respond", status = 400, times = 1,
        code = ("C"):rep(length) .. s.key }
      local _, err = client:account()
      tell(err)
      assert.is_nil(err.code:find(s.key:sub(1, 6), 1, true), "at " .. length)
    end
    check_told()
  end)

  it("when a short key is echoed", function()
    for _, key in ipairs { "abcd", "a-b-c-d", "k3y." } do
      secrets[key] = "a short key"
      local short <close> = helpers.client(s, { api_key = key, retries = 0,
        trace = tell })
      s:fault { fault = "respond", status = 401, times = 1, code = key,
        message = "no such key: " .. key .. key .. "." }
      try(short.account, short)
    end
    check_told()
  end)

  it("when a list's entry is wrong, or an answer lacks something", function()
    local good = { name = "a", size = 1, modified = "2024-06-27T06:23:42Z",
      key = learn "AWSAccessKeyId=AKsecret&Signature=deadbeef%3D" }
    for field, value in pairs { name = "..", size = "deadbeef%3D",
      modified = "deadbeef%3D", key = good.key .. " " .. s.key } do
      local entry = {}
      for k, v in pairs(good) do entry[k] = v end
      entry[field] = value
      s:listing(s.apps[1], cjson.encode { status = "success",
        response = { entry } })
      try(client.all_app_snapshots, client, s.apps[1])
    end
    for _, response in ipairs { { url = "http://h/a.zip?" .. good.key,
      key = good.key }, { url = "a\nb?" .. good.key, key = good.key },
      { key = good.key } } do
      s:fault { fault = "respond", times = 1, json = { status = "success",
        response = response } }
      try(client.snapshot, client, s.apps[1])
    end
    check_told()
  end)

  it("when the store says why it refuses, in full", function()
    local snapshot = assert(client:snapshot(s.apps[1]))
    local key = learn(snapshot.key)
    local signature = decode(key:match "Signature=([^&]+)")
    local xml = ("<Error><Code>SignatureDoesNotMatch</Code><Message>The "
      .. "signature %s of %s</Message><AWSAccessKeyId>%s</AWSAccessKeyId>"
      .. "<StringToSign>GET %s</StringToSign><SignatureProvided>%s"
      .. "</SignatureProvided></Error>"):format(snapshot.url, key,
      "SQTESTACCESSKEY00001", snapshot.url, signature)
    local match = { pattern = "%.zip" }
    for i, fault in ipairs {
      { fault = "respond", status = 403, type = "application/xml",
        body = xml },
      { fault = "store_error", status = 403, code = key, message = key },
      { fault = "store_error", status = 400, code = "Signature=" .. signature,
        message = snapshot.url },
      { fault = "html", status = 500, body = "<p>" .. snapshot.url },
      { fault = "expired" },
      { fault = "redirect", to = "http://example.com/a?" .. key },
      { fault = "redirect", to = s.refused:gsub("http", "https") .. "/?"
        .. key },
      { fault = "redirect", to = "/a/b.zip?" .. key },
      { fault = "redirect" },
      { fault = "nothing", status = 404 },
      { fault = "body", body = "PK" .. key },
      { fault = "reset", bytes = 100 },
      { fault = "cut", bytes = 1000 },
      { fault = "content_range", value = key },
      { fault = "headers", set = { Date = key, ["Last-Modified"] = key },
        remove = { "ETag" } },
    } do
      fault.match, fault.times = match, 7
      s:fault(fault)
      try(snapshot.download, snapshot, { path = dir .. "/" .. i,
        progress = tell_all })
      try(client.download, client, { url = snapshot.url,
        path = dir .. "/u" .. i })
      s:clear_faults()
    end
    check_told()
  end)

  it("when an address leads nowhere, or where it must not", function()
    local query = "?" .. learn "AWSAccessKeyId=AKsecret&Signature=abcdef%3D"
      .. "&token=x"
    for _, url in ipairs { s.refused:gsub("http", "https") .. "/a.zip" .. query,
      s.self_signed .. "/a.zip" .. query, s.refused .. "/a.zip" .. query,
      s.https .. "/a.zip" .. query, s.https .. "/" .. query,
      s.https .. "/applications/a/b.zip" .. query .. "#" .. query,
      "http://example.com/a.zip" .. query, "ftp://h/a.zip" .. query,
      "https://u:" .. s.key .. "@h/a.zip" .. query, "a.zip" .. query,
      "https://h/a b.zip" .. query, "https://h/\n" .. query, query,
    } do
      try(client.download, client, url)
      try(client.download, client, { url = url, path = dir.path,
        filename = "a.zip" })
      for _, option in ipairs { "base_url", "snapshots_url", "proxy" } do
        try(square.Client, { api_key = s.key, [option] = url,
          unknown = option == "proxy" or nil })
      end
    end
    check_told()
  end)

  it("when the disk says no", function()
    local snapshot = assert(client:snapshot(s.apps[1]))
    learn(snapshot.key)
    helpers.write_file(dir .. "/file", "")
    try(snapshot.download, snapshot, dir .. "/file")
    try(client.download, client, { url = snapshot.url, path = dir .. "/file" })
    try(snapshot.download, snapshot, { path = dir.path, filename = "a.zip" })
    try(snapshot.download, snapshot, { path = dir.path, filename = "a.zip" })
    try(client.download, client, { url = snapshot.url, path = dir.path,
      filename = "../" .. snapshot.id })
    check_told()
  end)

  it("when a key, an option or a call is wrong", function()
    local key = s.key
    for _, arguments in ipairs { { key .. "\n" }, { key, key },
      { { api_key = key .. "\0" } }, { { api_key = { key } } },
      { { api_key = key, user_agent = "a\n" .. key } },
      { { api_key = key, timeout = key } }, { { key } },
      { { api_key = key, base_url = "https://" .. key .. "@h" } },
      { { api_key = key, ca_file = "\n" } },
      { { api_key = key, account_id = ".." } } } do
      try(square.Client, table.unpack(arguments))
    end
    for _, arguments in ipairs { { {} }, { {}, key }, { { app_id = 5 } },
      { 5 }, { { app_id = "a", application_type = 5 } } } do
      try(client.snapshot, client, table.unpack(arguments))
    end
    local other = helpers.client(s, { api_key = "wrong-" .. key, retries = 0,
      trace = tell })
    try(other.account, other)
    other:close()
    try(other.account, other)
    tell(other)
    check_told()
  end)

  it("in the files beside a download", function()
    assert(client:snapshot(s.apps[1]))
    local info = assert(client:all_app_snapshots(s.apps[1]))[1]
    learn(info.key)
    s:fault { fault = "cut", bytes = 10000, match = { pattern = "%.zip" } }
    try(info.download, info, { path = dir.path, filename = "a.zip" })
    local names = helpers.names(dir.path)
    assert.is_true(#names >= 2)
    for _, name in ipairs(names) do
      tell(name)
      if not name:find "%.part$" then -- that is the snapshot's own bytes
        tell(helpers.read_file(dir .. "/" .. name))
      end
    end
    check_told()
  end)
end)

describe("a process that fails", function()
  before_each(begin)
  after_each(finish)

  -- The key comes by the environment: an argument is for everyone to see.
  local SCRIPT = [[
    warn "@on"
    local square = require "squarecloud"
    local base_url, ca_file, app, url, dir, how = ...
    local function show(...) print(...) return ... end
    local client <close> = square.Client { base_url = base_url, proxy = "",
      api_key = os.getenv "TEST_API_KEY", ca_file = ca_file, retries = 0,
      trace = function(t)
        for name, value in pairs(t) do io.stderr:write(name, "=",
          tostring(value), "\n") end
        if how == "trace" then error(t.url) end
      end }
    print(client)
    local file = assert(io.open "/proc/self/cmdline")
    print((file:read "a":gsub("%z", " "):gsub(url, "", 1):gsub("%?.*", "")))
    show(client:account())
    show(client:all_snapshots())
    show(client:snapshot "nowhere")
    show(client:download { url = url, path = dir })
    if how == "error" then error((select(2, client:snapshot "nowhere"))) end
    if how == "assert" then
      assert(client:download { url = url, path = dir })
    end
    if how == "raise" then
      client:download { url = "http://example.com/?" .. url }
    end
    if how == "coroutine" then
      coroutine.wrap(function()
        assert(client:download { url = url, path = dir })
      end)()
    end
  ]]

  for _, how in ipairs { "error", "assert", "raise", "coroutine", "trace" } do
    it(("prints none of them: %s"):format(how), function()
      local snapshot = assert(client:snapshot(s.apps[1]))
      local url = snapshot.url:gsub("Signature=", "Signature=wrong")
      learn(url)
      secrets[url] = "the address"
      s:fault { fault = "respond", status = 500, code = "SNAPSHOT_FAILED",
        message = "for " .. s.key, match = { path = "/v2/apps/nowhere" } }
      local out, err, code = child.run(SCRIPT, { s.base_url, s.ca_file,
        s.apps[1], url, dir.path, how }, { TEST_API_KEY = s.key })
      assert.equal(how == "trace" and 0 or 1, code)
      assert.matches("server: SNAPSHOT_FAILED", out, 1, true)
      assert.matches("permission", out, 1, true)
      assert.matches("lua5.4: ", how == "trace" and "lua5.4: " or err, 1,
        true)
      told = {}
      tell_all(out, err)
      check_told()
    end)
  end
end)
