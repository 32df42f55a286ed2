--- The test server, seen from a spec: starts it, sets it up, asks what it saw.
--
--   local server = require "spec.support.server"
--   local s = server.shared()   -- one per process, stopped when it ends
--   local s <close> = server.start()
--
-- Owns the nginx process (a child of this one, in a session of its own: what a
-- terminal sends does not reach it) and its temporary folder. It ends with
-- `stop`, when the object is collected or the Lua state closed, and by itself
-- within 0.3 s when this process is gone, however it went.
--
-- Fields: `http`, `https` (HTTP/2 and 1.1), `https1` (HTTP/1.1 only):
-- addresses without a path; `base_url`, `snapshots_url` over https,
-- `http_base_url`, `http_snapshots_url`; `ca_file`; `key`, `account_id`;
-- `dir`; `ports` by name; addresses that fail: `self_signed`, `expired`,
-- `wrong_host`, `old_tls` (TLS 1.1 only), `refused` (nobody listens), `silent`
-- (accepts, never answers), `black_hole` (never accepts). The last three are
-- http addresses, `s.silent:gsub("http", "https")`. `expired` and `black_hole`
-- are made when first read.
-- `apps`, `databases`: ids at the start.
--
-- configure{…}, until the next reset; `s.null` sets one back to its default:
--   limits = { create_account_ms, create_resource_ms, restore_ms, commit_ms
--     (one in so many), daily, daily_window_ms (429
--     DAILY_SNAPSHOTS_LIMIT_REACHED), requests, requests_window_ms,
--     requests_code, retry_after (true: the header with the seconds left; a
--     value: as it is; absent: none) }
--   plan ("free": listing an account is 402), expires_in (s, of addresses),
--   processing_ms (creating answers 202, the snapshot comes that much later),
--   boot ("runs"; "never"; "crashes", after it ran; "fails", without that),
--     boot_ms (how long what was uploaded, created or started takes to that),
--   create_ms, restore_ms (how long they take; meanwhile 409), latency_ms,
--   created_version = true (a created snapshot's address has a versionId, as
--     in older examples: else it opens whatever is the newest),
--   listing_cache_ms (0: none), cache_cleared = true (by each new snapshot),
--   upload_limit (bytes), limit_rate (bytes/s and connection; store, files),
--   record = false (requests are not kept: for benches),
--   snapshots_url (where a created snapshot's url points)

local cjson = require("cjson").new()
local lfs = require "lfs"
local socket = require "socket"
local certificates = require "spec.support.certificates"
local listeners = require "spec.support.listeners"
local nginx_conf = require "spec.support.nginx_conf"
local quote = require("spec.support.quote").shell
local random_name = require "spec.support.nginx.random_name"

local server = {}
local Server = { __name = "spec.support.server" }

local START_ATTEMPTS = 5
local READY_SECONDS = 10
local ANSWER_SECONDS = 60 -- a reset deletes trees

local ACCOUNT = "5eca11ab1ed0facade01"
local KEY = ACCOUNT .. "-5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e7deadbeef"

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
if here:sub(1, 1) ~= "/" then here = lfs.currentdir() .. "/" .. here end
here = here:gsub("/%./", "/")

local function own_pid()
  local file <close> = assert(io.open "/proc/self/stat")
  return file:read "n"
end

local function write_file(path, bytes)
  local file = assert(io.open(path, "wb"))
  assert(file:write(bytes))
  file:close()
end

local function remove_tree(path)
  if lfs.symlinkattributes(path, "mode") == "directory" then
    for name in lfs.dir(path) do
      if name ~= "." and name ~= ".." then remove_tree(path .. "/" .. name) end
    end
    return lfs.rmdir(path)
  end
  return os.remove(path)
end

local function request(port, body, seconds)
  local connection = socket.tcp()
  connection:settimeout(seconds or ANSWER_SECONDS)
  local ok, why = connection:connect("127.0.0.1", port)
  if not ok then
    connection:close()
    return nil, why
  end
  connection:setoption("tcp-nodelay", true)
  connection:send(("POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n"):format(
    #body) .. body)
  local answer, err, part = connection:receive "*a"
  connection:close()
  answer = answer or part
  local status, text = answer:match("^HTTP/1%.%d (%d+).-\r\n\r\n(.*)$")
  if status ~= "200" then return nil, err or ("HTTP " .. tostring(status)) end
  return text
end

-- Integers come out of JSON as integers, as they went in.
local function whole_numbers(value)
  if type(value) == "table" then
    for name, one in pairs(value) do value[name] = whole_numbers(one) end
  elseif math.type(value) == "float" then
    return math.tointeger(value) or value
  end
  return value
end

local function call(self, op, arguments)
  if self.stopped then error("the test server is stopped", 3) end
  arguments = arguments or {}
  arguments.op, arguments.token = op, self.token
  local text, why = request(self.ports.admin, cjson.encode(arguments))
  if not text then error("test server: " .. op .. ": " .. why, 3) end
  local answer = whole_numbers(cjson.decode(text))
  if answer.error then error("test server: " .. answer.error, 3) end
  return answer
end

local function first_error(dir)
  local file = io.open(dir .. "/error.log")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text:match("[^\n]*%[emerg%][^\n]*")
end

-- Starts nginx as a child; nil and the reason when it cannot have its ports.
local function launch(self)
  local found = nginx_conf.find()
  local names = { "admin", "refused" }
  for _, one in ipairs(nginx_conf.listeners) do names[#names + 1] = one.name end
  self.ports = listeners.free_ports(names)
  local dir, ipv6 = self.dir, listeners.has_ipv6()
  write_file(dir .. "/nginx.conf", nginx_conf.text {
    dir = dir, lua_dir = here .. "/nginx", modules = found.modules,
    ports = self.ports, ipv6 = ipv6 })
  write_file(dir .. "/boot.json", cjson.encode {
    dir = dir, token = self.token, parent = self.parent, ports = self.ports,
    key = self.key, account_id = self.account_id, account = self.account })
  local process = assert(io.popen(("echo $$; exec setsid "
    .. 'env -i LC_ALL=C.UTF-8 TMPDIR=%s PATH="${PATH:-/usr/bin:/bin}" '
    .. "%s -e %s -p %s -c %s </dev/null >/dev/null 2>&1"):format(
    quote(dir), quote(found.file), quote(dir .. "/error.log"), quote(dir),
    quote(dir .. "/nginx.conf")), "r"))
  self.process, self.pid = process, process:read "n"
  local ping = cjson.encode { op = "ping", token = self.token }
  local deadline = socket.gettime() + READY_SECONDS
  while socket.gettime() < deadline do
    if request(self.ports.admin, ping, READY_SECONDS) then
      -- a port that is ours but where nobody listens
      self.held_refused = socket.tcp()
      return self.held_refused:bind("127.0.0.1", self.ports.refused)
    end
    if first_error(dir) then break end
    socket.sleep(0.002)
  end
  return nil, first_error(dir) or "it did not answer"
end

local function end_process(self)
  local process = self.process
  self.process = nil
  if not process then return end
  if not (self.ports and request(self.ports.admin,
    cjson.encode { op = "quit", token = self.token })) and self.pid then
    os.execute(("kill -KILL %d 2>/dev/null"):format(self.pid))
  end
  process:close() -- waits for it
end

-- False when its folder cannot be made; raises when it cannot start for
-- another reason. What lies there then is the caller's to remove.
local function begin(self)
  if not os.execute("mkdir -m 700 " .. quote(self.dir) .. " 2>/dev/null") then
    return false
  end
  certificates.make(self.dir)
  local ok, why
  for _ = 1, START_ATTEMPTS do
    ok, why = launch(self)
    if ok then return true end
    end_process(self)
    os.remove(self.dir .. "/error.log")
  end
  error(why, 0)
end

local made_later = {}

function made_later.black_hole(self)
  local held, port = listeners.black_hole()
  self.held_queue = held
  return "http://127.0.0.1:" .. port
end

function made_later.expired(self)
  certificates.make_expired(self.dir)
  return "https://localhost:" .. self.ports.expired
end

Server.__index = function(self, name)
  if not made_later[name] then return Server[name] end
  self[name] = made_later[name](self)
  return self[name]
end

--- Starts a server of its own. Raises when there is no nginx.
-- @param opts key, account_id, account (what it holds: as fixtures.lua):
-- others than the usual ones; parent: the id of the process with which it is
-- to end, instead of this one
function server.start(opts)
  opts = opts or {}
  -- named before it is made: an interruption may come at any moment
  local base = os.getenv "TMPDIR" or "/tmp"
  local dir = base .. "/squarecloud-server." .. random_name(16)
  local self = {
    dir = dir, owner = own_pid(), token = random_name(16),
    parent = opts.parent or own_pid(), account = opts.account,
    account_id = opts.account_id or ACCOUNT, key = opts.key or KEY,
    ca_file = dir .. "/ca.pem", null = cjson.null,
    apps = { "1d2cdc0d6ebd435c91315c6329d12eab",
      "7f0a2b4c9d8e4f61a3b5c7d9e1f20a34", "c0ffee00c0ffee00c0ffee00c0ffee00" },
    databases = { "5b1e0f2a6c7d48e9b0a1c2d3e4f50617",
      "9a8b7c6d5e4f40312112131415161718" },
  }
  local ok, begun = pcall(begin, self)
  if not ok or not begun then
    end_process(self)
    remove_tree(dir)
    error(ok and "no temporary folder in " .. base
      or "the test server did not start: " .. tostring(begun), 2)
  end
  local ports = self.ports
  self.held_silent, ports.silent = listeners.silent()
  self.http = "http://127.0.0.1:" .. ports.http
  self.refused = "http://127.0.0.1:" .. ports.refused
  self.silent = "http://127.0.0.1:" .. ports.silent
  for _, one in ipairs(nginx_conf.listeners) do
    if one.certificate and not made_later[one.name] then
      self[one.name] = "https://localhost:" .. ports[one.name]
    end
  end
  self.base_url, self.snapshots_url = self.https .. "/v2", self.https
  self.http_base_url, self.http_snapshots_url = self.http .. "/v2", self.http
  return setmetatable(self, Server)
end

local shared
--- The one server of this process, made at the first call; reset each time.
function server.shared()
  if shared and not shared.stopped then
    shared:reset()
  else
    shared = server.start()
  end
  return shared
end

--- Ends the process and removes its folder; a second stop does nothing, nor
-- one in a forked child: the server is its parent's.
function Server:stop()
  if self.stopped then return end
  self.stopped = true
  if own_pid() ~= self.owner then return end
  end_process(self)
  self.held_refused:close()
  self.held_silent:close()
  for _, one in ipairs(rawget(self, "held_queue") or {}) do one:close() end
  remove_tree(self.dir)
end

Server.__close = Server.stop
Server.__gc = Server.stop

--- All back to the start: files, snapshots, settings, faults, the record.
-- What hangs in the silent port's queue is let go.
function Server:reset()
  call(self, "reset")
  self.held_silent:settimeout(0)
  for one in self.held_silent.accept, self.held_silent do one:close() end
end

--- Arms a fault: { fault = name, match = {…}, times =, skip =, arguments … };
-- see spec/support/nginx/faults.lua, and fault_table.lua for the names.
function Server:fault(spec)
  return call(self, "fault", { fault = spec }).id
end

--- Disarms all faults. What is stalled already stays so until `release`.
function Server:clear_faults()
  call(self, "clear_faults")
end

--- Lets every stalled answer go on.
function Server:release()
  call(self, "release")
end

--- Changes settings; see the head of this file.
function Server:configure(changes)
  call(self, "configure", { changes = changes })
end

local function chosen(filter, one)
  if type(filter) == "function" then return filter(one) end
  return (not filter.method or filter.method == one.method)
    and (not filter.path or one.uri:sub(1, #filter.path) == filter.path)
    and (not filter.pattern or one.uri:find(filter.pattern) ~= nil)
    and (not filter.status or filter.status == one.status)
end

--- What the server has been asked, in order of arrival: an array of { method,
-- uri (raw), args, headers (lower-case names; an array when one came twice),
-- body (its first MiB), body_bytes, status (0: none was sent), connection and
-- connection_requests (nginx's serial, the how manieth on it), protocol,
-- scheme, port, time, faults (names), stalled, finished, bytes_sent }.
-- A request is there as soon as it has come, its status before the client can
-- have seen it; `finished` and `bytes_sent` come when nginx is done with it.
-- @param filter nil, a function, or any of method, path (prefix), pattern,
-- status
function Server:requests(filter)
  local all = call(self, "requests").requests
  if not filter then return all end
  local some = {}
  for _, one in ipairs(all) do
    if chosen(filter, one) then some[#some + 1] = one end
  end
  return some
end

--- Waits until at least `count` (1) requests match; raises after `seconds`
-- (30). Returns them.
function Server:wait_requests(filter, count, seconds)
  local deadline = socket.gettime() + (seconds or 30)
  repeat
    local found = self:requests(filter)
    if #found >= (count or 1) then return found end
    socket.sleep(0.005)
  until socket.gettime() > deadline
  error("the test server has not seen the request", 2)
end

--- Where the files of an application live.
function Server:app_dir(id)
  return call(self, "directory", { app = id }).dir
end

--- Where the files of a database live.
function Server:database_dir(id)
  return call(self, "directory", { database = id }).dir
end

--- Adds an application: { id, name, ram, files = { [path] = bytes } }; a path
-- that ends in `/` is an empty folder. Any id will do.
function Server:add_app(spec)
  spec.kind = "applications"
  call(self, "add_resource", { spec = spec })
end

--- Adds a database: as add_app, and type, suffix (true: its snapshots are
-- named `<id>_<type>`).
function Server:add_database(spec)
  spec.kind = "databases"
  call(self, "add_resource", { spec = spec })
end

--- Adds a workspace: { id, name, owner (an account's id), group (the key's
-- account's, "admin"), applications = { as add_app, … } }. Its applications
-- are the owner's: the key may manage them, its account does not list them.
function Server:add_workspace(spec)
  call(self, "add_workspace", { spec = spec })
end

--- Does "stop", "start" or "restart" to { app = id } or { database = id }.
function Server:act(resource, what)
  call(self, "act",
    { app = resource.app, database = resource.database, what = what })
end

--- Puts a file at a plain address, ranges served; returns the address over
-- http. Put again under the same name it has another etag.
-- @param content bytes, or { path = file }, or { size = n } (zeros, sparse),
-- or { size = n, random = true }
function Server:put_file(name, content)
  local path = self.dir .. "/files/" .. name
  local before = lfs.attributes(path, "modification")
  os.remove(path)
  if type(content) == "string" then
    write_file(path, content)
  elseif content.path then
    local from = content.path
    if from:sub(1, 1) ~= "/" then from = lfs.currentdir() .. "/" .. from end
    assert(lfs.link(from, path, true))
  elseif content.random then
    assert(os.execute(("head -c %d /dev/urandom > %s"):format(content.size,
      quote(path))))
  else
    local file = assert(io.open(path, "wb"))
    if content.size > 0 then
      file:seek("set", content.size - 1)
      file:write "\0"
    end
    file:close()
  end
  local now = lfs.attributes(path, "modification")
  if before and now <= before then lfs.touch(path, before + 1) end
  return self.http .. "/files/" .. name:gsub("[^%w%-%._~]",
    function(c) return ("%%%02X"):format(c:byte()) end)
end

local function with_urls(self, entry)
  local tail = entry.path .. "?" .. entry.key
  entry.url, entry.http_url = self.https .. tail, self.http .. tail
  return entry
end

--- Puts a file among the snapshots of an application or database.
-- @param spec `app` or `database` (id); `bytes`, or `path` of a file (linked
-- to: it must stay); and what the listing says: name, size, modified (epoch
-- seconds) or modified_text, version_id (false: none), key, expires (epoch
-- seconds); etag
-- @return { name, version_id, key, size, etag, path, url (https), http_url }
function Server:add_snapshot(spec)
  local copy = {}
  for name, value in pairs(spec) do copy[name] = value end
  self.placed = (self.placed or 0) + 1
  copy.file = ("%s/store/placed-%d.zip"):format(self.dir, self.placed)
  if copy.bytes then
    write_file(copy.file, copy.bytes)
  else
    local from = copy.path
    if from:sub(1, 1) ~= "/" then from = lfs.currentdir() .. "/" .. from end
    assert(lfs.link(from, copy.file, true))
  end
  copy.bytes, copy.path = nil, nil
  return with_urls(self, call(self, "add_snapshot", copy))
end

--- Makes snapshots of the files as they are now: of each { app = id, modified =
-- epoch seconds (now) }, or `database`, in a list. Returns a list of what
-- add_snapshot returns.
function Server:make_snapshots(list)
  local made = call(self, "make_snapshots", { list = list }).made
  for _, entry in ipairs(made) do with_urls(self, entry) end
  return made
end

--- Makes one.
function Server:make_snapshot(one)
  return self:make_snapshots({ one })[1]
end

--- Removes all snapshots of { app = id } or { database = id }.
function Server:remove_snapshots(resource)
  call(self, "remove_snapshots", resource)
end

--- Answers a listing with a text as it is, under `status` (200); nil: as it
-- was. `id` is a resource's, or "applications" or "databases" for all.
function Server:listing(id, text, status)
  call(self, "listing", { id = id, text = text, status = status })
end

--- As if a restore of { app = id } or { database = id } had just begun that
-- takes `ms`: another gets 409.
function Server:begin_restore(resource, ms)
  call(self, "begin_restore",
    { app = resource.app, database = resource.database, ms = ms })
end

--- The archive that was uploaded as the application `id`; it stays when that
-- is deleted.
function Server:uploaded(id)
  return self.dir .. "/uploads/" .. id .. ".zip"
end

--- What nginx has logged as errors: an array of lines, empty when all is well.
function Server:errors()
  local lines = {}
  for line in io.lines(self.dir .. "/error.log") do
    if line:find("%[error%]") or line:find("%[crit%]")
      or line:find("%[alert%]") or line:find("%[emerg%]") then
      lines[#lines + 1] = line
    end
  end
  return lines
end

return server
