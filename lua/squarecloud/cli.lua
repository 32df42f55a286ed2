-- The command squaresnap: from arguments to an exit code. What it says is
-- cli/console.lua's; each command is a file of its own under cli/, loaded when
-- it is called.
--
-- Exit codes: 0 done; 1 failed; 2 wrong usage; 3 some of several failed; 4 not
-- authenticated or not permitted; 5 not found; 6 daily quota; 7 rate limited;
-- 8 integrity or expired address; 130 interrupted.

local cli = {}

local INTERRUPTED = 130

local AFTERWARDS = {
  transfer = "; what was downloaded is kept: run %s to resume",
  change = "; the request may still be carried out: check with "
    .. "`squaresnap list` before you run it again",
}

-- The word that says the command in arguments that could not be read.
local function called_command(main, arguments)
  for _, word in ipairs(arguments) do
    for _, command in ipairs(main._commands) do
      if command._name == word then return " " .. word end
    end
  end
  return ""
end

-- Where stdin, stdout or stderr was closed from the start, the next file or
-- socket would get its number, and what is said there would go into that.
local function hold_standard_streams()
  cli._held = {}
  for number = 0, 2 do cli._held[number] = io.open("/dev/null", "r") end
end

-- Options and nil; or nil and what to print at once; or a refusal is raised.
local function parse(arguments)
  local session = require "squarecloud.cli.session"
  local parser = require "squarecloud.cli.parser"
  local asked, about
  local main = parser.new(function(what, of)
    asked, about = what, of
    error(what, 0)
  end)
  local ok, fine, result = pcall(main.pparse, main,
    parser.join(main, arguments))
  if asked == "version" then
    return nil, "squaresnap " .. require("squarecloud").version .. "\n"
  elseif asked == "help" then
    return nil, about:get_help() .. "\n"
  elseif not ok then
    error(fine, 0)
  elseif not fine then
    session.refuse(("%s (see `squaresnap%s --help`)"):format(
      result:gsub("\n", ". "),
      called_command(main, arguments)))
  end
  return result
end

local function run(arguments)
  local session = require "squarecloud.cli.session"
  local options, text = parse(arguments)
  if not options then
    local out = session.new({}).console
    out:write(text)
    out:flush()
    return 0
  end
  local current <close> = session.new(options)
  local code = require("squarecloud.cli." .. options.command)(current)
  current.console:flush()
  return code
end

local function add_traceback(err)
  local session = require "squarecloud.cli.session"
  if type(err) ~= "string" or session.is_interruption(err) then return err end
  return { message = err, traceback = debug.traceback(nil, 2) }
end

-- The exit code of what ended a command before its end.
local function explain(err)
  local function say(...)
    io.stdout:flush()
    io.stderr:write("squaresnap: ", ...)
    io.stderr:write "\n"
  end
  local session = require "squarecloud.cli.session"
  if session.is_interruption(err) then
    local current = session.current
    local doing = current and current.doing
    if current and current.waits and doing == "change" then doing = nil end
    local afterwards = type(doing) == "function" and doing()
      or (AFTERWARDS[doing] or ""):gsub("%%s", function()
        return current.again or "the same command again"
      end)
    say("interrupted", afterwards)
    return INTERRUPTED
  elseif getmetatable(err) and err.broken ~= nil then
    if err.broken then say("cannot write: ", err.broken) end
    return 1
  elseif session.is_refusal(err) then
    say(require("squarecloud.cli.console").show(err.message))
    return err.code
  end
  local message = type(err) == "table" and err.message or tostring(err)
  local missing = require("squarecloud.cli.missing").line(message)
  if missing then
    say(require("squarecloud.cli.console").show(missing))
  else
    say("this is a bug: ", message, "\n",
      type(err) == "table" and err.traceback or "")
  end
  return 1
end

--- Runs the command.
-- @param arguments its words, without the command's own name
-- @return its exit code; nothing is raised
function cli.main(arguments)
  hold_standard_streams()
  local ok, result = xpcall(run, add_traceback, arguments)
  if ok then return result end
  return explain(result)
end

return cli
