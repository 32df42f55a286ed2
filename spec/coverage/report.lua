--- What `make coverage` prints: of each file of csrc/ and lua/squarecloud/ how
-- many of its lines were run, and which were not; then the totals, which must
-- reach GOAL, and why lines were not run, where unreached.lua knows it.
--   lua5.4 spec/coverage/report.lua FOLDER   (that run.sh has filled)

local cjson = require("cjson").new()
local lfs = require "lfs"
local unreached = dofile "spec/coverage/unreached.lua"

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

-- The lines that were not run, as { first, last, count }: neighbours are those
-- with no line of code between them that was.
local function missed_ranges(lines)
  local all, found, current = {}, {}, nil
  for line in pairs(lines) do all[#all + 1] = line end
  table.sort(all)
  for _, line in ipairs(all) do
    if lines[line] then
      current = nil
    elseif current then
      current.last, current.count = line, current.count + 1
    else
      current = { first = line, last = line, count = 1 }
      found[#found + 1] = current
    end
  end
  return found, #all
end

-- Why a range was not run, or nil; words say nothing of a long one.
local function reason_of(path, range, texts)
  if range.count > 12 then return nil end
  local text = table.concat(texts, "\n", math.max(range.first - 1, 1),
    range.last)
  for _, one in ipairs(unreached) do
    if path:find(one.path) then
      for _, words in ipairs(one) do
        if text:find(words, 1, true) then return one.why end
      end
    end
  end
end

local function lines_in(path)
  local texts = {}
  for text in io.lines(path) do texts[#texts + 1] = text end
  return texts
end

local function report(name, files)
  local paths, all, missed, reasons = {}, 0, 0, {}
  for path in pairs(files) do paths[#paths + 1] = path end
  table.sort(paths)
  for _, path in ipairs(paths) do
    local found, count = missed_ranges(files[path])
    local texts, here, shown = lines_in(path), 0, {}
    for i, range in ipairs(found) do
      here = here + range.count
      local why = reason_of(path, range, texts) or "no reason"
      reasons[why] = (reasons[why] or 0) + range.count
      shown[i] = range.first == range.last and tostring(range.first)
        or range.first .. "-" .. range.last
    end
    all, missed = all + count, missed + here
    if count > 0 then
      print(("%6.1f %%  %s%s"):format(100 * (count - here) / count, path,
        #found > 0 and "  not run: " .. table.concat(shown, ", ") or ""))
    end
  end
  print(("%6.1f %%  all of %s: %d of %d lines"):format(
    100 * (all - missed) / all, name, all - missed, all))
  for why, count in pairs(reasons) do
    print(("  %5d not run: %s"):format(count, why))
  end
  print()
  return 100 * (all - missed) / all >= GOAL
end

local c = report("csrc", lines_of_c())
local lua = report("lua", lines_of_lua())
if not (c and lua) then
  print(("coverage: the goal is %d %% of the lines of each"):format(GOAL))
  os.exit(1)
end
