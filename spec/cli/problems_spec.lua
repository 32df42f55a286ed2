-- One odd entry in a list costs itself: the command goes on with the others,
-- says which one it is, and exits with 3.

local command = require "spec.support.command"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"

local NEVER = "0000-00-00T00:00:00Z"

describe("squaresnap, with a list that has an odd entry,", function()
  local s, app, dir, odd
  before_each(function()
    s = server.shared()
    s:reset()
    app, dir = s.apps[1], helpers.tmpdir()
    for i = 1, 2 do
      s:add_snapshot { app = app, version_id = "v" .. i,
        bytes = downloads.archive(8), modified = os.time() - i * 3600 }
    end
    s:add_snapshot { app = app, version_id = "odd", bytes = "PK",
      modified = os.time() - 90000, modified_text = NEVER }
    odd = ("entry 3 (id %s): its time is missing or wrong"):format(app)
  end)
  after_each(function()
    s:reset()
    helpers.remove(dir.path)
  end)

  -- Exits with 3, and says this and nothing more on stderr.
  local function warned(result, said, code)
    assert.equal(code or 3, result.code, result.err)
    local warnings = {}
    for line in result.err:gmatch "squaresnap: ([^\n]+)" do
      warnings[#warnings + 1] = line
    end
    assert.same({ said }, warnings)
    return result
  end

  it("lists the others", function()
    for _, words in ipairs { { "list", app, said = app }, { "list",
      said = "applications" } } do
      local said = words.said .. ": " .. odd
      assert.equal(2, #warned(command.run(s, { "--json",
        table.unpack(words) }), said):json())
      local shown = warned(command.run(s, words), said)
      assert.matches("v1\n[^\n]+v2\n$", shown.out)
    end
  end)

  it("syncs the others, and says so each time", function()
    for count = 2, 0, -2 do
      local result = warned(command.run(s, { "--json", "sync", app, "--dir",
        dir.path }), app .. ": " .. odd)
      assert.equal(count, #result:json())
    end
    assert.equal(0, #warned(command.run(s, { "--json", "sync", "--all",
      "--dir", dir.path }), "applications: " .. odd):json())
  end)

  it("counts the others", function()
    local result = warned(command.run(s, { "--json", "quota" }),
      "applications: " .. odd)
    assert.equal(2, result:json().used)
    s:configure { plan = "free" }
    warned(command.run(s, { "quota" }), app .. ": " .. odd)
  end)

  it("downloads the others, or the newest of them", function()
    warned(command.run(s, { "--no-progress", "download", app, "--all", "-o",
      dir.path }), app .. ": " .. odd)
    assert.equal(2, #helpers.names(dir.path))
    warned(command.run(s, { "--no-progress", "download", app, "-o",
      dir .. "/one.zip" }), app .. ": " .. odd, 0)
  end)

  it("tells of twenty at most", function()
    local entries = { '{"name":"a","size":1,"key":"versionId=v",'
      .. '"modified":"2024-06-27T06:23:42.326Z"}' }
    for i = 2, 31 do entries[i] = "7" end
    s:listing(app, '{"status":"success","response":['
      .. table.concat(entries, ",") .. "]}")
    local result = command.run(s, { "list", app })
    assert.equal(3, result.code)
    assert.equal(21, select(2, result.err:gsub("\n", "")))
    assert.matches("\nsquaresnap: and 10 more that cannot be read\n$",
      result.err)
  end)

  it("fails when nothing in it can be read", function()
    s:listing(app, '{"status":"success","response":[7,8]}')
    for _, words in ipairs { { "list", app },
      { "sync", app, "--dir", dir.path } } do
      local result = command.run(s, words)
      assert.equal(1, result.code)
      assert.matches("protocol: [^\n]*nothing in the list can be read: entry 1:"
        .. " it is not an object", result.err)
    end
  end)
end)
