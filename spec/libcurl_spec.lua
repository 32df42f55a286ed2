--- The oldest libcurl promised, 7.74: that nothing newer is asked of it, nor
-- anything newer than what a gate (#if LIBCURL_VERSION_NUM >= …) promises.
-- There is no old libcurl to build with, so the C files are preprocessed as
-- for an old one, and what is left is looked up in data/libcurl.txt: a line
-- "<name> <version that brought it>" for each name of libcurl's that they use.
-- (`make builds` compiles and runs the module so, too.)

local host = require "spec.support.host"
local helpers = require "spec.support.helpers"
local lists = require "spec.support.rockspec"

local OLDEST = 0x074a00

local function number_of(version)
  local major, minor, patch = version:match "^(%d+)%.(%d+)%.?(%d*)$"
  return tonumber(major) << 16 | tonumber(minor) << 8 | (tonumber(patch) or 0)
end

local since = {}
for name, version in helpers.read_file "spec/data/libcurl.txt"
  :gmatch "(%S+) (%S+)\n" do
  since[name] = number_of(version)
end

-- Names of libcurl's that are no constant or function: types, struct tags, and
-- what the headers themselves say of their version.
local NO_SYMBOL = { curl_off_t = true, curl_slist = true, curl_sockaddr = true,
  curl_socket_t = true, curl_version_info_data = true, curl_code = true }

-- Our own lines of a C file, as the preprocessor leaves them for a version,
-- without comments and strings.
local function left_of(path, version)
  local out = host.must(("gcc -std=c11 -E -fdirectives-only "
    .. "-DOLD_LIBCURL=%d -include spec/builds/libcurl.h "
    .. "$(pkg-config --cflags lua5.4 libcurl libzip) %s"):format(version,
    path))
  local lines, is_ours = {}, false
  for line in out:gmatch "[^\n]*" do
    local file = line:match '^# %d+ "([^"]*)"'
    if file then
      is_ours = file:find "^csrc/" ~= nil
    elseif is_ours then
      lines[#lines + 1] = line
    end
  end
  return (table.concat(lines, "\n"):gsub("/%*.-%*/", " ")
    :gsub("\\.", ""):gsub('"[^"\n]*"', '""'))
end

local function names_in(text)
  local found = {}
  for name in text:gmatch "%f[%w_][%w_]+" do
    if name:find "^curl_%l" or name:find "^CURL%u*_" then found[name] = true end
  end
  return found
end

local function sources()
  local list = {}
  for _, path in ipairs(lists.sources()) do
    local text = helpers.read_file(path)
    if text:find "<curl/" or text:find "transfer_private.h" then
      list[#list + 1] = path
    end
  end
  return list
end

-- The versions that the C files tell apart.
local function gates()
  local found = { [OLDEST] = true }
  for _, path in ipairs(lists.sources()) do
    for digits in helpers.read_file(path)
      :gmatch "LIBCURL_VERSION_NUM%s*>=%s*0x(%x+)" do
      found[tonumber(digits, 16)] = true
    end
  end
  return found
end

describe("libcurl", function()
  for version in pairs(gates()) do
    it(("at 0x%06x is asked for nothing newer"):format(version), function()
      local count = 0
      for _, path in ipairs(sources()) do
        for name in pairs(names_in(left_of(path, version))) do
          if not NO_SYMBOL[name] then
            assert.message(name .. " is not in spec/data/libcurl.txt")
              .is_not_nil(since[name])
            assert.message(path .. " uses " .. name)
              .is_true(since[name] <= version)
            count = count + 1
          end
        end
      end
      assert.is_true(count > 60)
    end)
  end

  it("older than 7.74 is refused when compiling", function()
    local _, err, code = host.run(("gcc -std=c11 -fsyntax-only "
      .. "-DOLD_LIBCURL=%d -include spec/builds/libcurl.h "
      .. "csrc/engine/transfer.c"):format(OLDEST - 1))
    assert.not_equal(0, code)
    assert.matches("libcurl 7.74 or newer is needed", err, 1, true)
  end)

  it("is told of as its own documentation does, where that is here", function()
    local text = host.must [[
      for page in /usr/share/man/man3/libcurl-symbols.3.gz; do
        [ ! -e "$page" ] || zcat "$page"
      done]]
    if text == "" then return pending "libcurl-symbols(3) is not installed" end
    local count = 0
    for name, version in text:gmatch "%.IP (%S+)\nIntroduced in (%S+)" do
      if since[name] then
        assert.message(name).equal(number_of(version), since[name])
        count = count + 1
      end
    end
    assert.is_true(count > 60, count)
  end)
end)
