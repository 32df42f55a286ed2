-- squaresnap whoami

local account = require "squarecloud.cli.account"
local console = require "squarecloud.cli.console"
local format = require "squarecloud.cli.format"
local json = require "squarecloud.cli.json"

local PARTLY = 3

local function print_facts(out, who, key_source)
  local rows = {}
  local function add(name, value)
    if value then rows[#rows + 1] = { name, console.show(value) } end
  end
  add("account", who.account_id)
  add("name", who.name)
  add("email", who.email)
  add("plan", who.plan)
  add("memory", who.memory_mb and format.memory(who.memory_mb))
  add("key from", key_source)
  for _, line in ipairs(format.columns(rows)) do out:write(line .. "\n") end
end

local function print_resources(out, who)
  local rows = { { "TYPE", "ID", "NAME", "RAM" } }
  local function add(list, kind)
    for _, one in ipairs(list) do
      rows[#rows + 1] = { kind, console.show(one.id),
        console.show(one.name or "-"),
        one.ram and format.memory(one.ram) or "-" }
    end
  end
  add(who.applications, "app")
  add(who.databases, "database")
  if #rows == 1 then return end
  local lines = format.columns(rows, { [4] = true })
  lines[1] = out:paint("bold", lines[1])
  out:write("\n" .. table.concat(lines, "\n") .. "\n")
end

-- Other people's applications, which the key may manage.
local function print_workspaces(out, list)
  local rows = { { "WORKSPACE", "OWNER", "ID", "NAME" } }
  for _, one in ipairs(list or {}) do
    for _, app in ipairs(one.applications) do
      rows[#rows + 1] = { console.show(one.name or "-"),
        console.show(one.owner), console.show(app.id),
        console.show(app.name or "-") }
    end
  end
  if #rows == 1 then return end
  local lines = format.columns(rows)
  lines[1] = out:paint("bold", lines[1])
  out:write("\n" .. table.concat(lines, "\n") .. "\n")
end

return function(session)
  local out = session.console
  local who, err = account.read(session:client())
  if not who then return session:report(err) end
  local workspaces, why = account.workspaces(session:client())
  if out.json then
    who.key_source, who.workspaces = session.key_source, workspaces
    json.array(who.applications)
    json.array(who.databases)
    if workspaces then json.array(workspaces) end
    for _, one in ipairs(workspaces or {}) do json.array(one.applications) end
    out:document(who)
  else
    print_facts(out, who, session.key_source)
    print_resources(out, who)
    print_workspaces(out, workspaces)
  end
  if not why then return 0 end
  session:report(why)
  return PARTLY
end
