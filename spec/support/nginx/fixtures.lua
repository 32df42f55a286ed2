-- luacheck: std ngx_lua
--- What the account of the test server holds at the start: applications and
-- databases with their files. Text, bytes that do not compress, nested and
-- empty folders, names in UTF-8. The same in every run.

-- Bytes without pattern, from a generator of our own: the same everywhere.
local function noise(count, seed)
  local parts = {}
  for i = 1, count do
    seed = (seed * 16807) % 2147483647
    parts[i] = string.char(math.floor(seed / 65536) % 256)
  end
  return table.concat(parts)
end

local fixtures = { name = "tester", email = "tester@example.com" }

fixtures.applications = {
  {
    id = "1d2cdc0d6ebd435c91315c6329d12eab", name = "melody-bot", ram = 512,
    files = {
      ["main.lua"] = 'print "hello"\n',
      ["squarecloud.app"] =
        "DISPLAY_NAME=melody-bot\nMAIN=main.lua\nMEMORY=512\n",
      ["data/players.json"] = '{"players":[{"name":"Ana","level":7}]}\n',
      ["data/deep/er/still/note.txt"] = ("a line of a note\n"):rep(500),
      ["data/avatar.bin"] = noise(30000, 7),
      ["logs/"] = true,
      ["configuração/maçã 🍎.txt"] = "olá, mundo\n",
    },
  },
  {
    id = "7f0a2b4c9d8e4f61a3b5c7d9e1f20a34", name = "web-site", ram = 256,
    files = {
      ["index.html"] = "<!doctype html><title>site</title>\n",
      ["static/logo.bin"] = noise(4096, 11),
      ["empty.txt"] = "",
    },
  },
  {
    id = "c0ffee00c0ffee00c0ffee00c0ffee00", name = "tiny", ram = 256,
    files = { ["a.txt"] = "a\n" },
  },
}

fixtures.databases = {
  {
    id = "5b1e0f2a6c7d48e9b0a1c2d3e4f50617", name = "main-db", ram = 1024,
    type = "postgres", suffix = true,
    files = {
      ["dump.sql"] = ("INSERT INTO t VALUES (1, 'x');\n"):rep(300),
      ["base/1/1259"] = noise(8192, 23),
    },
  },
  {
    id = "9a8b7c6d5e4f40312112131415161718", name = "cache", ram = 256,
    type = "redis",
    files = { ["dump.rdb"] = noise(2048, 31) },
  },
}

return fixtures
