--- The account that `make try` shows: what a small business in Brazil might
-- run. Each application and database with its files, what a day changes in
-- them, and the nights in which the platform made a snapshot. The same in
-- every run. Owns nothing: it writes through the function that it is given.

local CONFIG = "DISPLAY_NAME=%s\nMAIN=%s\nMEMORY=%d\nVERSION=recommended\n"
local KIB = 1024

--------------------------------------------------------------- what to write

local WORDS = { "pedido", "cliente", "produto", "fila", "musica", "servidor",
  "canal", "usuario", "sessao", "mensagem", "carrinho", "estoque", "imagem",
  "pagina", "horario", "preco", "entrega", "cupom", "painel", "relatorio" }
local VERBS = { "buscar", "salvar", "listar", "remover", "enviar", "validar" }

local function any(list) return list[math.random(#list)] end

-- Bytes without a pattern, cut from one block of them.
local block
local function noise(size)
  if not block then
    local parts = {}
    for i = 1, 1 << 15 do parts[i] = string.pack("j", math.random(0)) end
    block = table.concat(parts)
  end
  local parts = {}
  while size > 0 do
    local from = math.random(#block)
    parts[#parts + 1] = block:sub(from, from + size - 1)
    size = size - #parts[#parts]
  end
  return table.concat(parts)
end

local function javascript(functions)
  local parts = { "'use strict';\n" }
  for i = 1, functions do
    local verb, word = any(VERBS), any(WORDS)
    parts[#parts + 1] = ("\nasync function %s_%s_%d(db, %s) {\n"
      .. "  if (!%s.id) throw new Error('%s sem id: %x');\n"
      .. "  return db.%s('%s', %s.id, { limite: %d });\n}\n"):format(verb, word,
      i, word, word, word, math.random(0xffff), verb, any(WORDS), word,
      math.random(500))
  end
  return table.concat(parts)
end

local function package_json(name, modules)
  local lines = {}
  for i, module in ipairs(modules) do
    lines[i] = ('    "%s": "^%d.%d.0"'):format(module, #module % 9 + 1, i)
  end
  return ('{\n  "name": "%s",\n  "version": "1.4.0",\n  "main": "index.js",\n'
    .. '  "dependencies": {\n%s\n  }\n}\n'):format(name,
    table.concat(lines, ",\n"))
end

local function node_project(write, app, modules)
  write("squarecloud.app", CONFIG:format(app.name, "index.js", app.ram))
  write("package.json", package_json(app.name, modules))
  write("index.js", javascript(12))
  for _, module in ipairs(modules) do
    local folder = "node_modules/" .. module
    write(folder .. "/package.json", package_json(module, {}))
    write(folder .. "/index.js", javascript(40))
  end
end

-- Looks like SQLite's: its header, then pages of which half are not in use.
local function sqlite(pages)
  local parts = { "SQLite format 3\0\16\0\1\1\0\64\32\32" .. ("\0"):rep(4072) }
  for i = 2, pages do
    parts[i] = "\13\0\0" .. noise(1021) .. ("\0"):rep(3072)
  end
  return table.concat(parts)
end

local function image(size) return "\255\216\255\224" .. noise(size - 4) end

local function date(time) return os.date("%Y-%m-%d", time) end

-------------------------------------------------------------------- the account

local account = { name = "Ana Souza", email = "ana@exemplo.com.br" }

-- id, name, ram, type; `first(self, write)` writes the files as they were 30
-- days ago, `daily(write, day, time)` what the day before a night changes, day
-- 0 being the one before last night; `has(day)`: whether the platform made a
-- snapshot in that night (always), at `minute` past three.

account.applications = {
  {
    id = "8f3c1e0b5a7d4926b1c0d9e8f7a65432", name = "bot-musica", ram = 512,
    minute = 2,
    first = function(self, write)
      node_project(write, self, { "discord.js", "undici", "ws", "play-dl",
        "better-sqlite3", "dotenv" })
      for _, name in ipairs { "tocar", "pular", "fila", "pausar", "letra" } do
        write("src/comandos/" .. name .. ".js", javascript(8))
      end
      write("src/configuração.json", '{ "prefixo": "!", "volume": 80 }\n')
    end,
    daily = function(write, day, time)
      write("dados/bot.sqlite", sqlite(60 - day))
      write("dados/filas.json", ('{"dia":"%s","tocadas":%d}\n'):format(
        date(time), math.random(40, 400)))
      write("logs/" .. date(time) .. ".log", ("[%s] tocando %s\n"):format(
        date(time), any(WORDS)):rep(math.random(20, 200)))
    end,
  },
  {
    id = "2b9d7c4e6f1a48038e5d0c7b9a163f28", name = "loja-api", ram = 512,
    minute = 7,
    has = function(day) return day < 9 or day > 12 end, -- an outage
    first = function(self, write)
      node_project(write, self, { "express", "pg", "jsonwebtoken", "bcryptjs",
        "redis" })
      for _, name in ipairs { "pedidos", "produtos", "clientes", "login" } do
        write("src/rotas/" .. name .. ".js", javascript(15))
      end
      for i = 1, 10 do
        write(("uploads/produtos/%04d.jpg"):format(i), image(24 * KIB))
      end
    end,
    daily = function(write, day, time)
      write(("uploads/produtos/%04d.jpg"):format(41 - day),
        image(math.random(12, 40) * KIB))
      write("logs/acesso.log", ("%s GET /produtos 200 %d\n"):format(date(time),
        math.random(900)):rep(600))
    end,
  },
  {
    id = "c47a0d5e9b3246f18a6c2e7f0d91b854", name = "padaria-site", ram = 256,
    minute = 11,
    has = function(day) return day < 10 end,
    first = function(_, write)
      write("squarecloud.app",
        "DISPLAY_NAME=padaria-site\nSTART=npx serve\nSUBDOMAIN=padaria\n")
      write("index.html", "<!doctype html><html lang=\"pt-BR\">\n<title>Padaria"
        .. " da Ana</title>\n" .. ("<p>Pão quentinho às 6h e às 17h.</p>\n")
        :rep(40) .. "</html>\n")
      write("estilo.css", ("p { margin: 0 auto; color: #432; }\n"):rep(60))
      for _, name in ipairs { "fachada", "pao-frances", "bolo", "cafe" } do
        write("imagens/" .. name .. ".jpg", image(26 * KIB))
      end
    end,
    daily = function(write, day, time)
      if day % 7 ~= 0 then return end -- prices change once a week
      write("cardápio.json", ('{"desde":"%s","pão francês":%.2f}\n'):format(
        date(time), 17 + (28 - day) / 20))
    end,
  },
  {
    id = "e15b8f2c7d0946a3b9e4c6a1f3d27085", name = "ponto-bot", ram = 256,
    minute = 16,
    has = function(day) return day < 14 end,
    first = function(_, write)
      write("squarecloud.app", CONFIG:format("ponto-bot", "main.py", 256))
      write("requirements.txt", "python-telegram-bot==21.4\n")
      write("main.py", "import csv, os\nfrom telegram.ext import Application"
        .. '\n\nTOKEN = os.environ["TELEGRAM_TOKEN"]\n')
    end,
    daily = function(write, _, time)
      write("pontos/" .. date(time) .. ".csv", ("ana;%02d:%02d\nbeto;%02d:%02d"
        .. "\n"):format(8, math.random(0, 20), 9, math.random(0, 20)))
    end,
  },
  {
    id = "5d6e7f8091a24b3c8d4e5f60718293a4", name = "fotos-casamento",
    ram = 512, minute = 24,
    has = function(day) return day < 2 end, -- new
    first = function(_, write)
      write("squarecloud.app",
        "DISPLAY_NAME=fotos-casamento\nSTART=npx serve\nSUBDOMAIN=fotos\n")
      write("index.html", "<!doctype html><title>Casamento</title>\n")
    end,
    daily = function(write, day)
      for i = 1, day == 1 and 9 or day == 0 and 1 or 0 do
        write(("galeria/IMG_%04d.jpg"):format(100 * (2 - day) + i),
          image(math.random(1800, 2700) * KIB))
      end
    end,
  },
  {
    id = "93a1c5b7d2e84f60a7b3c9d1e5f70246", name = "sorteios-bot", ram = 256,
    minute = 38,
    has = function(day) return day == 29 end, -- switched off since
    first = function(self, write)
      node_project(write, self, { "discord.js", "ws" })
      write("dados/sorteios.sqlite", sqlite(300))
    end,
  },
}

account.databases = {
  {
    id = "7e2f4a6b8c0d41e3952b7d8f1a3c5e60", name = "loja-db", ram = 512,
    type = "postgres", suffix = true, minute = 45,
    first = function(_, write)
      write("PG_VERSION", "16\n")
      for _, name in ipairs { "1247", "1249", "1259", "2608" } do
        write("base/16384/" .. name, noise(24 * KIB) .. ("\0"):rep(40 * KIB))
      end
    end,
    daily = function(write, day)
      write("base/16384/16402", noise((120 - day) * 2 * KIB))
      write("global/pg_control", noise(296) .. ("\0"):rep(7896))
    end,
  },
  {
    id = "a0b1c2d3e4f54657869788a9bacbdced", name = "sessoes", ram = 256,
    type = "redis", minute = 51,
    has = function(day) return day < 7 end,
    first = function() end,
    daily = function(write)
      write("dump.rdb", "REDIS0011" .. noise(math.random(30, 60) * KIB))
    end,
  },
  {
    id = "f6e5d4c3b2a14f0e9d8c7b6a59483726", name = "estoque", ram = 256,
    type = "mongo",
    has = function() return false end, -- made today
    first = function(_, write)
      write("WiredTiger", "WiredTiger\nWiredTiger 11.2.0\n")
      write("collection-0.wt", noise(36 * KIB))
    end,
  },
}

return account
