--- The C files' layers, read from their #include lines: base knows nobody, the
-- engine knows base, the Lua side knows the engine's public header; libcurl,
-- libzip and Lua are each met in one place only.

local lfs = require "lfs"
local helpers = require "spec.support.helpers"

local ROOT = "csrc"

-- What each folder may include of ours.
local LAYERS = {
  base = { "base" },
  engine = { "base", "engine" },
  [""] = { "base", "engine", "" },
}

-- Who may include a library's headers, as patterns of paths.
local LIBRARIES = {
  { "^curl/", { "^engine/transfer[%w_]*%.[ch]$", "^engine/wire%.c$",
    "^engine/address%.c$" } },
  { "^zip%.h$", { "^engine/zip[%w_]*%.[ch]$", "^engine/address%.c$" } },
  { "^zipconf%.h$", {} },
  { "^lua.*%.h", { "^[%w_]+%.[ch]$" } },
  { "^lauxlib%.h", { "^[%w_]+%.[ch]$" } },
}

-- Who may call them: a prefix of names, outside of comments and strings.
local CALLS = {
  { "curl_[%l]", LIBRARIES[1][2] },
  { "CURL[%u]*_", LIBRARIES[1][2] },
  { "zip_[%l]", LIBRARIES[2][2] },
  { "lua_[%l]", LIBRARIES[4][2] },
  { "luaL_[%l]", LIBRARIES[4][2] },
}

local function find_files(folder, found)
  for name in lfs.dir(ROOT .. "/" .. folder) do
    local path = folder == "" and name or folder .. "/" .. name
    if name ~= "." and name ~= ".." then
      if lfs.attributes(ROOT .. "/" .. path, "mode") == "directory" then
        find_files(path, found)
      elseif name:find "%.[ch]$" then
        found[#found + 1] = path
      end
    end
  end
  return found
end

-- "engine/../base/url.h" is "base/url.h".
local function resolve(folder, name)
  local path = folder == "" and name or folder .. "/" .. name
  local count
  repeat path, count = path:gsub("[^/]+/%.%./", "", 1) until count == 0
  return path
end

local function folder_of(path)
  return path:match "^(.*)/[^/]*$" or ""
end

local function is_among(path, patterns)
  for _, pattern in ipairs(patterns) do
    if path:find(pattern) then return true end
  end
  return false
end

-- Source without comments, strings and characters.
local function bare(text)
  return (text:gsub("\\.", ""):gsub("/%*.-%*/", " "):gsub("//[^\n]*", "")
    :gsub('"[^"\n]*"', '""'):gsub("'[^'\n]*'", "' '"))
end

describe("the C files", function()
  local files = find_files("", {})
  table.sort(files)
  local texts, ours, systems = {}, {}, {}
  for _, path in ipairs(files) do
    local text = helpers.read_file(ROOT .. "/" .. path)
    texts[path], ours[path], systems[path] = text, {}, {}
    for mark, name in text:gmatch '#%s*include%s*([<"])([^>"]+)[>"]' do
      if mark == "<" then
        table.insert(systems[path], name)
      else
        table.insert(ours[path], resolve(folder_of(path), name))
      end
    end
  end

  it("are found, in the three folders there are", function()
    local folders = {}
    for _, path in ipairs(files) do folders[folder_of(path)] = true end
    assert.same({ [""] = true, base = true, engine = true }, folders)
    assert.is_true(#files > 50)
  end)

  it("include only files that are there", function()
    for path, list in pairs(ours) do
      for _, name in ipairs(list) do
        assert.is_not_nil(texts[name], path .. " includes " .. name)
      end
    end
  end)

  it("include only downward", function()
    for path, list in pairs(ours) do
      local allowed = LAYERS[folder_of(path)]
      for _, name in ipairs(list) do
        local fine = name == "config.h"
        for _, folder in ipairs(allowed) do
          fine = fine or folder_of(name) == folder
        end
        assert.is_true(fine, path .. " includes " .. name)
      end
    end
  end)

  it("outside the engine see only its public header", function()
    local public = { ["engine/engine.h"] = true }
    for _, name in ipairs(ours["engine/engine.h"]) do public[name] = true end
    for path, list in pairs(ours) do
      for _, name in ipairs(folder_of(path) == "" and list or {}) do
        if folder_of(name) == "engine" then
          assert.is_true(public[name], path .. " includes " .. name)
        end
      end
    end
  end)

  it("include no circle of headers", function()
    local state = {}
    local function walk(path)
      assert.not_equal("open", state[path], path)
      if state[path] then return end
      state[path] = "open"
      for _, name in ipairs(ours[path]) do walk(name) end
      state[path] = "done"
    end
    for _, path in ipairs(files) do walk(path) end
  end)

  it("include a library's headers only where it is called", function()
    for path, list in pairs(systems) do
      for _, name in ipairs(list) do
        for _, library in ipairs(LIBRARIES) do
          if name:find(library[1]) then
            assert.is_true(is_among(path, library[2]),
              path .. " includes <" .. name .. ">")
          end
        end
      end
    end
  end)

  it("call a library only there", function()
    for _, path in ipairs(files) do
      local text = bare(texts[path])
      for _, call in ipairs(CALLS) do
        local found = text:match("%f[%w_]" .. call[1] .. "[%w_]*%s*%(")
        assert.is_true(not found or is_among(path, call[2]),
          path .. " calls " .. tostring(found))
      end
    end
  end)

  it("see config.h before any system header", function()
    for _, path in ipairs(files) do
      local mark = texts[path]:match '#%s*include%s*([<"])'
      assert.is_true(path == "config.h" or mark == '"', path)
    end
  end)

  it("open with what they are for", function()
    for _, path in ipairs(files) do
      local name = path:match "[^/]+$":gsub("%p", "%%%0")
      assert.is_not_nil(texts[path]:find("^/%*\n %* " .. name .. " %- %S"),
        path)
    end
  end)

  it("hide what their headers declare", function()
    for _, path in ipairs(files) do
      if path:find "%.h$" then
        assert.is_not_nil(texts[path]:find "SQ_HIDDEN_BEGIN\n.*SQ_HIDDEN_END",
          path)
      end
    end
  end)
end)
