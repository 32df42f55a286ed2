-- luacheck: std ngx_lua
--- Files that come in a form: an archive that becomes an application, and
-- what is put into one that is there. Owns no state; archives that became
-- applications stay under `uploads/`.

local answers = require "answers"
local limits = require "limits"
local payloads = require "payloads"
local posix = require "posix"
local state = require "state"

local uploads = {}

local PIECE = 1024 * 1024
local TAIL = 4096

-- Where the bytes of a multipart body's field `file` lie in it: the first and
-- the last one's position, and the file's name; nil when it has none. In a
-- large body the field is the last one, near the end of which the boundary
-- comes again.
local function find_file(req, read, size)
  local kind = req.headers["content-type"] or ""
  local boundary = kind:match("^multipart/form%-data;.*boundary=\"?([^\";]+)")
  if not boundary then return nil end
  local head, mark = "\r\n" .. read(0, PIECE), "\r\n--" .. boundary
  local _, at = head:find(mark, 1, true)
  while at do
    local head_start, head_end = head:find("\r\n\r\n", at + 1, true)
    if not head_start then return nil end
    local field = head:sub(at, head_start)
    local is_file = field:find('[; ]name="?file"?[;\r]?')
    local name = field:match('filename="([^"]*)"')
    local stop = head:find(mark, head_end + 1, true)
    if is_file and stop then return head_end - 2, stop - 4, name end
    if is_file then
      local from = math.max(head_end - 2, size - TAIL)
      stop = read(from, TAIL):find(mark, 1, true)
      if not stop then return nil end
      return head_end - 2, from + stop - 2, name
    end
    at = stop and stop + #mark - 1
  end
end

-- Copies the field `file` to `path`. Returns the file's name (""), or nil and
-- an error.
local function save_file(req, path)
  local source = req.body_file and assert(io.open(req.body_file, "rb"))
  local function read(at, count)
    if not source then return req.body:sub(at + 1, at + count) end
    source:seek("set", at)
    return source:read(count) or ""
  end
  local first, last, name = find_file(req, read, req.record.body_bytes)
  local err
  if not first then
    err = { 400, "MISSING_PARAMETERS" }
  elseif last - first + 1 > state.config.upload_limit then
    err = { 413, "PAYLOAD_TOO_LARGE" }
  else
    local target = assert(io.open(path, "wb"))
    for at = first, last, PIECE do
      target:write(read(at, math.min(PIECE, last - at + 1)))
    end
    target:close()
  end
  if source then source:close() end
  if err then return nil, err end
  return name or ""
end

--- POST /apps: the archive becomes an application.
function uploads.create(req)
  local id = state.random_id()
  local path = state.dir .. "/uploads/" .. id .. ".zip"
  local name, err = save_file(req, path)
  if not name then return answers.failure(err) end
  local app = state.add_resource { kind = "applications", id = id }
  if not state.unpack(path, app.dir) then
    state.remove_resource("applications", id)
    return answers.failure { 400, "INVALID_FILE" }
  end
  state.begin_boot(app)
  local config = io.open(app.dir .. "/squarecloud.app")
  if config then
    app.name = config:read("*a"):match("DISPLAY_NAME=([^\r\n]+)") or app.name
    config:close()
  end
  return answers.success(payloads.uploaded(app))
end

-- The folder that `?path=` names below `dir`, made when it is not there; nil
-- for one that leads out of it, or that a shell would read otherwise.
local function folder_below(dir, path)
  if path == nil then return dir end
  if type(path) ~= "string" or path:find("[%z\1-\31\\'\"`$&|;<>*?(){}~!#]")
    or ("/" .. path .. "/"):find("/../", 1, true) then
    return nil
  end
  dir = dir .. "/" .. path
  return state.succeeds("mkdir -p %s", dir) and dir or nil
end

-- Puts a ZIP's files, or the one file that it is, below `dir`; what is there
-- besides stays.
local function put(file, name, dir)
  if not name:find("%.zip$") then
    return os.rename(file, dir .. "/" .. name)
  end
  local fresh = state.dir .. "/tmp/" .. state.random_id()
  local done = state.unpack(file, fresh)
    and state.succeeds("cp -a %s/. %s/", fresh, dir)
  posix.remove_tree(fresh)
  os.remove(file)
  return done
end

--- POST /apps/{id}/commit: one file, or a ZIP's, come into an application.
function uploads.commit(req, parameters)
  local app, err = state.find("applications", parameters.id)
  if not app then return answers.failure(err) end
  local allowed, refused = limits.commit()
  if not allowed then return answers.failure(refused) end
  local folder = folder_below(app.dir, req.args.path)
  if not folder then return answers.failure { 400, "INVALID_PATH" } end
  local path = state.dir .. "/tmp/" .. state.random_id()
  local name, bad = save_file(req, path)
  if not name then return answers.failure(bad) end
  if name == "" or name:find("[/%z]") or name:find("^%.%.?$") then
    os.remove(path)
    return answers.failure { 400, "INVALID_FILENAME" }
  end
  if not put(path, name, folder) then
    return answers.failure { 400, "INVALID_FILE" }
  end
  return answers.success()
end

return uploads
