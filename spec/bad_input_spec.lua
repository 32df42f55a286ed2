--- Wrong use raises, names the function and the option or argument, and sends
-- nothing: for every option of every method, one table.

local classes = require "spec.support.classes"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local square = require "squarecloud"

local s, client, snapshot, info, zip, dir

-- Values by type; each kind of option refuses all but its own.
local VALUES = { string = "a", integer = 1, float = 1.5, boolean = true,
  table = {}, ["function"] = print, thread = coroutine.create(print),
  userdata = io.stdout }

-- A kind of option: the types it takes, a good value, values that are of the
-- right type and wrong.
local CONTROL = { "a\nb", "a\r\nX: y", "a\0b", "\0", "a\27", "\127", "a\t" }
local KINDS = {
  text = { takes = { string = true }, good = "a", bad = {} },
  plain = { takes = { string = true }, good = "a", bad = { "",
    table.unpack(CONTROL) } },
  id = { takes = { string = true }, good = "a", bad = { "", ".", "..",
    table.unpack(CONTROL) } },
  address = { takes = { string = true }, good = "https://a", bad = { "",
    "a", "http://example.com", "https://u@a", "https://a/\0",
    "https://a/\r\n" } },
  proxy = { takes = { string = true }, good = "", bad = CONTROL },
  seconds = { takes = { integer = true, float = true }, good = 1,
    bad = { 0, -1, 0 / 0, math.huge, -math.huge, 1e300, math.mininteger } },
  wait = { takes = { integer = true, float = true }, good = 0,
    bad = { -1, -0.5, 0 / 0, math.huge } },
  count = { takes = { integer = true }, good = 1, bad = { -1, 1.5, 0 / 0,
    math.huge, math.mininteger, 2 ^ 53 } },
  limit = { takes = { integer = true }, good = 1, bad = { -1, 1.5, 0 / 0,
    math.huge, math.mininteger } },
  consent = { takes = { boolean = true }, good = true, bad = { false } },
  table = { takes = { table = true }, good = {}, bad = {} },
  flag = { takes = { boolean = true }, good = true, bad = {} },
  ["function"] = { takes = { ["function"] = true }, good = print,
    bad = {} },
  type = { takes = { string = true }, good = "app", bad = { "", "App",
    "application", "apps", "app\0", "database " } },
  scope = { takes = { string = true }, good = "databases", bad = { "",
    "app", "application", "all", "databases\0" } },
  verify = { takes = { string = true }, good = false, bad = { "", "none",
    "Full", "full\0", true } },
  path = { takes = { string = true }, good = "/tmp", bad = { "", "a\0b" } },
  filename = { takes = { string = true }, good = "a.zip", bad = { "", ".",
    "..", "a/b", "/a", "../a", "a\\b", ("a"):rep(242),
    table.unpack(CONTROL) } },
}

local DOWNLOAD = { path = "path", filename = "filename", overwrite = "flag",
  resume = "flag", verify = "verify", segments = "count",
  progress = "function" }

local function with(options, more)
  local all = {}
  for name, kind in pairs(options) do all[name] = kind end
  for name, kind in pairs(more) do all[name] = kind end
  return all
end

