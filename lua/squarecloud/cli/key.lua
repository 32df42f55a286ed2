-- Where the API key comes from. The key is handed to the client and to nobody
-- else: no message names more than its source.

local json = require "squarecloud.cli.json"

local key = {}

local VARIABLES = { "SQUARECLOUD_API_KEY", "SQUARE_API_KEY" }

local function environment(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

-- The whole of a file; nil and why.
local function read(path)
  local file <close>, why = io.open(path, "r")
  if not file then return nil, why end
  local text
  text, why = file:read "a"
  if not text then return nil, path .. ": " .. why end
  return text
end

-- The file of the platform's own command.
local function config_path()
  local base, home = environment "XDG_CONFIG_HOME", environment "HOME"
  if not base then base = home and home .. "/.config" end
  return base and base .. "/squarecloud/config.json"
end

local function from_config()
  local path = config_path()
  local config = json.decode(path and read(path) or "")
  local token = type(config) == "table" and config.auth_token
  if type(token) == "string" and token ~= "" then return token, path end
end

local function from_file(path)
  local text, why = read(path)
  if not text then return nil, "no API key: " .. why end
  local found = (text:match "%S[^\r\n]*" or ""):gsub("%s+$", "")
  if found == "" then return nil, "no API key: " .. path .. " is empty" end
  return found, path
end

local function find(path)
  if path then return from_file(path) end
  for _, name in ipairs(VARIABLES) do
    local found = environment(name)
    if found then return found, name end
  end
  local found, source = from_config()
  if found then return found, source end
  return nil, "no API key: set SQUARECLOUD_API_KEY or SQUARE_API_KEY, give "
    .. "--api-key-file FILE, or log in with the platform's own command"
end

--- The key and its source; or nil and what to do.
-- @param path the file that --api-key-file named, or nil
function key.find(path)
  local found, source = find(path)
  if found and found:find "%c" then
    return nil, "no API key: the one in " .. source
      .. " contains a control character"
  end
  return found, source
end

return key
