-- The README's own code blocks, run as they stand against the test server.

local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local lfs = require "lfs"

local readme = helpers.read_file "README.md"

-- What a block needs around it: the addresses of the test server.
local prelude = [[
  local square = require "squarecloud"
  local new = square.Client
  square.Client = function(options)
    if type(options) == "string" then options = { api_key = options } end
    options.base_url, options.snapshots_url = %q, %q
    options.ca_file, options.proxy = %q, ""
    return new(options)
  end
]]

local function run(s, dir, block)
  local root = lfs.currentdir()
  helpers.write_file(dir .. "/prelude.lua",
    prelude:format(s.base_url, s.snapshots_url, s.ca_file))
  helpers.write_file(dir .. "/block.lua", block)
  local pipe = assert(io.popen(([[cd '%s' && LUA_PATH='%s' LUA_CPATH='%s' \
    SQUARE_API_KEY='%s' lua5.4 -e 'dofile "prelude.lua"' block.lua 2>&1]])
    :format(dir, package.path:gsub("%./", root .. "/"),
      package.cpath:gsub("%./", root .. "/"):gsub("^build", root .. "/build"),
      s.key)))
  local out = pipe:read "a"
  return pipe:close(), out
end

describe("the README", function()
  local s, dir
  before_each(function()
    s = server.shared()
    s:reset()
    s:add_app { id = "application_id", name = "mine",
                files = { ["main.lua"] = "print 'hello'\n" } }
    s:add_database { id = "database_id", name = "mine", type = "postgres",
                     files = { ["dump.sql"] = "select 1;\n" } }
    dir = helpers.tmpdir()
    local client <close> = helpers.client(s)
    assert(client:snapshot "application_id")
  end)
  after_each(function() helpers.remove(dir.path) end)

  local n = 0
  for block in readme:gmatch "```lua\n(.-)```" do
    n = n + 1
    local number = n
    it("has a code block " .. number .. " that runs as it stands", function()
      local ok, out = run(s, dir.path, block)
      assert.message(out).is_truthy(ok)
      for said in block:gmatch "%-%->%s*([^\n]-)%s*%.*\n" do
        local said_plainly = said:gsub("%s*%.%.%.$", "")
        assert.message(out).is_truthy(out:find(said_plainly, 1, true))
      end
    end)
  end

  it("has the guide's examples, and more", function()
    assert.is_true(n >= 4)
  end)
end)