-- By what is called: `call` takes what the method takes; `options` by name,
-- their kinds; `required` of them; `main`, what a lone argument stands for;
-- `optional`: none is fine, too.
local METHODS = {
  ["square.Client"] = { name = "Client",
    call = function(...) return square.Client(...) end,
    main = "api_key", required = { "api_key" },
    options = { api_key = "plain", base_url = "address",
      snapshots_url = "address", account_id = "id", timeout = "seconds",
      action_timeout = "seconds", connect_timeout = "seconds",
      stall_timeout = "seconds", retries = "count", max_retry_wait = "wait",
      pace = "wait",
      concurrency = "count", segments = "count",
      max_response_bytes = "count", ca_file = "plain", proxy = "proxy",
      user_agent = "plain", trace = "function" } },
  ["client:snapshot"] = { name = "snapshot",
    call = function(...) return client:snapshot(...) end,
    main = "app_id", required = { "app_id" },
    options = { app_id = "id", application_type = "type", wait = "wait",
      progress = "function" } },
  ["client:all_app_snapshots"] = { name = "all_app_snapshots",
    call = function(...) return client:all_app_snapshots(...) end,
    main = "app_id", required = { "app_id" },
    options = { app_id = "id", application_type = "type",
      account_id = "id" } },
  ["client:all_snapshots"] = { name = "all_snapshots",
    call = function(...) return client:all_snapshots(...) end,
    main = "scope", required = {}, optional = true,
    options = { scope = "scope", account_id = "id" } },
  ["client:restore_snapshot"] = { name = "restore_snapshot",
    call = function(...) return client:restore_snapshot(...) end,
    required = { "app_id", "snapshot_id", "version_id" },
    options = { app_id = "id", application_type = "type",
      snapshot_id = "id", version_id = "id", wait = "wait",
      progress = "function" } },
  ["client:rehearse_restore"] = { name = "rehearse_restore",
    call = function(...) return client:rehearse_restore(info, ...) end,
    required = { "consent" },
    options = { consent = "consent", keep = "flag", timeout = "seconds",
      settle = "wait", progress = "function", report = "table" } },
  ["client:account"] = { name = "account",
    call = function(...) return client:account(...) end,
    required = {}, optional = true, options = {} },
  ["client:workspaces"] = { name = "workspaces",
    call = function(...) return client:workspaces(...) end,
    required = {}, optional = true, options = {} },
  ["client:download"] = { name = "download",
    call = function(...) return client:download(...) end,
    main = "url", required = { "url" },
    options = with(DOWNLOAD, { url = "address" }) },
  ["snapshot:download"] = { name = "download",
    call = function(...) return snapshot:download(...) end,
    main = "path", required = {}, optional = true, options = DOWNLOAD },
  ["info:download"] = { name = "download",
    call = function(...) return info:download(...) end,
    main = "path", required = {}, optional = true, options = DOWNLOAD },
  ["handle:snapshot"] = { name = "snapshot",
    call = function(...) return client:app("a"):snapshot(...) end,
    required = {}, optional = true, options = { wait = "wait",
      progress = "function" } },
  ["handle:all_snapshots"] = { name = "all_snapshots",
    call = function(...) return client:app("a"):all_snapshots(...) end,
    required = {}, optional = true, options = { account_id = "id" } },
  ["handle:restore_snapshot"] = { name = "restore_snapshot",
    call = function(...) return client:app("a"):restore_snapshot(...) end,
    required = { "snapshot_id", "version_id" },
    options = { snapshot_id = "id", version_id = "id", wait = "wait",
      progress = "function" } },
  ["snapshot:resolve"] = { name = "resolve",
    call = function(...) return snapshot:resolve(...) end,
    required = {}, optional = true, options = { wait = "wait",
      progress = "function" } },
  ["info:restore"] = { name = "restore",
    call = function(...) return info:restore(...) end,
    required = {}, optional = true, options = { wait = "wait",
      progress = "function" } },
  ["zip:extract"] = { name = "extract",
    call = function(...) return zip:extract(dir .. "/out", ...) end,
    required = {}, optional = true, options = { max_bytes = "limit",
      max_entries = "limit", overwrite = "flag" } },
}

