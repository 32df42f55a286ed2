-- The command line: every command, option, help text and example.

local argparse = require "argparse"

local parser = {}

------------------------------------------------------------- conversions

local function number(name, least, most)
  return function(text)
    local value = text:find "^%d+%.?%d*$" and tonumber(text)
    if value and value >= least and value <= most then return value end
    return nil, ("%s must be a number, at least %s"):format(name, least)
  end
end

local function whole(name, least, most)
  return function(text)
    local value = text:find "^%d+$" and math.tointeger(tonumber(text))
    if value and value >= least and value <= most then return value end
    return nil, most == math.maxinteger
      and ("%s must be a whole number, at least %d"):format(name, least)
      or ("%s must be a whole number from %d to %d"):format(name, least, most)
  end
end

local function count(name)
  return function(text)
    if text == "unlimited" or text == "-1" then return "unlimited" end
    local value = text:find "^%d+$" and math.tointeger(tonumber(text))
    if value then return value end
    return nil, name .. ' must be a whole number or "unlimited"'
  end
end

-- What the API takes as one segment of a path.
local function id_of(what)
  return function(text)
    if text == "" then return nil, what .. " is empty" end
    if text == "." or text == ".." then
      return nil, what .. " cannot be '.' or '..'"
    elseif text:find "[\0-\31\127]" then
      return nil, what .. " contains a control character"
    end
    return text
  end
end

local function not_empty(name)
  return function(text)
    if text ~= "" then return text end
    return nil, name .. " is empty"
  end
end

---------------------------------------------------------- shared options

local function add_ids(command, args)
  command:argument "ID" { args = args, convert = id_of "the id", target = "id",
    description = "Id of an application, or of a database." }
end

local function add_database(command)
  command:flag "--database" { description = "The id is a database's." }
end

local function add_dry_run(command)
  command:flag "-n --dry-run" {
    description = "Only show what would be done." }
end

local function add_yes(command)
  command:flag "-y --yes" { description = "Do not ask first." }
end

local function add_no_lock(command)
  command:flag "--no-lock" { description = "For a file system without locks. "
    .. "Nothing else may change the mirror in the meantime." }
end

local RULES = { "last", "hourly", "daily", "weekly", "monthly", "yearly" }

local function unit_of(rule)
  return (rule:gsub("ly$", ""):gsub("^dai$", "day"))
end

local function add_rules(command)
  local options = {}
  for _, rule in ipairs(RULES) do
    local name = "--keep-" .. rule
    options[#options + 1] = command:option(name) { argname = "N",
      convert = count(name), description = rule == "last"
        and "Keep the N newest." or ("Keep N %s snapshots, the newest of each "
        .. "%s."):format(rule, unit_of(rule)) }
  end
  options[#options + 1] = command:option "--keep-within" { argname = "D",
    description = "Keep everything within D of the newest (such as 2y5m7d3h)." }
  for i = 2, #RULES do
    options[#options + 1] = command:option("--keep-within-" .. RULES[i]) {
      argname = "D", description = "Keep the newest of each "
        .. unit_of(RULES[i]) .. " within D." }
  end
  command:group("Keep rules, the same as restic's", table.unpack(options))
end

--- The policy that the options state, or nil when they state none.
function parser.policy(options)
  local policy
  local function add(name)
    if options[name] == nil then return end
    policy = policy or {}
    policy[name] = options[name]
  end
  add "keep_within"
  for i, rule in ipairs(RULES) do
    add("keep_" .. rule)
    if i > 1 then add("keep_within_" .. rule) end
  end
  return policy
end

---------------------------------------------------------------- commands

local commands = {}

local function define(name, summary, description, example, fill)
  commands[#commands + 1] = { name = name, summary = summary,
    description = description:gsub("\n", " "), example = example, fill = fill }
end

define("create", "Create a snapshot.",
  [[Creates a snapshot of each application, or of each database with --database.
The platform accepts one every 5 seconds, and one a minute for the same
application; the command waits between several.]],
  "squaresnap create 1d2cdc0d6ebd435c91315c6329d12eab --download backups",
  function(command)
    add_ids(command, "+")
    add_database(command)
    command:option "--download" { argname = "DIR",
      convert = not_empty "--download",
      description = "Also download it, into this folder." }
    add_dry_run(command)
  end)

define("list", "List snapshots.",
  [[Lists the snapshots of applications, or of databases with --database;
without an id, those of the whole account (on a paid plan). Newest first.]],
  "squaresnap list --expires-within 3",
  function(command)
    add_ids(command, "*")
    command:flag "--database --databases" { target = "database",
      description = "The ids are databases'. Without an id: only the "
        .. "account's databases." }
    command:option "--newest" { argname = "N",
      convert = whole("--newest", 1, math.maxinteger),
      description = "Only the N newest." }
    command:option "--since" { argname = "T", description =
      'Only those made since a time (2024-06-27, "2024-06-27 06:23", '
      .. "2024-06-27T06:23:00Z) or within a duration (7d)." }
    command:option "--expires-within" { argname = "DAYS",
      convert = number("--expires-within", 0, 1e9),
      description = "Only those that the platform deletes within so many "
        .. "days." }
    command:flag "--show-urls" { description =
      "Show download addresses. Anyone who has one can fetch the snapshot." }
  end)

