--- What the pages say in words and tables, beside what holds them to it: the
-- code, or a spec.

local documents = require "spec.support.documents"
local helpers = require "spec.support.helpers"
local luacats = require "spec.reference.luacats"
local pages = require "spec.reference.pages"
local parser = require "squarecloud.cli.parser"

local all = pages.definitions()

-- The rows of a page's table under a heading, each by its first column.
local function table_under(path, heading)
  local rows = {}
  local text = ("\n" .. helpers.read_file(path)):match("\n#+ " .. heading
    .. "\n(.*)$")
  for row in text:match "\n| ?%-%-%-[^\n]*\n(.-)\n\n":gmatch "[^\n]+" do
    rows[row:match "^| ([^|]*) |"] = row
  end
  return rows
end

describe("README.md", function()
  it("can be read in one go", function()
    local count = select(2, helpers.read_file "README.md":gsub("\n", "\n"))
    assert.is_true(count <= 200, count .. " lines")
  end)
end)

describe("the page of the command", function()
  local page = helpers.read_file "doc/command.md"

  it("shows every command", function()
    for _, one in ipairs(parser.new(function() end)._commands) do
      assert.matches("squaresnap " .. one._name, page, 1, true)
    end
  end)

  it("has the manual page's exit codes", function()
    local rows = helpers.keys(table_under("doc/command.md", "Exit codes"))
    local manual = {}
    for code in helpers.read_file "doc/squaresnap.1"
      :match "%.SH EXIT STATUS\n(.-)\n%.SH":gmatch "%.B (%d+)\n" do
      manual[#manual + 1] = code
    end
    table.sort(manual)
    assert.same(manual, rows)
  end)
end)

describe("the client's options", function()
  it("are told with their defaults", function()
    local source, count = helpers.read_file "csrc/client.c", 0
    for name, entry in pairs(luacats.fields(all,
      "squarecloud.ClientOptions")) do
      local default = source:match('%(&?o, "' .. name .. '",%s*([%d]+)[,%s]')
      if default then
        assert.matches("default " .. default .. "%f[%D]", entry.text)
        count = count + 1
      end
    end
    assert.is_true(count >= 9)
  end)
end)

describe("the page of the library", function()
  it("shows every option of a download", function()
    local block = helpers.read_file "doc/library.md"
      :match "info:download {\n(.-)\n}%)"
    for name in pairs(luacats.fields(all, "squarecloud.DownloadOptions")) do
      assert.is_truthy(block:find("%f[%w]" .. name .. " = "), name)
    end
  end)
end)

describe("the page of tasks", function()
  it("names what there is", function()
    for first in pairs(table_under("doc/async.md", "Without blocking")) do
      local object, name = first:match "^`(%l+)[:.](%l+)"
      local class = all.classes["squarecloud."
        .. object:gsub("^%l", string.upper)]
      assert.is_truthy(pages.methods(all, class)[name]
        or luacats.fields(all, class.name)[name], first)
    end
  end)
end)

-- What a page says in words, and the spec that holds it to it.
local CLAIMS = {
  ["README.md"] = {
    { "Every checksum in it has been verified first", "download_spec",
      "checks every CRC unless told otherwise" },
    { "A download that is cut off resumes where it stopped",
      "download/resume_spec", "fetches no byte twice within a call" },
    { "that may have been carried out is never sent again", "actions_spec",
      "is sent once, whatever comes back" },
    { "not to the download server", "client_spec", "the API's redirects" },
    { "not into a message, a log", "secrets_spec", "the watch over secrets" },
    { "or the process list", "cli_spec", "in the list of processes" },
    { "`--snapshot-first` saves what is there now", "cli/restore_spec",
      "--snapshot-first" },
    { "and deletes it again", "rehearsal_spec", "was deleted" },
  },
  ["doc/library.md"] = {
    { "compared with what the store announced", "download_faults_spec",
      "more bytes than the listing said" },
    { "continued from where it stopped, by range and validator",
      "download/resume_spec", "fetches no byte twice within a call" },
    { "Memory use is constant", "download/disk_spec",
      "holds a file of any size; memory does not" },
    { "files are made `0600`, folders `0700`", "base/part_spec",
      "private whatever the umask is" },
    { "`extract` refuses an archive", "zip_file_spec",
      "refuses an archive that would write elsewhere, as a whole" },
    { "Wrong use (a misspelt option", "bad_input_spec", "option" },
    { "after 0.5 s doubling, with full jitter", "base/answer_spec",
      "waits at random up to a limit that doubles from half a second" },
    { "the platform's own `Retry-After`", "retries_spec", "Retry-After" },
    { "only if it cannot have been carried out", "actions_spec",
      "is sent once, whatever comes back" },
    { "Retention has restic's rules and names", "retention/vectors",
      "restic's answers" },
    { "Two processes on one mirror exclude each other", "mirror/tasks_spec",
      "excludes another" },
    { "A sync that was killed resumes where it was", "mirror/crash_spec",
      "goes on with what a killed sync had fetched" },
  },
  ["doc/nightly.md"] = {
    { "refuses to remove every snapshot", "mirror/prune_spec",
      "removes what the policy does not keep" },
    { "a second one ends at once", "cli/mirror_spec",
      "says when another one is at it" },
  },
  ["doc/mirror.md"] = {
    { "soonest to expire first", "mirror/sync_spec",
      "soonest to expire first" },
  },
  ["doc/async.md"] = {
    { "Inside one, the same call yields", "task_spec",
      "runs the function up to its first wait" },
    { "never blocks", "loops_spec", "frame_loop goes on drawing" },
    { "cqueues takes the client itself", "loops_spec", "examples" },
    { "any of them steps for all", "tasks/coroutines_spec",
      "serve one task, and either's step drives both" },
    { "the status is what it was before", "wait_spec",
      "is over after a minute, when it runs as before" },
    { "that is up to 30 minutes old", "wait_spec",
      "sees past a list that is cached from before" },
  },
  ["doc/hosts.md"] = {
    { "which never touch Lua", "layers_spec", "include only downward" },
    { "the host's settings stay as they are", "json_spec",
      "the host's own cjson" },
    { "the module stays in memory", "rock_spec",
      "stays in memory when the Lua state that loaded it is closed" },
  },
  ["doc/square.md"] = {
    { "except on loopback addresses", "download_spec",
      "is made of http where both ends are on the loopback" },
  },
}

for path, claims in pairs(CLAIMS) do
  describe(path .. " says", function()
    local words = documents.words(path)
    for _, claim in ipairs(claims) do
      it(claim[1] .. ", and a spec holds it to it", function()
        assert.is_truthy(words:find(claim[1], 1, true))
        assert.is_truthy(helpers.read_file(("spec/%s.lua"):format(claim[2]))
          :find(claim[3], 1, true), claim[2] .. ": " .. claim[3])
      end)
    end
  end)
end
