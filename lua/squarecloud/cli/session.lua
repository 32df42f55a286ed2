-- What a command works with: its options, the console, and the client, which
-- is made when it is first needed and closed when the command ends.

local console = require "squarecloud.cli.console"
local failures = require "squarecloud.cli.failures"
local format = require "squarecloud.cli.format"
local key = require "squarecloud.cli.key"

local session = {}
local Session = { __name = "squarecloud.cli.Session" }
Session.__index = Session

local PROBLEMS_SHOWN = 20

-- Raised to end the command with a line and an exit code.
local Refusal = { __tostring = function(self) return self.message end }

-- The variables that stand for options which are not given.
local VARIABLES = { base_url = "SQUARECLOUD_BASE_URL",
  snapshots_url = "SQUARECLOUD_SNAPSHOTS_URL" }

-- Where each address comes from, as a message names it.
local function read_addresses(options)
  local sources = {}
  for name, variable in pairs(VARIABLES) do
    local value = os.getenv(variable)
    if not options[name] and value and value ~= "" then
      options[name], sources[name] = value, variable
    end
  end
  return sources
end

function session.new(options)
  session.current = setmetatable({ options = options,
    sources = read_addresses(options),
    console = console.new(options) }, Session)
  return session.current
end

-- An option of the library's by the name it was given under.
local function given_name(self, name)
  return self.sources[name] or "--" .. name:gsub("_", "-")
end

--- What an interruption now means to whoever reads its message; `what` is
-- "transfer" (bytes come; `again` goes on with them, nil: the same command),
-- "change" (something was sent that may be carried out), a function that gives
-- the message's end, or nil.
function Session:under_way(what, again)
  self.doing, self.again = what, again
end

--- Ends the command: wrong use unless another exit code is given.
function session.refuse(message, code)
  error(setmetatable({ message = message, code = code or 2 }, Refusal), 0)
end

--- Whether it is what lua.c raises at Ctrl-C.
function session.is_interruption(value)
  return type(value) == "string" and value:find "interrupted!$" ~= nil
end

function session.is_refusal(value) return getmetatable(value) == Refusal end

function Session.refuse(_, ...) session.refuse(...) end

---------------------------------------------------------------- the client

local function show_event(out, t)
  local words = { t.event, t.method or "", t.url or "" }
  if t.http_status then words[#words + 1] = "HTTP " .. t.http_status end
  if t.bytes then words[#words + 1] = t.bytes .. " bytes" end
  if t.seconds then words[#words + 1] = ("%.3f s"):format(t.seconds) end
  words[#words + 1] = t.detail or ""
  local line = table.concat(words, " "):gsub("%s+", " "):gsub("%s$", "")
  out:detail("%s", console.show(line))
end

-- What a trace function does: a wait that the platform's limits ask for is
-- told, once for all the requests that are in it; and while a change waits,
-- nothing is under way that might be carried out.
local function watch(self)
  local told_until = 0
  return function(t)
    local waits = t.event == "wait" or t.event == "retry"
    if t.method == "POST" and (waits or t.event == "request") then
      self.waits = waits
    end
    if waits and t.seconds >= 1 and t.detail:find "^rate_limited" then
      local now = os.time()
      if now + t.seconds > told_until + 1 then
        told_until = now + t.seconds
        self.console:aside("rate limited by the platform: waiting %s",
          format.seconds(t.seconds))
      end
    end
    if self.console.verbose then show_event(self.console, t) end
  end
end

local function client_options(self)
  local options = self.options
  local wanted = { api_key = self.api_key, base_url = options.base_url,
    snapshots_url = options.snapshots_url, account_id = options.account_id,
    retries = options.retries,
    concurrency = options.concurrency, segments = options.segments }
  if options.timeout then -- creating takes what it takes
    wanted.timeout, wanted.stall_timeout = options.timeout, options.timeout
    wanted.connect_timeout = math.min(options.timeout, 10)
  end
  local ca_file = os.getenv "SSL_CERT_FILE"
  if ca_file and ca_file ~= "" then wanted.ca_file = ca_file end
  wanted.trace = watch(self)
  return wanted
end

--- The client. Without a key the command ends here.
function Session:client()
  if self.made then return self.made end
  self.api_key, self.key_source = key.find(self.options.api_key_file)
  if not self.api_key then session.refuse(self.key_source, 4) end
  local square = require "squarecloud"
  local ok, made = pcall(square.Client, client_options(self))
  if session.is_interruption(made) then error(made, 0) end
  if not ok then
    session.refuse((tostring(made):gsub("^.-Client: ", "")
      :gsub("option '([%w_]+)'", function(name)
        return given_name(self, name)
      end)))
  end
  self.made = made
  return made
end

function Session:__close()
  if self.made then self.made:close() end
end

---------------------------------------------------------------- helpers

function Session:application_type()
  return self.options.database and "database" or "app"
end

--- Progress of transfers on stderr, or nil when none is wanted. To be closed.
-- Details are told above it meanwhile.
function Session:progress()
  local options = self.options
  if options.quiet or options.no_progress then return nil end
  local on_terminal = self.console:is_terminal(2)
    and os.getenv "TERM" ~= "dumb"
  self.console.bars = require("squarecloud.progress").new {
    stream = io.stderr, tty = on_terminal,
    color = self.console:has_colours(2) }
  return self.console.bars
end

--- Says what was left out of a list, and what that is an error like; nil when
-- nothing was.
function Session:problems(list, about)
  local problems = list.problems
  if not problems then return nil end
  for i = 1, math.min(#problems, PROBLEMS_SHOWN) do
    self.console:warn("%s%s", about and about .. ": " or "",
      console.show(problems[i]))
  end
  if #problems > PROBLEMS_SHOWN then
    self.console:warn("and %d more that cannot be read",
      #problems - PROBLEMS_SHOWN)
  end
  return { kind = "protocol" }
end

--- Says what failed and what to do next. More for the hint in `about`.
function Session:report(err, about)
  about = about or {}
  about.command, about.utc = self.options.command, self.options.utc
  about.key_source = self.key_source
  about.base_url = self.options.base_url and given_name(self, "base_url")
  if about.database == nil and about.id then
    about.database = self.options.database or false
  end
  if err.kind == "quota" then
    about.next_free_at = function()
      return require("squarecloud.cli.account").next_free_at(self:client())
    end
  end
  self.console:warn("%s", failures.line(err, about))
  return failures.code(err)
end

return session