define("download", "Download and check snapshots.",
  [[Downloads the newest snapshot and checks every CRC; only then does the file
get its name. If a download is cut off, run the same command to resume.]],
  "squaresnap download 1d2cdc0d6ebd435c91315c6329d12eab -o backups",
  function(command)
    add_ids(command, 1)
    add_database(command)
    command:mutex(
      command:option "--version-id" { argname = "V",
        convert = id_of "--version-id",
        description = "The snapshot with this version id." },
      command:flag "--latest" { description = "The newest (the default)." },
      command:flag "--all" { description =
        "All of them; files that already exist are kept." })
    command:option "-o --output" { argname = "FILE|DIR",
      convert = not_empty "--output", description = "Where to save it. A "
        .. "name that does not end in .zip is a folder, created if missing. "
        .. "Default: the current folder." }
    command:flag "--force" { description = "Replace an existing file." }
    command:option "--verify" { argname = "HOW",
      choices = { "full", "structure", "none" },
      description = "What to check: full (every CRC, the default), structure "
        .. "(the ZIP's directory), none." }
    command:option "--segments" { argname = "N",
      convert = whole("--segments", 1, 16),
      description = "Connections to use at once, 1 to 16." }
  end)

define("restore", "Restore a snapshot.",
  [[Replaces what the application or database holds now with a snapshot's
content. Asks you to type the id; without a terminal, --yes is required.]],
  "squaresnap restore 1d2cdc0d6ebd435c91315c6329d12eab --latest "
    .. "--snapshot-first",
  function(command)
    add_ids(command, 1)
    add_database(command)
    command:mutex(
      command:option "--version-id" { argname = "V",
        convert = id_of "--version-id",
        description = "The snapshot with this version id, sent as given." },
      command:flag "--latest" { description = "The newest snapshot." })
    add_yes(command)
    add_dry_run(command)
    command:flag "--snapshot-first" { description =
      "First make a snapshot of the current state, and wait for it." }
  end)

define("rehearse", "Try out a restore, as a new application.",
  [[Downloads and checks an application's snapshot, uploads it as a new
application, waits until it runs, and deletes it. The copy boots with the
original's secrets and may talk to the same database, send the same messages,
answer for the same bot: --yes is always required.]],
  "squaresnap rehearse 1d2cdc0d6ebd435c91315c6329d12eab --latest --yes",
  function(command)
    command:argument "ID" { convert = id_of "the id", target = "id",
      description = "Id of an application." }
    command:mutex(
      command:option "--version-id" { argname = "V",
        convert = id_of "--version-id",
        description = "The snapshot with this version id." },
      command:flag "--latest" { description = "The newest snapshot." })
    command:flag "-y --yes" { description = "Boot a copy: I know what it may "
      .. "talk to." }
    command:flag "--keep" { description = "Do not delete the copy." }
    command:option "--timeout" { argname = "S", target = "within",
      convert = number("--timeout", 0.001, 1e9), description = "Seconds "
        .. "within which it must run, transfers included (default 1800)." }
    command:option "--settle" { argname = "S",
      convert = number("--settle", 0, 1e9), description = "Seconds that it "
        .. "must keep running to count (default 5)." }
    add_dry_run(command)
  end)

define("sync", "Download what a local mirror lacks.",
  [[Downloads into a local mirror whatever the keep rules would keep and the
mirror does not have yet; without rules, everything. What has nothing in the
mirror comes first, then what has the oldest copies. Never removes anything.]],
  "squaresnap sync --all --dir /var/backups/square --keep-daily 7 -j 4",
  function(command)
    add_ids(command, "*")
    add_database(command)
    command:flag "--all" { description = "The whole account: applications "
      .. "and databases, and its workspaces' applications." }
    command:option "--dir" { argname = "DIR", count = "1",
      convert = not_empty "--dir", description = "The mirror's folder." }
    add_rules(command)
    command:option "-j --jobs" { argname = "N", convert = whole("-j", 1, 64),
      description = "Downloads at once (default 4)." }
    add_dry_run(command)
    add_no_lock(command)
  end)

define("prune", "Remove what the keep rules drop.",
  [[Removes the files of a local mirror that the keep rules do not keep. The
platform's snapshots are not touched. Asks first; without a terminal, --yes is
required.]],
  "squaresnap prune --dir /var/backups/square --keep-daily 7 --keep-weekly 4",
  function(command)
    command:option "--dir" { argname = "DIR", count = "1",
      convert = not_empty "--dir", description = "The mirror's folder." }
    add_rules(command)
    add_dry_run(command)
    add_yes(command)
    add_no_lock(command)
  end)

