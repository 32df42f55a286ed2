-- luacheck: std ngx_lua
--- The admin listener, on a loopback port of its own: POST of a JSON object
-- with `op` and the run's token, answered with JSON. Its requests are neither
-- recorded nor met by faults. Owns no state.

local cjson = require "cjson"
local app = require "app"
local faults = require "faults"
local posix = require "posix"
local state = require "state"

local ops = {}

function ops.ping()
  return { account_id = state.account }
end

function ops.quit()
  ngx.timer.at(0, posix.terminate_self)
end

function ops.reset()
  app.reset()
end

function ops.fault(given)
  return { id = faults.arm(given.fault) }
end

function ops.clear_faults()
  faults.clear()
end

function ops.release()
  state.released = state.released + 1
end

function ops.configure(given)
  state.configure(given.changes)
end

function ops.requests()
  local parts = {}
  for i, record in ipairs(app.records) do parts[i] = cjson.encode(record) end
  return nil, '{"requests":[' .. table.concat(parts, ",") .. "]}"
end

function ops.listing(given)
  state.listings[given.id] = given.text
    and { text = given.text, status = given.status } or nil
end

local function resource_of(given)
  local kind = given.database and "databases" or "applications"
  local id = given.database or given.app
  local resource, err = state.find(kind, id)
  if not resource then error(err[2] .. ": " .. tostring(id), 0) end
  return resource
end

local function shown(entry)
  return { path = state.path_of(entry), key = state.key_of(entry),
    name = entry.name, version_id = entry.version, etag = entry.etag,
    size = entry.size }
end

function ops.add_snapshot(given)
  local resource = resource_of(given)
  local version = given.version_id
  if version == nil then version = state.random_version() end
  local modified = given.modified
  if type(modified) == "number" then modified = modified * 1000 end
  local entry = state.place(resource, {
    file = given.file, name = given.name, size = given.size,
    version = version or nil, key = given.key, expires = given.expires,
    etag = given.etag, modified_text = given.modified_text,
    modified_ms = modified })
  return shown(entry)
end

function ops.make_snapshots(given)
  local list = {}
  for i, one in ipairs(given.list) do
    list[i] = { resource = resource_of(one),
      modified_ms = one.modified and one.modified * 1000 }
  end
  local made, err = state.make_snapshots(list)
  if not made then error(err[3], 0) end
  for i, entry in ipairs(made) do made[i] = shown(entry) end
  return { made = made }
end

function ops.remove_snapshots(given)
  resource_of(given).snapshots = {}
end

function ops.add_resource(given)
  state.add_resource(given.spec)
end

function ops.add_workspace(given)
  state.add_workspace(given.spec)
end

function ops.act(given)
  state.act(resource_of(given), given.what)
end

function ops.begin_restore(given)
  state.begin_restore(resource_of(given), given.ms)
end

--- Where a resource's live files are.
function ops.directory(given)
  return { dir = resource_of(given).dir }
end

local admin = {}

function admin.handle()
  ngx.req.read_body()
  local ok, given = pcall(cjson.decode, ngx.req.get_body_data() or "")
  if not ok or type(given) ~= "table" or given.token ~= app.token then
    return ngx.exit(403)
  end
  local op = ops[given.op]
  local result, text
  if op then
    ok, result, text = pcall(op, given)
  else
    ok, result = false, "no such op: " .. tostring(given.op)
  end
  text = text or cjson.encode(ok and (result or { done = true })
    or { error = tostring(result) })
  ngx.header["Content-Length"] = #text
  ngx.header["Content-Type"] = "application/json"
  ngx.print(text)
end

return admin
