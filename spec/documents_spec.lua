--- The pages that people read. Every block of code in them is run as it stands,
-- from a page's top to its end, by somebody who follows it; what a page says
-- that comes out has to come out. Every link leads somewhere, and every page
-- can be found.

local documents = require "spec.support.documents"
local helpers = require "spec.support.helpers"
local quote = require("spec.support.quote").shell
local reader = require "spec.support.reader"
local terminal = require "spec.support.terminal"
local core = require "squarecloud.core"
local lfs = require "lfs"
local socket = require "socket"

local function assert_runs(result)
  assert.message(result.out .. result.err).equal(0, result.code)
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "([^\r\n]*)\r?\n" do lines[#lines + 1] = line end
  return lines
end

------------------------------------------------- what is noted instead of run

local LOOK_AT = {}

LOOK_AT["apt-get"] = function(_, action, ...)
  assert.equal("install", action)
  local deps = helpers.read_file "spec/support/deps.sh"
  for _, name in ipairs { ... } do
    assert.is_true(name == "git" or deps:find(name, 1, true) ~= nil, name)
  end
end

-- Targets and variables, which the Makefile has.
function LOOK_AT.make(_, ...)
  local makefile = helpers.read_file "Makefile"
  for _, word in ipairs { ... } do
    local variable = word:match "^(%u+)="
    assert.is_truthy(makefile:find(variable
      and "%f[%u]" .. variable .. "%f[^%u]" or "\n" .. word .. ":"), word)
  end
end

function LOOK_AT.luarocks(_, version, action, ...)
  assert.equal("--lua-version=5.4", version)
  if action == "path" then return end
  assert.equal("install", action)
  local words = { ... }
  assert.equal(("build/dist/squarecloud-%s-1.src.rock"):format(core.version),
    table.remove(words))
  assert.is_truthy(#words == 0 or #words == 1 and words[1] == "--local")
end

-- A unit that is named must be one of the page's.
function LOOK_AT.systemctl(who, ...)
  local unit = table.concat({ ... }, " "):match "%S+%.%l+$"
  assert.is_truthy(not unit or lfs.attributes(who:file(unit)), unit)
end
LOOK_AT.journalctl = LOOK_AT.systemctl

function LOOK_AT.sudo() end -- its command is noted, too

LOOK_AT[".ci/run"] = function()
  assert.is_truthy(lfs.attributes(".ci/run", "permissions"):find "x")
end

--------------------------------------------------------- how a block is run

local RUN = {}

-- A shell's lines. What they read from the keyboard is the API key.
function RUN.sh(who, block)
  helpers.write_file(who:file ".keyboard", who.s.key .. "\n")
  helpers.write_file(who:file ".block", block.text)
  assert_runs(who:run("bash -e .block", { stdin = who:file ".keyboard" }))
  if block.text:find "squaresnap[^\n]* create " then
    -- files are named by the second, and a reader is slower than this
    local made = os.time()
    while os.time() == made do socket.sleep(0.05) end
  end
  for _, words in ipairs(who:calls()) do
    LOOK_AT[words[1]](who, table.unpack(words, 2))
  end
end

-- What is typed behind `$ `, and what a wide terminal shows then.
local function check_typed(who, typed, said)
  helpers.write_file(who:file ".block", typed)
  local result = who:run("script -qefc 'stty cols 250; exec bash -e .block' "
    .. "/dev/null")
  assert_runs(result)
  local screen = terminal.screen(250, 100)
  screen:feed(result.out)
  local missing = who:missing(screen:lines(), said)
  assert.message(table.concat(screen:lines(), "\n")).is_nil(missing)
end

function RUN.console(who, block)
  local typed, said
  for _, line in ipairs(lines_of(block.text)) do
    if line:find "^%$ " then
      if typed then check_typed(who, typed, said) end
      typed, said = line:sub(3), {}
    else
      said[#said + 1] = line
    end
  end
  check_typed(who, typed, said)
end

-- What a Lua program needs around it: the addresses of the test server.
local PRELUDE = [[
  local square = require "squarecloud"
  local new = square.Client
  square.Client = function(options)
    if type(options) == "string" then options = { api_key = options } end
    options.base_url, options.snapshots_url = %q, %q
    options.ca_file, options.proxy = %q, ""
    return new(options)
  end
]]

-- What comes out stands behind `-->`.
function RUN.lua(who, block)
  helpers.write_file(who:file ".prelude", PRELUDE:format(who.s.base_url,
    who.s.snapshots_url, who.s.ca_file))
  helpers.write_file(who:file ".block", block.text)
  local result = who:run [[lua5.4 -e 'dofile ".prelude"' .block]]
  assert_runs(result)
  local said = {}
  for line in block.text:gmatch "%-%->%s*([^\n]*)" do said[#said + 1] = line end
  assert.message(result.out).is_nil(
    who:missing(lines_of(result.out), said, true))
end

-- A user's crontab: variables, and jobs. Each runs on two nights, and writes
-- nothing, which cron would mail. What fails is said, there or in the log.
function RUN.cron(who, block)
  local env, jobs = { PATH = "/usr/bin:/bin", SQUARE_API_KEY = "" }, {}
  for _, line in ipairs(lines_of(block.text)) do
    local name, value = line:match "^(%u+)=(.*)$"
    if name then
      -- where the page's command is installed, this one is not
      env[name] = value:gsub("/usr/local/bin", who:file ".luarocks/bin")
    else
      jobs[#jobs + 1] = assert(line:match "^%d+ %d+ %* %* [%d*] (.*)$", line)
    end
  end
  assert.is_true(#jobs > 0)
  for _ = 1, 2 do
    for _, job in ipairs(jobs) do
      local result = who:run("sh -c " .. quote(job), { env = env })
      assert.same({ 0, "", "" }, { result.code, result.out, result.err })
    end
  end
  local key, log = who:file ".squaresnap.key", who:file "square.log"
  helpers.write_file(key, "wrong\n")
  local failed = who:run("sh -c " .. quote(jobs[1]), { env = env })
  local told = failed.err .. (lfs.attributes(log) and helpers.read_file(log)
    or "")
  assert.matches("squaresnap: [^\n]*authentication[^\n]*\n$", told)
  helpers.write_file(key, who.s.key .. "\n")
end

-- Units of systemd's: what a service starts is run.
function RUN.ini(who, block)
  helpers.write_file(who:file "key", who.s.key .. "\n")
  lfs.mkdir(who:file "squaresnap")
  for line in block.text:gmatch "\nExecStart=/usr/local/bin/([^\n]+)" do
    assert_runs(who:run((line:gsub("%%[dS]", who.home)),
      { env = { SQUARE_API_KEY = "" } }))
  end
end

-- A block with a file's name becomes that file, for the blocks behind it.
local function run_block(who, block)
  if block.name then
    helpers.write_file(who:file(block.name), block.text)
    if block.language ~= "ini" then return end
  end
  local how = RUN[block.language]
    or error("nothing runs a block of " .. block.language)
  how(who, block)
end

for _, path in ipairs(documents.list()) do
  describe(path, function()
    local blocks = documents.blocks(path)

    if #blocks > 0 then
      it("can be followed from its top to its end", function()
        local who <close> = reader.new()
        if path == "doc/nightly.md" then -- which begins where README.md ends
          helpers.write_file(who:file ".squaresnap.key", who.s.key .. "\n")
        end
        for _, block in ipairs(blocks) do
          local ok, err = pcall(run_block, who, block)
          if not ok then
            error(("%s:%d: %s"):format(path, block.line, type(err) == "table"
              and tostring(err.message) or tostring(err)), 0)
          end
        end
      end)
    end

    it("has links that lead somewhere", function()
      for _, link in ipairs(documents.links(path)) do
        assert.is_truthy(not link.path or lfs.attributes(link.path), link.text)
        assert.is_truthy(link.anchor == ""
          or documents.anchors(link.path)[link.anchor], link.text)
      end
    end)
  end)
end

describe("the pages", function()
  it("can all be found from README.md, and the examples", function()
    local found, queue = { ["README.md"] = true }, { "README.md" }
    while #queue > 0 do
      for _, link in ipairs(documents.links(table.remove(queue))) do
        if link.path and not found[link.path] then
          found[link.path] = true
          if link.path:find "%.md$" then queue[#queue + 1] = link.path end
        end
      end
    end
    for _, path in ipairs(documents.list()) do
      assert.is_true(found[path], path)
    end
    for _, name in ipairs(helpers.names "doc/examples") do
      assert.is_true(found["doc/examples/" .. name], name)
    end
    assert.is_true(found["doc/squaresnap.1"])
  end)

  it("name files of the checkout that are there", function()
    for _, path in ipairs(documents.list()) do
      for name in helpers.read_file(path):gmatch "`(%.?%l+/[%w_./]*)`" do
        if name:find "^spec/" or name:find "^csrc/" or name:find "^lua/" then
          assert.is_truthy(lfs.attributes(name), path .. ": " .. name)
        end
      end
    end
  end)
end)
