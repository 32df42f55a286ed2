--- The reference pages, doc/*.md, from the definitions (luacats.lua): those
-- in lua/squarecloud/library/ for what is in C, those in the Lua files
-- themselves for what is in Lua. Written anew by `make docs`:
--   lua5.4 spec/reference/pages.lua

local luacats = require "spec.reference.luacats"

local pages = { folder = "doc" }

local ROOT = "lua/squarecloud/"

-- Each page: its files; for a module in Lua its name, which says what of the
-- files' functions it gives away.
pages.LIST = {
  { name = "square", title = "The module", module = "squarecloud",
    about = 'What `require "squarecloud"` gives.',
    files = { "init.lua", "library/core.lua" } },
  { name = "client", title = "Client", files = { "library/client.lua" } },
  { name = "records", title = "Snapshots, listings, answers, handles",
    files = { "library/records.lua" } },
  { name = "zip_file", title = "ZipFile", files = { "library/zip_file.lua" } },
  { name = "task", title = "Task", files = { "library/task.lua" } },
  { name = "error", title = "Errors", files = { "library/error.lua" } },
  { name = "retention", title = "square.retention",
    module = "squarecloud.retention",
    about = "Which snapshots to keep and which may go, by restic's rules. "
      .. "Pure: no input or output, inputs never changed.",
    files = { "retention/init.lua", "retention/filters.lua",
      "retention/limits.lua" } },
  { name = "mirror", title = "square.mirror", module = "squarecloud.mirror",
    about = "A folder of verified snapshots that outlives the platform's 30 "
      .. "days.", files = { "mirror.lua" } },
  { name = "progress", title = "square.progress",
    module = "squarecloud.progress",
    about = "The bar that scripts and the command share.",
    files = { "progress.lua", "progress/text.lua" } },
}

-- What an object of a class is called in examples.
local OBJECTS = { ["squarecloud.SnapshotInfo"] = "info",
  ["squarecloud.ZipFile"] = "zip", ["squarecloud.progress.Bar"] = "bar" }

--- All definitions: luacats.read_all over the pages' files.
function pages.definitions()
  local paths = {}
  for _, page in ipairs(pages.LIST) do
    for _, file in ipairs(page.files) do
      paths[#paths + 1] = ROOT .. file
    end
  end
  return luacats.read_all(paths)
end

local function file_of(all, path)
  for _, file in ipairs(all.files) do
    if file.path == path then return file end
  end
end

--- A module's functions in Lua, as they are defined: { [name] = f }; those in C
-- (of squarecloud.core) by their names.
function pages.functions(all, page)
  local found = {}
  for name, value in pairs(require(page.module)) do
    local info = type(value) == "function" and debug.getinfo(value, "S")
    local path = info and info.source:match "lua/squarecloud/.*$"
      or ROOT .. "library/core.lua"
    local file = info and file_of(all, path)
    for _, item in ipairs(file and file.items or {}) do
      local f = item.f
      if f and (f.line == info.linedefined
        or info.what == "C" and f.owner == "core" and f.short == name) then
        found[name] = f
      end
    end
  end
  return found
end

--- The methods of a class that the definitions have: { [name] = f }.
function pages.methods(all, class)
  local found = {}
  for _, file in ipairs(all.files) do
    local is_owner = false
    for _, item in ipairs(file.items) do
      is_owner = is_owner or item.class == class
      local f = item.f
      if is_owner and f and f.is_method and f.owner == class.variable then
        found[f.short] = f
      end
    end
  end
  return found
end

---------------------------------------------------------------------- writing

local function flat(text) return (text:gsub("%s*\n%s*", " ")) end

local function cell(text) return (flat(text):gsub("|", "\\|")) end

local function code(text)
  return "`" .. flat(text):gsub("squarecloud%.", "") .. "`"
end

local function add(out, ...)
  for _, line in ipairs { ... } do out[#out + 1] = line end
end

local function add_table(out, heads, rows)
  add(out, "", "| " .. table.concat(heads, " | ") .. " |",
    "|" .. (" --- |"):rep(#heads))
  for _, row in ipairs(rows) do
    for i, text in ipairs(row) do row[i] = cell(text) end
    add(out, "| " .. table.concat(row, " | ") .. " |")
  end
  add(out, "")
end

local function type_of(entry)
  return code(entry.type .. (entry.optional and "?" or ""))
end

local function field_rows(fields)
  local rows = {}
  for i, field in ipairs(fields) do
    rows[i] = { "`" .. field.name .. "`", type_of(field), field.text }
  end
  return rows
end

-- A module's fields but for its functions, which have their own entries.
local function value_rows(fields)
  local values = {}
  for _, field in ipairs(fields) do
    if not field.type:find "^fun%(" then values[#values + 1] = field end
  end
  return field_rows(values)
end

local function add_function(out, f, prefix)
  add(out, "", ("### `%s%s(%s)`"):format(prefix, f.shown or f.short,
    table.concat(f.arguments, ", ")), "")
  if f.text ~= "" then add(out, flat(f.text)) end
  if #f.params > 0 then
    add_table(out, { "parameter", "type", "" }, field_rows(f.params))
  end
  if #f.returns > 0 then add(out, "", "Returns", "") end
  for i, one in ipairs(f.returns) do
    add(out, ("%d. %s %s"):format(i, type_of(one), flat(
      (one.name and "**" .. one.name .. "** " or "") .. one.text)))
  end
end

local function object_of(class)
  return OBJECTS[class.name] or class.name:match "[^.]*$":lower()
end

local function add_class(out, class)
  add(out, "", "## " .. class.name:gsub("^squarecloud%.", ""), "")
  if class.text ~= "" then add(out, flat(class.text), "") end
  for _, parent in ipairs(class.parents) do
    add(out, "What " .. code(parent) .. " has, and:", "")
  end
  for _, overload in ipairs(class.overloads) do
    add(out, "Called as " .. code(overload), "")
  end
  if #class.fields > 0 then
    add_table(out, { "field", "type", "" }, field_rows(class.fields))
  end
  for _, operator in ipairs(class.operators) do
    add(out, ("Operator `%s` gives %s %s"):format(operator.name,
      type_of(operator), flat(operator.text)), "")
  end
end

local function add_alias(out, alias)
  add(out, "", "## " .. alias.name:gsub("^squarecloud%.", ""), "")
  if alias.text ~= "" then add(out, flat(alias.text), "") end
  for _, choice in ipairs(alias.choices) do
    add(out, ("* %s %s"):format(code(choice.type), flat(choice.text or "")))
  end
end

local function sorted_names(t)
  local names = {}
  for name in pairs(t) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- Functions and classes in their files' order; methods behind their class.
local function add_items(out, all, page)
  local owners = {}
  for _, path in ipairs(page.files) do
    for _, item in ipairs(file_of(all, ROOT .. path).items) do
      if item.class and item.class.name == page.module then
        if #item.class.fields > 0 then
          add_table(out, { "field", "type", "" },
            value_rows(item.class.fields))
        end
      elseif item.class then
        add_class(out, item.class)
        owners[path .. (item.class.variable or "")] = item.class
      elseif item.alias then
        add_alias(out, item.alias)
      elseif item.value then
        add(out, "", "### `square." .. item.value.short .. "`", "",
          type_of(item.value) .. " " .. flat(item.value.text))
      elseif item.f.is_method and owners[path .. item.f.owner] then
        add_function(out, item.f,
          object_of(owners[path .. item.f.owner]) .. ":")
      end
    end
  end
end

--- A page's text.
function pages.text(all, page)
  local out = { "<!-- made by `make docs`; not to be edited -->", "",
    "# " .. page.title }
  if page.about then add(out, "", page.about) end
  if page.module then
    local functions = pages.functions(all, page)
    for _, name in ipairs(sorted_names(functions)) do
      functions[name].shown = name
      add_function(out, functions[name],
        page.module == "squarecloud" and "square." or page.title .. ".")
    end
  end
  add_items(out, all, page)
  return (table.concat(out, "\n"):gsub("\n\n\n+", "\n\n"):gsub(" +\n", "\n")
    .. "\n")
end

if arg and arg[0] and arg[0]:find "pages%.lua$" then
  local all = pages.definitions()
  for _, problem in ipairs(all.problems) do io.stderr:write(problem, "\n") end
  if #all.problems > 0 then os.exit(1) end
  for _, page in ipairs(pages.LIST) do
    local path = ("%s/%s.md"):format(pages.folder, page.name)
    local file <close> = assert(io.open(path, "w"))
    assert(file:write(pages.text(all, page)))
  end
end

return pages
