-- The README: its code blocks, run as they stand against the test server (but
-- `luarocks install`, which needs the rock's server), and its tables beside
-- what they tell of.

local command = require "spec.support.command"
local helpers = require "spec.support.helpers"
local host = require "spec.support.host"
local luacats = require "spec.reference.luacats"
local pages = require "spec.reference.pages"
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

-- The command by its name, with the addresses of the test server.
local wrapper = [[
#!/bin/sh
PATH=$REAL_PATH
exec squaresnap --base-url=%s --snapshots-url=%s "$@"
]]

-- Runs a shell's lines in a folder where the command is found.
local function run_shell(s, dir, lines, env)
  lfs.mkdir(dir .. "/bin")
  helpers.write_file(dir .. "/bin/squaresnap",
    wrapper:format(s.http_base_url, s.http_snapshots_url))
  assert(os.execute("chmod 755 " .. dir .. "/bin/squaresnap"))
  helpers.write_file(dir .. "/block.sh", "export REAL_PATH=$PATH\n"
    .. "export PATH=$PWD/bin:$PATH\n" .. lines)
  env = env or {}
  env.HOME = dir
  return command.run(s, {}, { folder = dir, env = env,
    script = "bash -e block.sh", key = env.SQUARE_API_KEY })
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

  local blocks = {}
  for block in readme:gmatch "```sh\n(squaresnap .-)```" do
    blocks[#blocks + 1] = block
    it("has shell lines " .. #blocks .. " that run as they stand", function()
      local result = run_shell(s, dir.path, block)
      assert.equal(0, result.code, result.out .. result.err)
    end)
  end

  it("shows every command of squaresnap", function()
    local shown = table.concat(blocks)
    for _, name in ipairs { "create", "list", "download", "restore", "sync",
      "prune", "verify", "quota", "whoami", "completion" } do
      assert.matches("squaresnap " .. name, shown, 1, true)
    end
  end)

  -- How many files of a kind there are in a folder.
  local function count(folder, ending)
    local pipe <close> = assert(io.popen(("find %s -name '*.%s' | wc -l")
      :format(folder, ending)))
    return pipe:read "n"
  end

  it("has cron lines that are silent, but when something fails", function()
    helpers.write_file(dir .. "/.squaresnap.key", s.key .. "\n")
    local jobs = {}
    for line in readme:match("```cron\n(.-)```"):gmatch "[^\n]+" do
      jobs[#jobs + 1] = line:match "^[%d*]+ [%d*]+ %* %* [%d*] (.*)$"
    end
    assert.equal(2, #jobs)
    for _ = 1, 2 do
      for _, job in ipairs(jobs) do
        local result = run_shell(s, dir.path, job, { SQUARE_API_KEY = "" })
        assert.same({ 0, "", "" }, { result.code, result.out, result.err })
      end
    end
    assert.equal(1, count(dir .. "/square", "zip"))
    helpers.write_file(dir .. "/.squaresnap.key", "wrong")
    local failed = run_shell(s, dir.path, jobs[1], { SQUARE_API_KEY = "" })
    assert.equal(4, failed.code)
    assert.matches("^squaresnap: [^\n]*authentication[^\n]*\n$", failed.err)
  end)

  it("has a systemd service whose commands run", function()
    lfs.mkdir(dir .. "/squaresnap")
    helpers.write_file(dir .. "/key", s.key .. "\n")
    local unit = readme:match "```ini\n(# [^\n]*%.service\n.-)```"
    local ran = 0
    for line in unit:gmatch "\nExecStart=/usr/local/bin/([^\n]+)" do
      local result = run_shell(s, dir.path, (line:gsub("%%[dS]", dir.path)),
        { SQUARE_API_KEY = "" })
      assert.equal(0, result.code, result.err)
      ran = ran + 1
    end
    assert.equal(2, ran)
    assert.equal(1, count(dir .. "/squaresnap", "zip"))
  end)

  it("has the guide's examples, and more", function()
    assert.is_true(n >= 4)
  end)
end)

-- The first column of the table under a heading, its code words one by one;
-- each with its row.
local function table_under(heading)
  local into = {}
  local text = readme:match("\n#+ " .. heading .. "\n(.-)\n#+ ")
    or readme:match("\n#+ " .. heading .. "\n(.*)$")
  local rows = text:match "\n| ?%-%-%-[^\n]*(\n|.*)$"
  for row in rows:gmatch "\n(| [^\n]+)" do
    for word in row:match "^| ([^|]*) |":gmatch "`([^`]*)`" do
      into[word] = row
    end
  end
  return into
end

describe("the README's", function()
  local all = pages.definitions()

  it("client options are all that there are, with their defaults", function()
    local rows = table_under "Client options"
    local defined = luacats.fields(all, "squarecloud.ClientOptions")
    assert.same(helpers.keys(defined), helpers.keys(rows))
    local source = helpers.read_file "csrc/client.c"
    local count = 0
    for name, entry in pairs(defined) do
      local default = source:match('%(&?o, "' .. name .. '",%s*([%d]+)[,%s]')
      if default then
        assert.matches("%f[%d]" .. default .. "%f[%D]",
          rows[name]:match "^|[^|]*|([^|]*)|", nil, name)
        assert.matches("default " .. default .. "%f[%D]", entry.text)
        count = count + 1
      end
    end
    assert.is_true(count >= 9)
  end)

  it("kinds of errors are all that there are", function()
    local kinds = {}
    for _, choice in ipairs(all.aliases["squarecloud.ErrorKind"].choices) do
      kinds[choice.type:sub(2, -2)] = true
    end
    assert.same(helpers.keys(kinds), helpers.keys(table_under "Errors"))
  end)

  it("fields of errors are all that there are", function()
    local fields = { kind = true }
    for name in readme:match "Also in `err`:(.-)\n\n":gmatch "`([^`]*)`" do
      fields[name] = true
    end
    assert.same(helpers.keys(luacats.fields(all, "squarecloud.Error")),
      helpers.keys(fields))
  end)

  it("functions of tasks are there", function()
    for call in pairs(table_under "Without blocking") do
      local object, name = call:match "^(%l+)[:.](%l+)"
      local class = all.classes["squarecloud."
        .. object:gsub("^%l", string.upper)]
      assert.is_truthy(pages.methods(all, class)[name]
        or luacats.fields(all, class.name)[name], call)
    end
  end)

  it("options of a download are all that there are", function()
    local block = readme:match "info:download {\n(.-)\n}%)"
    for name in pairs(luacats.fields(all, "squarecloud.DownloadOptions")) do
      assert.is_truthy(block:find("%f[%w]" .. name .. " = "), name)
    end
  end)

  it("packages are those that make deps installs", function()
    local deps = helpers.read_file "spec/support/deps.sh"
    for name in readme:match "`apt%-get install ([^`]*)`":gmatch "%S+" do
      assert.is_truthy(deps:find("\nneed " .. name .. " ", 1, true), name)
    end
  end)

  it("way to use a checkout from a shell is one", function()
    local line = readme:match "use the\ncheckout from a shell: `([^`]*)`"
    -- what was built for this process serves: nothing is built again
    local built = package.searchpath("squarecloud.core", package.cpath)
      :gsub("/squarecloud/core%.so$", "")
    line = line:gsub("^make && ", ""):gsub("make %-s env",
      "make -s env B='" .. built:gsub("%%", "%%%%") .. "'")
    assert.equal(require("squarecloud").version .. "\n", host.must(line .. [[
      && cd / && lua5.4 -e 'print(require("squarecloud").version)' \
      && squaresnap --version >/dev/null]]))
  end)

  it("host in C is spec/host's", function()
    local function bare(text) return (text:gsub("/%*.-%*/", "")) end
    local file = bare(helpers.read_file "spec/host/host.c"):gsub("%s+", " ")
    local loop = { text = "one->text", size = "one->size",
      ['"=squarecloud/init.lua"'] = "one->chunk",
      ['"squarecloud"'] = "one->name" }
    for line in bare(readme:match "```c\n(.-)```"):gmatch "[^\n]+" do
      line = line:gsub("[%w_]+", { text = loop.text, size = loop.size })
        :gsub('"=?squarecloud[%w/]*%.?l?u?a?"', loop):gsub("^%s+", "")
        :gsub("%s+$", "")
      assert.is_truthy(file:find(line, 1, true), line)
    end
  end)

  it("command that builds a host builds one", function()
    local dir <close> = helpers.tmpdir()
    local build = readme:match "\n(cc %-std=c11.-)\n```"
    host.must(([[cp -R csrc spec/host/host.c spec/host/host.h %s &&
      lua5.4 spec/host/embed.lua >%s/embedded.c && cd %s && %s -O0]])
      :format(dir, dir, dir, build))
    helpers.write_file(dir .. "/x.lua", "print(require('squarecloud').version)")
    assert.matches("^%d+%.%d+%.%d+\n$", host.must(
      ("cd %s && ./host x.lua"):format(dir)))
  end)

  it("links lead somewhere", function()
    for link in readme:gmatch "%]%(([^)#]*)%)" do
      assert.is_truthy(link:find "^https://" or lfs.attributes(link), link)
    end
    for path in readme:gmatch "`(spec/[%w/]*)`" do
      assert.is_truthy(lfs.attributes(path), path)
    end
  end)
end)

-- What the README says in words, and the spec that holds it to it.
local CLAIMS = {
  { "checked against what the store announced", "download_faults_spec",
    "more bytes than the listing said" },
  { "down to every CRC", "download_spec",
    "checks every CRC unless told otherwise" },
  { "A dropped line is continued, by range and validator",
    "download/resume_spec", "fetches no byte twice within a call" },
  { "Constant memory", "download/disk_spec",
    "holds a file of any size; memory does not" },
  { "A create or a restore that may have been carried out is never repeated",
    "actions_spec", "is sent once, whatever comes back" },
  { "the platform's own `Retry-After`", "retries_spec", "Retry-After" },
  { "not across a redirect", "client_spec", "the API's redirects" },
  { "not into a message, a trace", "secrets_spec", "the watch over secrets" },
  { "never touch Lua", "layers_spec", "include only downward" },
  { "files are made `0600`, folders `0700`", "base/part_spec",
    "private whatever the umask is" },
  { "`extract` refuses an archive", "zip_file_spec",
    "refuses an archive that would write elsewhere, as a whole" },
  { "Inside one, the same call yields", "task_spec",
    "runs the function up to its first wait" },
  { "which never blocks", "loops_spec", "frame_loop goes on drawing" },
  { "cqueues takes the client itself", "loops_spec", "examples" },
  { "any of them steps for all", "tasks/coroutines_spec",
    "serve one task, and either's step drives both" },
  { "comes back when the application runs again", "wait_spec",
    "waits until a restored application runs again" },
  { "Retention has restic's rules and names", "retention/vectors",
    "restic's answers" },
  { "removes local files only, and never all of them", "mirror/prune_spec",
    "removes what the policy does not keep" },
  { "Two processes on one mirror exclude each other", "mirror/tasks_spec",
    "excludes another" },
  { "a sync that was killed goes on where it was", "mirror/crash_spec",
    "goes on with what a killed sync had fetched" },
  { "soonest to expire first", "mirror/sync_spec", "soonest to expire first" },
  { "Wrong use (a misspelt option", "bad_input_spec", "option" },
  { "after 0.5 s doubling, with full jitter", "base/answer_spec",
    "waits at random up to a limit that doubles from half a second" },
  { 'a host\'s settings stay as they are', "json_spec",
    "the host's own cjson" },
  { "The module stays in memory when its Lua state is closed", "rock_spec",
    "stays in memory when the Lua state that loaded it is closed" },
  { "http for loopback only", "download_spec",
    "is made of http where both ends are on the loopback" },
}

describe("the README says", function()
  local words = readme:gsub("%s*\n[%s#%-]*", " ")
  for _, claim in ipairs(CLAIMS) do
    it(claim[1] .. ", and a spec holds it to it", function()
      assert.is_truthy(words:find(claim[1], 1, true))
      assert.is_truthy(helpers.read_file(("spec/%s.lua"):format(claim[2]))
        :find(claim[3], 1, true), claim[2] .. ": " .. claim[3])
    end)
  end
end)