define("verify", "Check ZIP files down to every CRC.",
  "Checks files as a download does: directory, bounds, every CRC.",
  "squaresnap verify backups/*.zip",
  function(command)
    command:argument "FILE" { args = "+", target = "file",
      convert = not_empty "a file's name", description = "A ZIP file." }
  end)

define("quota", "Show how many more snapshots may be made.",
  [[Counts the account's snapshots of the last 24 hours against the plan's
daily limit: one for each 128 MB of memory.]],
  "squaresnap --json quota", function() end)

define("whoami", "Show the key's account and its ids.",
  "Shows the key's account, its plan, and the ids of its applications and "
    .. "databases, and of the workspaces' applications.",
  "squaresnap whoami", function() end)

define("completion", "Print a shell's completions.",
  [[Prints a shell's completions. In bash, and in zsh after compinit, eval them;
in fish: squaresnap completion fish | source]],
  'eval "$(squaresnap completion bash)"',
  function(command)
    command:argument "shell" { choices = { "bash", "zsh", "fish" },
      description = "bash, zsh or fish." }
  end)

------------------------------------------------------------------ global

local function add_globals(main)
  main:flag "--json" { description = "Print data as JSON, for programs." }
  main:flag "-q --quiet" { description = "Print no messages except errors." }
  main:flag "-v --verbose" { description = "Show every request." }
  main:flag "--no-progress" { description = "Show no progress." }
  main:flag "--no-color" { description = "Use no colours (as NO_COLOR does)." }
  main:flag "--utc" { description = "Show and read times in UTC." }
  main:option "--api-key-file" { argname = "F",
    convert = not_empty "--api-key-file",
    description = "Read the API key from this file. Otherwise it is "
      .. "SQUARECLOUD_API_KEY, SQUARE_API_KEY, or what the platform's own "
      .. "command is logged in with." }
  main:option "--account-id" { argname = "A",
    convert = id_of "--account-id", description = "The account that owns what "
      .. "is listed. Otherwise the key's, or that of the workspace it is in." }
  main:option "--timeout" { argname = "S",
    convert = number("--timeout", 0.001, 31536000), description = "Seconds "
      .. "that each request may take, and that a transfer may stall; creating "
      .. "and restoring always have 300." }
  main:option "--retries" { argname = "N",
    convert = whole("--retries", 0, 1000),
    description = "Attempts after the first (default 3)." }
  main:option "--base-url" { argname = "U", convert = not_empty "--base-url",
    description = "The API's address. Otherwise SQUARECLOUD_BASE_URL, or the "
      .. "platform's." }
  main:option "--snapshots-url" { argname = "U",
    convert = not_empty "--snapshots-url",
    description = "The store's address. Otherwise SQUARECLOUD_SNAPSHOTS_URL, "
      .. "or the platform's." }
end

--- The whole command line as an argparse parser.
-- @param early called with "help" and the parser that was asked for it, or
-- with "version", as soon as the word is met
function parser.new(early)
  local main = argparse("squaresnap", "Square Cloud's snapshots: create, list, "
    .. "download, check, restore.", "squaresnap COMMAND --help shows more, "
    .. "with an example. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 some "
    .. "of several failed, 4 not authenticated or permitted, 5 not found, 6 "
    .. "daily quota, 7 rate limited, 8 broken or expired, 130 interrupted.")
    :command_target "command" :help_max_width(79) :usage_max_width(79)
    :add_help(false)
  local function add_help(to)
    to:flag "-h --help" { description = "Show this help and exit.",
      action = function() early("help", to) end }
  end
  add_help(main)
  main:flag "--version" { description = "Show the version and exit.",
    action = function() early "version" end }
  add_globals(main)
  for _, entry in ipairs(commands) do
    local command = main:command(entry.name, entry.description)
      :summary(entry.summary) :add_help(false)
      :epilog("Options for every command: squaresnap --help\n\nExample:\n   "
        .. entry.example)
    add_help(command)
    entry.fill(command)
  end
  return main
end

--- The words of a command line with a version id that begins with "-", as one
-- in 64 does, in one word with its option: argparse takes it for options.
-- @param main a parser
function parser.join(main, words)
  local known, joined = {}, {}
  for _, of in ipairs { main, table.unpack(main._commands) } do
    for _, option in ipairs(of._options) do
      for _, alias in ipairs(option._aliases) do known[alias] = true end
    end
  end
  for i, word in ipairs(words) do
    if word == "--" then
      return table.move(words, i, #words, #joined + 1, joined)
    end
    if joined[#joined] == "--version-id" and word:find "^%-"
      and not known[word:match "^[^=]*"] then
      word = table.remove(joined) .. "=" .. word
    end
    joined[#joined + 1] = word
  end
  return joined
end

return parser
