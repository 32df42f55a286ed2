--- Where nginx is, and the text of the test server's nginx.conf: a function of
-- the folders, ports and modules that it is given.

local lfs = require "lfs"

local nginx_conf = {}

local function quote(text)
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

local MAIN = [[
daemon off;
master_process off;
pid "$DIR/nginx.pid";
error_log "$DIR/error.log" warn;
$MODULES
events { worker_connections 900; accept_mutex off; }
http {
  access_log off;
  lua_package_path $LUA_PATH;
  lua_check_client_abort on;
  lua_socket_log_errors off;
  init_worker_by_lua_block { require("app").boot("$DIR/boot.json") }
  header_filter_by_lua_block { require("app").header_filter() }
  log_by_lua_block { require("app").log() }

  client_body_temp_path "$DIR/tmp_body";
  proxy_temp_path "$DIR/tmp_proxy";
  fastcgi_temp_path "$DIR/tmp_fastcgi";
  uwsgi_temp_path "$DIR/tmp_uwsgi";
  scgi_temp_path "$DIR/tmp_scgi";

  client_max_body_size 0;
  client_body_buffer_size 256k;
  large_client_header_buffers 8 64k;
  ignore_invalid_headers off;
  underscores_in_headers on;
  merge_slashes off;
  absolute_redirect off;
  keepalive_requests 1000000;
  send_timeout 1h;
  sendfile on;
  sendfile_max_chunk 512k;
  default_type application/octet-stream;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache off;
$SERVERS
}
]]

local SERVER = [[
  server {
$LISTEN
    location / {
      set $object_path "";
      set $serial "";
      content_by_lua_block { require("app").handle() }
    }
    location = /_static {
      internal;
      alias $object_path;
    }
  }
]]

local ADMIN = [[
  server {
    listen 127.0.0.1:$PORT;
    client_body_buffer_size 64m;
    location / { content_by_lua_block { require("admin").handle() } }
  }
]]

local function fill(template, values)
  return (template:gsub("%$([A-Z_]+)", values))
end

-- How each listener's `listen` lines go on, and its certificate.
nginx_conf.listeners = {
  { name = "http", options = "" },
  { name = "https", options = " ssl http2", certificate = "good" },
  { name = "https1", options = " ssl", certificate = "good" },
  { name = "self_signed", options = " ssl", certificate = "self_signed" },
  -- a file with a variable in its name is not read before a handshake needs it
  { name = "expired", options = " ssl", certificate = "$server_name",
    more = { "server_name expired;" } },
  { name = "wrong_host", options = " ssl", certificate = "wrong_host" },
  { name = "old_tls", options = " ssl", certificate = "good",
    more = { "ssl_protocols TLSv1.1;", "ssl_ciphers ALL:@SECLEVEL=0;" } },
}

--- @param setup dir, lua_dir (the server's Lua files), modules (array of
-- files to load), ports (by listener name, and `admin`), ipv6 (boolean)
function nginx_conf.text(setup)
  local servers, modules = {}, {}
  for _, file in ipairs(setup.modules) do
    modules[#modules + 1] = "load_module " .. quote(file) .. ";"
  end
  for _, listener in ipairs(nginx_conf.listeners) do
    local port, lines = setup.ports[listener.name], {}
    local function add(...)
      lines[#lines + 1] = "    " .. string.format(...)
    end
    add("listen 127.0.0.1:%d%s;", port, listener.options)
    if setup.ipv6 then add("listen [::1]:%d%s;", port, listener.options) end
    if listener.certificate then
      local base = setup.dir .. "/" .. listener.certificate
      add("ssl_certificate %s;", quote(base .. ".pem"))
      add("ssl_certificate_key %s;", quote(base .. ".key"))
    end
    for _, line in ipairs(listener.more or {}) do add("%s", line) end
    servers[#servers + 1] = fill(SERVER,
      { LISTEN = table.concat(lines, "\n") })
  end
  servers[#servers + 1] = fill(ADMIN, { PORT = setup.ports.admin })
  return fill(MAIN, {
    DIR = setup.dir,
    MODULES = table.concat(modules, "\n"),
    LUA_PATH = quote(setup.lua_dir .. "/?.lua;;"),
    SERVERS = table.concat(servers, "\n"),
  })
end

local found
--- nginx's file, and the Lua module's files to load: { file, modules }; looked
-- for once. Raises when there is none.
function nginx_conf.find()
  if found then return found end
  local path = "${PATH:-/usr/bin:/bin}:/usr/sbin:/usr/local/sbin:/sbin"
  local pipe = assert(io.popen("PATH=" .. path
    .. "; command -v nginx && nginx -V 2>&1"))
  local out = pipe:read "a"
  local file = pipe:close() and out:match("^[^\n]+")
  if not file then error("the test server needs nginx", 0) end
  local folder = out:match("%-%-modules%-path=(%S+)")
  local modules = {}
  for _, name in ipairs { "ndk_http_module", "ngx_http_lua_module" } do
    local module = (folder or "") .. "/" .. name .. ".so"
    if lfs.attributes(module) then modules[#modules + 1] = module end
  end
  if not out:find("lua", 1, true) and #modules == 0 then
    error("the test server needs nginx's Lua module", 0)
  end
  found = { file = file, modules = modules }
  return found
end

return nginx_conf
