-- squaresnap whoami and quota: what the account's answer says, whatever is
-- missing in it.

local command = require "spec.support.command"
local server = require "spec.support.server"

describe("squaresnap", function()
  local s, app, now
  before_each(function()
    s = server.shared()
    app, now = s.apps[1], os.time()
  end)

  local function answer(response)
    s:fault { fault = "respond", match = { path = "/v2/users/me" },
      json = { status = "success", response = response } }
  end

  describe("whoami", function()
    it("shows whose key it is, and the ids", function()
      local result = command.run(s, { "whoami" })
      assert.equal(0, result.code)
      assert.matches("^account   " .. s.account_id .. "\n", result.out)
      assert.matches("\nkey from  SQUARE_API_KEY\n", result.out)
      for _, id in ipairs(s.apps) do
        assert.matches("\napp +" .. id .. " ", result.out)
      end
      for _, id in ipairs(s.databases) do
        assert.matches("\ndatabase +" .. id .. " ", result.out)
      end
    end)

    it("gives JSON", function()
      local result = command.run(s, { "--json", "whoami" })
      local who = result:json()
      assert.equal(s.account_id, who.account_id)
      assert.equal("tester@example.com", who.email)
      assert.equal(4096, who.memory_mb)
      assert.matches('"memory_mb":4096,', result.out, 1, true)
      assert.equal(#s.apps, #who.applications)
      assert.equal(app, who.applications[1].id)
      assert.equal("postgres", who.databases[1].type)
    end)

    it("does with what is there", function()
      answer { user = { id = "u", name = 7, plan = "odd" },
        applications = { {}, { id = "x" }, 5 } }
      local result = command.run(s, { "--json", "whoami" })
      assert.equal('{"account_id":"u","applications":[{"id":"x"}],'
        .. '"databases":[],"key_source":"SQUARE_API_KEY","workspaces":[]}\n',
        result.out)
      assert.equal(0, command.run(s, { "whoami" }).code)
    end)

    it("shows the workspaces' applications, with their owner", function()
      s:add_workspace { name = "ours", owner = "0a1b", applications = {
        { id = "theirs", name = "their bot" } } }
      local text = command.run(s, { "whoami" }).out
      assert.matches("\nWORKSPACE +OWNER +ID +NAME\nours +0a1b +theirs +"
        .. "their bot\n$", text)
      assert.same({ { name = "ours", owner = "0a1b", applications = {
        { id = "theirs", name = "their bot" } } } },
        command.run(s, { "--json", "whoami" }):json().workspaces)
    end)

    it("does without workspaces that the key may not see", function()
      s:fault { fault = "respond", match = { path = "/v2/workspaces" },
        status = 403, code = "MISSING_SCOPE" }
      local result = command.run(s, { "--json", "whoami" })
      assert.equal(0, result.code, result.err)
      assert.is_nil(result:json().workspaces)
    end)

    it("says when it could not ask for them: exit code 3", function()
      s:fault { fault = "respond", match = { path = "/v2/workspaces" },
        json = { status = "success", response = 5 } }
      local result = command.run(s, { "whoami" })
      assert.equal(3, result.code)
      assert.matches("^account   " .. s.account_id .. "\n", result.out)
      assert.matches("protocol: the answer is no list of workspaces",
        result.err)
    end)

    it("escapes what comes from outside", function()
      answer { user = { id = "u", name = "a\27[31mb" } }
      local text = command.run(s, { "whoami" }).out
      assert.matches("name +a\\x1b%[31mb\n", text)
    end)

    it("refuses an answer without an account", function()
      answer { applications = {} }
      local result = command.run(s, { "whoami" })
      assert.equal(1, result.code)
      assert.matches("protocol: [^\n]*no user id", result.err)
    end)
  end)

  describe("quota", function()
    local function plan(memory)
      answer { user = { id = s.account_id, plan = { name = "p",
        memory = { limit = memory } } } }
    end

    local function made(count, age)
      for i = 1, count do
        s:add_snapshot { app = app, bytes = "PK", modified = now - age + i,
          version_id = ("v%d-%d"):format(age, i) }
      end
    end

    it("counts from the plan's memory: 2048 MB are 16", function()
      plan(2048)
      made(3, 3600)
      made(2, 86400 + 3600)
      s:add_snapshot { database = s.databases[1], bytes = "PK",
        modified = now - 60 }
      local result = command.run(s, { "--json", "quota" })
      assert.equal('{"left":12,"limit":16,"memory_mb":2048,"plan":"p",'
        .. '"used":4}\n', result.out)
      local text = command.run(s, { "quota" }).out
      assert.equal("plan   p, 2048 MB\nlimit  16 in 24 hours\nmade   4\n"
        .. "left   12\n", text)
    end)

    it("tells when the next one frees up", function()
      plan(256)
      made(2, 3600)
      local result = command.run(s, { "--json", "quota" }):json()
      assert.equal(0, result.left)
      assert.equal(os.date("!%Y-%m-%dT%H:%M:%SZ", now - 3599 + 86400),
        result.next_free_at)
      assert.matches("\nnext at  " .. os.date("!%Y%%-%m%%-%d %H:%M",
        now - 3599 + 86400) .. "\n$", command.run(s, { "quota" }).out)
    end)

    it("works on a plan without the account's list", function()
      s:configure { plan = "free" }
      made(2, 60)
      assert.equal(2, command.run(s, { "--json", "quota" }):json().used)
    end)

    it("passes over what is no application there", function()
      s:configure { plan = "free" }
      made(2, 60)
      answer { user = { id = "u", plan = { memory = { limit = 2048 } } },
        applications = { {}, 5, { id = app } }, databases = "none" }
      local result = command.run(s, { "--json", "quota" })
      assert.equal(0, result.code, result.err)
      assert.equal(2, result:json().used)
    end)

    it("fails where the platform does not say the memory", function()
      answer { user = { id = "u" } }
      local result = command.run(s, { "quota" })
      assert.equal(1, result.code)
      assert.matches("does not report the plan's memory", result.err)
    end)
  end)
end)
