--- What `make coverage` prints: of each file of csrc/ and lua/squarecloud/ how
-- many of its lines were run, and which were not; then the totals, which must
-- reach GOAL. Lines that specs cannot reach are marked in known.lua.
--   lua5.4 spec/coverage/report.lua FOLDER   (that run.sh has filled)

local cjson = require("cjson").new()
local lfs = require "lfs"

local GOAL = 95 -- per cent of the lines of each language

local dir = assert(arg[1], "which folder?")

local function read(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  assert(pipe:close(), command)
  return text
end

local function find(root, pattern)
  local list = {}
  for path in read(("find %s -name '%s' | sort"):format(root, pattern))
    :gmatch "[^\n]+" do
    list[#list + 1] = path
  end
  return list
end

-- { [path] = { [line] = was it run } }
local function lines_of_c()
  local files = {}
  for _, note in ipairs(find(dir .. "/csrc", "*.gcno")) do
    local data = note:gsub("gcno$", "gcda")
    local name = lfs.attributes(data) and data or note
    local text = read(("gcov --json-format --stdout '%s' 2>/dev/null")
      :format(name))
    for _, file in ipairs(cjson.decode(text).files) do
      if file.file:find "^csrc/" then
        local lines = files[file.file] or {}
        files[file.file] = lines
        for _, one in ipairs(file.lines) do
          local line = math.tointeger(one.line_number)
          lines[line] = lines[line] or one.count > 0
        end
      end
    end
  end
  return files
end

-- Lines whose instructions are no statement of their own: the end of a block.
local function is_closing(text)
  return text:find "^%s*[%]%)}]*[,;]?%s*$" or text:find "^%s*end[%s%),;}]*$"
    or text:find "^%s*else%s*$"
end

local function lines_of_lua()
  local files = {}
  for _, path in ipairs(find("lua/squarecloud", "*.lua")) do
    local texts, lines = {}, {}
    for text in io.lines(path) do texts[#texts + 1] = text end
    if not texts[1]:find "^%-%-%-@meta" then
      for line, code in read("luac5.4 -l -p " .. path)
        :gmatch "\t%[(%d+)%]\t(%S+)" do
        line = math.tointeger(line)
        if code ~= "VARARGPREP" and texts[line]
          and not is_closing(texts[line]) then
          lines[line] = false
        end
      end
      files[path] = lines
    end
  end
  for _, notes in ipairs(find(dir, "lines.[0-9]*")) do
    for note in io.lines(notes) do
      local line, path = note:match "^(%d+) (.*)$"
      line = math.tointeger(line)
      if files[path] and files[path][line] == false then
        files[path][line] = true
      end
    end
  end
  return files
end

-- "3, 7-9": neighbours by the order of lines that hold code.
local function ranges(numbers, lines)
  local all, texts, first, last = {}, {}, nil, nil
  for line in pairs(lines) do all[#all + 1] = line end
  table.sort(all)
  local is_missed = {}
  for _, line in ipairs(numbers) do is_missed[line] = true end
  local function close()
    if first then
      texts[#texts + 1] = first == last and tostring(first)
        or first .. "-" .. last
    end
    first = nil
  end
  for _, line in ipairs(all) do
    if is_missed[line] then
      first, last = first or line, line
    else
      close()
    end
  end
  close()
  return table.concat(texts, ", ")
end

local function report(name, files)
  local paths, all, run = {}, 0, 0
  for path in pairs(files) do paths[#paths + 1] = path end
  table.sort(paths)
  for _, path in ipairs(paths) do
    local missed, count = {}, 0
    for line, was_run in pairs(files[path]) do
      count = count + 1
      if not was_run then missed[#missed + 1] = line end
    end
    all, run = all + count, run + count - #missed
    if count > 0 then
      print(("%6.1f %%  %s%s"):format(100 * (count - #missed) / count, path,
        #missed > 0 and "  not run: " .. ranges(missed, files[path]) or ""))
    end
  end
  print(("%6.1f %%  all of %s: %d of %d lines\n"):format(100 * run / all, name,
    run, all))
  return 100 * run / all >= GOAL
end

local c = report("csrc", lines_of_c())
local lua = report("lua", lines_of_lua())
if not (c and lua) then
  print(("coverage: the goal is %d %% of the lines of each"):format(GOAL))
  os.exit(1)
end
