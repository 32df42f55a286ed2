--- The reference: that the definitions (LuaCATS) are sound, that they and the
-- real objects name the same methods, fields, functions and options, that each
-- of them is used by some spec, and that the pages made from them are current.

local classes = require "spec.support.classes"
local helpers = require "spec.support.helpers"
local luacats = require "spec.reference.luacats"
local pages = require "spec.reference.pages"
local server = require "spec.support.server"
local types = require "spec.reference.types"
local lfs = require "lfs"
local square = require "squarecloud"
local core = require "squarecloud.core"

local all = pages.definitions()

local function class_named(name)
  return assert(all.classes["squarecloud." .. name],
    "undeclared class " .. name)
end

-- A record's fields, from the table behind its __index.
local function fields_of(metatable)
  local fields, index = {}, metatable.__index
  if type(index) == "function" then
    index = select(2, debug.getupvalue(index, 1))
  end
  for name, value in pairs(index) do
    if math.type(value) == "integer" then fields[name] = true end
  end
  return fields
end

-- The specs' own text: what they call and read.
local specs = {}
local function gather(folder)
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if name:sub(1, 1) == "." then goto continue end
    if lfs.attributes(path, "mode") == "directory" then
      gather(path)
    elseif name:find "%.lua$" and path ~= "spec/reference_spec.lua" then
      specs[#specs + 1] = helpers.read_file(path)
    end
    ::continue::
  end
end
gather "spec"
specs = table.concat(specs, "\n")

-- Called: `x:name(…)`, `x.name {…}`, `pcall(x.name, …)`; never a mere word.
local function is_called(name)
  return specs:find("[:.]" .. name .. "%s*[({\"'%[]") ~= nil
    or specs:find("p?call%([%w_.]+%." .. name .. "%f[^%w_]") ~= nil
    or specs:find("spawn%([%w_.]+%." .. name .. "%f[^%w_]") ~= nil
end

-- Said: `name = …`, `x.name`, or in a list of names.
local function is_said(name)
  return specs:find("%f[%w_]" .. name .. "%s*=") ~= nil
    or specs:find("%." .. name .. "%f[^%w_]") ~= nil
    or specs:find('"' .. name .. '"', 1, true) ~= nil
end

describe("a type", function()
  for _, good in ipairs { "string", "a.B[]?", "string|nil", '"a"|"b c"',
    "fun(a: string, b?: integer, ...: any): boolean?, string",
    "{ [integer]: X }[]", "{ a: string, b?: table<string, X[]> }",
    "(fun(): string?)?", "{}", "-1|0|1", "function" } do
    it("may be " .. good, function()
      local found, rest = types.parse(good .. " name text")
      assert.same({ good, "name text" }, { found, rest })
    end)
  end

  for _, bad in ipairs { "", "fun(", "{ a string }", "table<string",
    "(string", "|string", '"open', "?" } do
    it("may not be " .. bad, function()
      assert.is_nil((types.parse(bad)))
    end)
  end
end)

describe("the reader of definitions", function()
  local function problems_of(text)
    local dir <close> = helpers.tmpdir()
    helpers.write_file(dir .. "/x.lua", text)
    local list = luacats.read_all { dir .. "/x.lua" }.problems
    for i, problem in ipairs(list) do
      list[i] = problem:match "x%.lua:(.*)$"
    end
    return list
  end

  for text, wanted in pairs {
    ["---Text.\n---@param a Nobody\nfunction f(a) end"] =
      "2: no type 'Nobody'",
    ["---@nonsense\nlocal x = 1"] = "1: an unknown tag, @nonsense",
    ["---Text.\nfunction f(a) end"] =
      "2: f: 0 parameters are told of, it has 1",
    ["---Text.\n---@param b string\nfunction f(a) end"] =
      "3: f: no parameter 'b' in this place",
    ["---@param a string\nfunction f(a) end"] = "2: f: not a word about it",
    ["---@class A\n\n---@class A\n"] = "3: A is there twice",
    ["---@field a string\nlocal x"] = "1: a field of no class",
    ["---@class A\n---@field a {\nlocal x"] =
      "2: expected a field's name at '' in '{'",
  } do
    it("says: " .. wanted, function()
      assert.same({ wanted }, problems_of(text))
    end)
  end
end)

describe("the definitions", function()
  it("are sound", function()
    assert.same({}, all.problems)
  end)

  it("that nobody runs are marked so, and Lua all the same", function()
    for _, file in ipairs(all.files) do
      assert.is_function(loadfile(file.path))
      assert.equal(file.path:find "/library/" ~= nil, file.is_meta, file.path)
    end
  end)

  it("are all read", function()
    local known = {}
    for _, file in ipairs(all.files) do known[file.path] = true end
    for name in lfs.dir "lua/squarecloud/library" do
      local path = "lua/squarecloud/library/" .. name
      assert.is_true(name:sub(1, 1) == "." or known[path], path)
    end
  end)
end)

describe("every class in C", function()
  for class, metatable in pairs(classes.all()) do
    it(class .. " is defined with its methods, no others", function()
      assert.same(helpers.keys(classes.methods(metatable)),
        helpers.keys(pages.methods(all, class_named(class))))
    end)

    it(class .. " is defined with its fields, no others", function()
      assert.same(helpers.keys(fields_of(metatable)),
        helpers.keys(luacats.fields(all, class_named(class).name)))
    end)

    it(class .. " is used by some spec, all of it", function()
      for name in pairs(classes.methods(metatable)) do
        assert.message("no spec calls " .. name).is_true(is_called(name))
      end
      for name in pairs(fields_of(metatable)) do
        assert.message("no spec reads " .. name).is_true(is_said(name))
      end
    end)
  end
end)

describe("an error", function()
  it("has the fields that are defined, of the kinds defined", function()
    local s = server.shared()
    local client <close> = helpers.client(s)
    local defined = luacats.fields(all, "squarecloud.Error")
    local _, err = client:snapshot "nobody"
    for name in pairs(err) do
      assert.is_not_nil(defined[name], name)
    end
    for name in pairs(defined) do
      assert.message("no spec reads " .. name).is_true(is_said(name))
    end
    local kinds = {}
    for _, choice in ipairs(all.aliases["squarecloud.ErrorKind"].choices) do
      kinds[choice.type:sub(2, -2)] = true
    end
    local probe, number = require "base_probe", 1
    while kinds[probe.kind_name(number)] do
      kinds[probe.kind_name(number)] = nil
      number = number + 1
    end
    assert.same({}, kinds)
    assert.is_true(number > 17)
  end)
end)

describe("every module's table", function()
  for _, page in ipairs(pages.LIST) do
    if page.module then
      it(page.module .. " is defined, and used by some spec", function()
        local functions = pages.functions(all, page)
        local fields = luacats.fields(all, page.module)
        for name, value in pairs(require(page.module)) do
          if type(value) == "function" then
            assert.is_not_nil(functions[name], "undocumented: " .. name)
            assert.message("no spec calls " .. name)
              .is_true(is_called(name))
          elseif page.module ~= "squarecloud" or name ~= "version" then
            assert.is_not_nil(fields[name], "undeclared: " .. name)
          end
        end
        for name in pairs(fields) do
          assert.is_not_nil(require(page.module)[name], name)
        end
      end)
    end
  end

  it("squarecloud.core is defined, no less and no more", function()
    local found = { posix = true } -- the Lua parts' own; csrc/posix.h
    for _, file in ipairs(all.files) do
      for _, item in ipairs(file.items) do
        local one = item.f or item.value
        if one and one.owner == "core" then found[one.short] = true end
      end
    end
    assert.same(helpers.keys(core), helpers.keys(found))
    found.posix = nil
    for name in pairs(found) do
      assert.message("no spec calls " .. name)
        .is_true(name == "version" or is_called(name))
    end
  end)
end)

-- Something of each class that has methods, and of the modules.
local function objects_of(client, dir)
  local s = server.shared()
  local snapshot = assert(client:snapshot(s.apps[1]))
  local bars = square.progress.new { stream = io.stdout, tty = false }
  return {
    Client = client, Snapshot = snapshot, ["progress.Bar"] = bars:add "",
    SnapshotInfo = assert(client:all_app_snapshots(s.apps[1]))[1],
    Handle = client:app(s.apps[1]), Progress = bars,
    ZipFile = assert(snapshot:download(dir .. "/zip")),
    Mirror = assert(square.mirror.open(dir .. "/mirror")),
    Response = assert(client:account()),
    Task = client:spawn(function() end),
  }
end

describe("every object in Lua", function()
  it("is defined with its methods, no others; specs call them", function()
    local s = server.shared()
    local dir <close> = helpers.tmpdir()
    local client <close> = helpers.client(s)
    local objects = objects_of(client, dir)
    for class, object in pairs(objects) do
      local index = getmetatable(object).__index
      if type(object) == "table" then
        assert.same(helpers.keys(index),
          helpers.keys(pages.methods(all, class_named(class))))
        for name in pairs(index) do
          assert.message("no spec calls " .. name).is_true(is_called(name))
        end
      end
    end
    objects.ZipFile:close()
  end)
end)

describe("every table of options", function()
  local PLACEHOLDERS = { list = {}, remote = {}, here = {}, dir = "x",
    policy = { keep_last = 1 }, when = "1d", from = "2d", to = "1d", days = 1,
    ram_mb = 1024, bytes = 1, by = "id" }

  -- What the function says that it knows.
  local function known_of(call, f, at, object)
    local arguments = { object }
    for i = 1, at - 1 do
      arguments[#arguments + 1] = PLACEHOLDERS[f.params[i].name]
    end
    arguments[#arguments + 1] = { ["no such option"] = 1 }
    local ok, message, why = pcall(call, table.unpack(arguments))
    message = ok and why or message
    local names = tostring(message):match "%(known: ([^)]*)%)"
    assert.is_not_nil(names, f.name .. ": " .. tostring(message))
    local known = {}
    for name in names:gmatch "[%w_]+" do known[name] = true end
    known.none = nil
    return known
  end

  local checked = {}

  local function check(call, f, object)
    for i, param in ipairs(f.params) do
      local name = param.type:match "squarecloud%.[%w_.]*Options"
        or param.type:match "squarecloud%.ExtractLimits"
        or param.type:match "squarecloud%.retention%.Policy"
      if name and f.name ~= "describe" then
        checked[name] = true
        assert.message(f.name).same(
          helpers.keys(luacats.fields(all, name)),
          helpers.keys(known_of(call, f, i, object)))
      end
    end
  end

  it("is defined with what its function knows; specs say all", function()
    local s = server.shared()
    local dir <close> = helpers.tmpdir()
    local client <close> = helpers.client(s)
    local objects = objects_of(client, dir)
    PLACEHOLDERS.client, PLACEHOLDERS.snapshot = client, objects.SnapshotInfo
    for class, object in pairs(objects) do
      for name, f in pairs(pages.methods(all, class_named(class))) do
        check(object[name], f, object)
      end
    end
    for _, page in ipairs(pages.LIST) do
      for name, f in pairs(page.module and pages.functions(all, page) or {}) do
        check(require(page.module)[name], f)
      end
    end
    for name in pairs(all.classes) do
      if name:find "Options$" or name:find "Limits$" then
        assert.is_true(checked[name], "nothing takes " .. name)
      end
    end
    for name in pairs(checked) do
      for option in pairs(luacats.fields(all, name)) do
        assert.message("no spec says " .. option).is_true(is_said(option))
      end
    end
    objects.ZipFile:close()
  end)
end)

describe("the reference pages", function()
  for _, page in ipairs(pages.LIST) do
    it(page.name .. " is current (else: make docs)", function()
      assert.equal(pages.text(all, page),
        helpers.read_file(("%s/%s.md"):format(pages.folder, page.name)))
    end)
  end
end)
