--- csrc/README.md, the page for whoever changes the C: that what it names is
-- there, that an endpoint is added as it says, that make has what it tells of.

local helpers = require "spec.support.helpers"
local host = require "spec.support.host"
local quote = require "spec.support.quote"
local server = require "spec.support.server"
local lfs = require "lfs"

local page = helpers.read_file "csrc/README.md"

local function is_there(path)
  return lfs.attributes(path) ~= nil
end

describe("csrc/README.md", function()
  it("names files that are there", function()
    local count = 0
    for path in page:gmatch "%f[%w_/]([%w_/]+%.[chl]u?a?)%f[^%w_.]" do
      assert.is_true(is_there(path) or is_there("csrc/" .. path)
        or is_there("csrc/engine/" .. path) or is_there("csrc/base/" .. path),
        path)
      count = count + 1
    end
    assert.is_true(count > 50)
  end)

  it("names functions and tables that are there", function()
    local texts = host.must "cat csrc/*.[ch] csrc/*/*.[ch]"
    local count = 0
    for name in page:gmatch "`([%l_]+)`" do
      if name:find "^sq_" or name == "known" or name == "fields"
        or name == "read_profile" or name == "endpoints" then
        assert.is_truthy(texts:find("%f[%w_]" .. name .. "%f[^%w_]"), name)
        count = count + 1
      end
    end
    assert.is_true(count >= 5)
  end)

  it("tells of rules that the Makefile has", function()
    local text = helpers.read_file "Makefile"
    for name in page:gmatch "make ([%l]+)" do
      assert.is_truthy(text:find("\n" .. name .. ":"), name)
    end
  end)

  it("has an entry that makes an endpoint, with nothing else touched",
    function()
      local s = server.shared()
      local dir <close> = helpers.tmpdir()
      local entry = page:match "```c\n(.-)```"
      host.must("cp -R csrc " .. quote.shell(dir .. "/csrc"))
      local path = dir .. "/csrc/endpoints.c"
      local text, count = helpers.read_file(path):gsub(
        "(static const struct endpoint endpoints%[%] = {\n)", function(head)
          return head .. entry
        end)
      assert.equal(1, count)
      helpers.write_file(path, text)
      host.must(([[mkdir %s/squarecloud && cd %s && cc -std=c11 -O0 -shared \
        -fPIC $(pkg-config --cflags lua5.4) -Wall -Wextra -Werror \
        -o squarecloud/core.so csrc/*.c csrc/*/*.c -lcurl -lzip -lpthread -ldl
      ]]):format(dir, dir))
      helpers.write_file(dir .. "/script.lua", [[
        local key, base_url, ca_file, app, database = ...
        local square = require "squarecloud"
        local client <close> = square.Client { api_key = key,
          base_url = base_url, ca_file = ca_file, proxy = "" }
        print(assert(client:status(app)).response.running)
        print(assert(client:status { app_id = database,
          application_type = "database" }).status)
        print(select(2, client:status "nobody").kind)
        print(pcall(client.status, client, { id = app }))
      ]])
      local words = { "lua5.4", dir .. "/script.lua", s.key, s.base_url,
        s.ca_file, s.apps[1], s.databases[1] }
      for i, word in ipairs(words) do words[i] = quote.shell(word) end
      local out, err = host.run(table.concat(words, " "), {
        LUA_PATH = package.path, LUA_CPATH = dir .. "/?.so;;" })
      assert.matches("^true\nsuccess\nnot_found\nfalse\t[^\n]*status: unknown "
        .. "option 'id' %(known: app_id, application_type%)\n$", out, err)
    end)
end)