-- The message of a call that raises where it is called, with nothing sent.
local function raised(call, ...)
  local count = #s:requests()
  local ok, message = pcall(function(...)
    local result = call(...)
    return result
  end, ...)
  assert.is_false(ok, "it did not raise")
  assert.equal("string", type(message))
  assert.is_nil(message:find "[%c\127]")
  assert.equal(count, #s:requests())
  return message
end

local function good_options(method)
  local options = {}
  for _, name in ipairs(method.required) do
    options[name] = KINDS[method.options[name]].good
  end
  return options
end

local function setup_all()
  s = server.shared()
  client = helpers.client(s)
  dir = helpers.tmpdir()
  snapshot = assert(client:snapshot(s.apps[1]))
  info = assert(client:all_app_snapshots(s.apps[1]))[1]
  zip = assert(snapshot:download(dir.path))
end

local function teardown_all()
  zip:close()
  client:close()
  helpers.remove(dir.path)
end

for title, method in pairs(METHODS) do
  describe(title, function()
    setup(setup_all)
    teardown(teardown_all)

    -- Raises "<name>: option '<option>' …".
    local function refuses(option, value)
      local options = good_options(method)
      options[option] = value
      local message = raised(method.call, options)
      assert.matches(method.name .. ": option '" .. option .. "' ", message,
        1, true)
      return message
    end

    it("names an unknown option, with those it knows", function()
      local message = raised(method.call, with(good_options(method),
        { misspelt = 1 }))
      assert.matches(method.name .. ": unknown option 'misspelt' (known: ",
        message, 1, true)
      local known, listed = {}, {}
      for name in pairs(method.options) do known[name] = true end
      for name in message:match("%(known: (.*)%)"):gmatch "[%w_]+" do
        if name ~= "none" then listed[name] = true end
      end
      assert.same(known, listed) -- so that none is missing in this spec
    end)

    it("names an unknown option before a missing or wrong one", function()
      local wrong = { misspelt = 1 }
      for name in pairs(method.options) do wrong[name] = io.stdout end
      for _, options in ipairs { { misspelt = 1 }, wrong } do
        assert.matches("unknown option 'misspelt'",
          raised(method.call, options), 1, true)
      end
    end)

    it("takes no option for a name that is no string", function()
      for key, shown in pairs { [1] = "1", [1.5] = "1.5", [true] = "true",
        ["a\nb"] = "a\\x0ab", [""] = "" } do
        assert.matches(("unknown option '%s'"):format(shown),
          raised(method.call, with(good_options(method), { [key] = "a" })),
          1, true)
      end
    end)

    it("says where it was called, and how it is called", function()
      assert.matches("bad_input_spec.lua:%d+: " .. method.name .. ": ",
        raised(method.call, { misspelt = 1 }))
    end)

    it("takes one table, and nothing behind it", function()
      for _, extra in ipairs { "a", {}, 1, false } do
        assert.matches(method.name .. ": takes one options table",
          raised(method.call, good_options(method), extra), 1, true)
        if method.main then
          assert.matches(method.name .. ": takes one options table",
            raised(method.call, KINDS[method.options[method.main]].good or "a",
              extra), 1, true)
        end
      end
    end)

    it("takes no other type of argument", function()
      for type, value in pairs(VALUES) do
        if type ~= "table" and not (type == "string" and method.main) then
          local message = raised(method.call, value)
          assert.matches(method.name .. ": expected a table of options",
            message, 1, true)
          if method.main then
            assert.matches(method.main, message, 1, true)
          end
        end
      end
    end)

    if method.main then
      it("takes a lone argument as strictly as the option", function()
        for _, value in ipairs(KINDS[method.options[method.main]].bad) do
          if type(value) == "string" then
            assert.matches(("%s: option '%s' "):format(method.name,
              method.main), raised(method.call, value), 1, true)
          end
        end
      end)
    end

    if not method.optional then
      it("names what is missing", function()
        for _, name in ipairs(method.required) do
          local options = good_options(method)
          options[name] = nil
          assert.matches(("%s: option '%s' is missing"):format(method.name,
            name), raised(method.call, options), 1, true)
        end
        assert.matches("is missing", raised(method.call, {}), 1, true)
        local needs = method.main and "expected a table" or "is missing"
        assert.matches(needs, raised(method.call), 1, true)
        assert.matches(needs, raised(method.call, nil), 1, true)
      end)
    end

    for option, kind_name in pairs(method.options) do
      local kind = KINDS[kind_name]
      it(("takes no other type for %s"):format(option), function()
        for type, value in pairs(VALUES) do
          if not kind.takes[type] then refuses(option, value) end
        end
      end)

      if #kind.bad > 0 then
        it(("takes no bad value for %s"):format(option), function()
          for _, value in ipairs(kind.bad) do refuses(option, value) end
        end)
      end
    end
  end)
end

describe("every method", function()
  -- Those whose arguments are not options: checked below, or where tasks are.
  local OTHERS = { Client = "app database close spawn run step sleep pending "
    .. "pollfd getfd events timeout",
    ZipFile = "names entries read test close", Task = "wait cancel" }

  it("is in this spec", function()
    local objects = { client = "Client", snapshot = "Snapshot",
      info = "SnapshotInfo", handle = "Handle", zip = "ZipFile" }
    local known = {}
    for title in pairs(METHODS) do
      local object, method = title:match "^(%w+):([%w_]+)$"
      if object then known[objects[object] .. ":" .. method] = true end
    end
    for class, names in pairs(OTHERS) do
      for name in names:gmatch "%S+" do known[class .. ":" .. name] = true end
    end
    for class, metatable in pairs(classes.all()) do
      for name in pairs(classes.methods(metatable)) do
        assert.is_true(known[class .. ":" .. name] or name == "to_table",
          class .. ":" .. name)
      end
    end
  end)
end)

describe("numbers", function()
  before_each(setup_all)
  after_each(teardown_all)

  it("do not stand for strings, nor strings for numbers", function()
    assert.matches("must be a string, got number", raised(function()
      client:snapshot { app_id = 123 }
    end), 1, true)
    assert.matches("got number", raised(function()
      client:snapshot(123)
    end), 1, true)
    assert.matches("must be a number, got string", raised(function()
      square.Client { api_key = "k", timeout = "30" }
    end), 1, true)
    assert.matches("must be a whole number, got string", raised(function()
      square.Client { api_key = "k", retries = "3" }
    end), 1, true)
  end)

  it("that are whole may be written as floats", function()
    local one <close> = square.Client { api_key = "k", retries = 3.0,
      concurrency = 2.0, max_response_bytes = 1e6 }
    assert.is_not_nil(one)
  end)

  it("out of range are told the range", function()
    assert.matches("between 0 and 9223372036854775807", raised(function()
      zip:extract(dir .. "/out", { max_bytes = -1 })
    end), 1, true)
    assert.matches("between 1 and 16", raised(function()
      client:download { url = "https://a", segments = 17 }
    end), 1, true)
  end)
end)

describe("a key", function()
  before_each(function() s = server.shared() end)

  local SECRET = "5ec2e7-5ec2e75ec2e75ec2e7"

  it("that cannot be one raises without being shown", function()
    local bad = { SECRET .. "\n", SECRET .. "\r\nX-Evil: 1", "\0" .. SECRET,
      SECRET .. "\0", SECRET .. "\127", "\27" .. SECRET }
    for _, key in ipairs(bad) do
      for _, argument in ipairs { key, { api_key = key } } do
        local message = raised(square.Client, argument)
        assert.matches("option 'api_key' contains a control character",
          message, 1, true)
        assert.is_nil(message:find("5ec2e7", 1, true))
      end
    end
  end)

  it("of the wrong type raises without being shown", function()
    for _, key in ipairs { { SECRET }, 524287524287 } do
      local message = raised(square.Client, { api_key = key })
      assert.matches("option 'api_key' must be a string", message, 1, true)
      assert.is_nil(message:find("5ec2e7", 1, true))
      assert.is_nil(message:find("524287", 1, true))
    end
    assert.is_nil(raised(square.Client, 524287524287):find("524287", 1, true))
  end)
end)

describe("an id", function()
  before_each(setup_all)
  after_each(teardown_all)

  for _, make in ipairs { "app", "database" } do
    it(("given to client:%s is as strict as the option"):format(make),
      function()
        for _, id in ipairs(KINDS.id.bad) do
          assert.matches(make .. ": the id ", raised(function()
            client[make](client, id)
          end), 1, true)
        end
        for type, value in pairs(VALUES) do
          if type ~= "string" then
            assert.matches(make .. ": the id must be a string, got ",
              raised(function() client[make](client, value) end), 1, true)
          end
        end
        assert.matches("the id", raised(function() client[make](client) end),
          1, true)
        assert.matches(make .. ": takes ", raised(function()
          client[make](client, "a", "b")
        end), 1, true)
      end)
  end
end)

describe("methods without options", function()
  before_each(setup_all)
  after_each(teardown_all)

  it("take no arguments", function()
    for _, method in ipairs { "names", "entries", "test" } do
      assert.matches(method .. " takes no arguments", raised(function()
        zip[method](zip, "a")
      end), 1, true)
    end
  end)

  it("take the one argument they need", function()
    for _, arguments in ipairs { {}, { 1 }, { {} }, { "a", "b" },
      { "a\0b" } } do
      assert.matches("^.*read: ", raised(function()
        zip:read(table.unpack(arguments))
      end))
    end
    for _, arguments in ipairs { {}, { 1 }, { {} }, { "" }, { "a\0b" } } do
      assert.matches("^.*extract: ", raised(function()
        zip:extract(table.unpack(arguments))
      end))
      assert.matches("^.*open_zip: ", raised(function()
        square.open_zip(table.unpack(arguments))
      end))
    end
  end)

  it("are not called with a dot", function()
    for _, object in ipairs { client, snapshot, info, zip, client:app "a" } do
      local class = getmetatable(object).__name
      for _, method in ipairs { "snapshot", "download", "restore",
        "all_snapshots", "account", "app", "names", "to_table", "close" } do
        if type(object[method]) == "function" then
          for _, first in ipairs { "a", {}, io.stdout } do
            assert.matches(class, raised(object[method], first), 1, true)
          end
          raised(object[method])
        end
      end
    end
  end)

  it("do not take a record of another kind for a snapshot", function()
    local account = assert(client:account())
    for _, value in ipairs { account, zip, client, client:app "a" } do
      assert.matches("expected a table of options", raised(function()
        client:restore_snapshot(value)
      end), 1, true)
    end
  end)
end)
