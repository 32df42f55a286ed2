--- Runs the rows of a fault table for downloads. A row:
--   [1]       the number in the fault matrix
--   [2]       what happens, in words
--   [3]       a fault of the test server, or an array of them
--   kind      of the error when it happens each time; nil: all is well
--   asked     how many requests are then sent, with `retries` (1)
--   again     true: the error says that the same call may succeed later
--   kept      true: the part stays, and the next call goes on with it; false:
--             nothing stays; "maybe": either
--   once      how many requests are sent when it happens once and there are
--             two retries left, and all ends well; nil: it is final
--   message   what the error's text must hold (plain)
--   err       fields that it must have
--   ranges    the Range headers sent (with `once`, or where all is well)
--   segments, retries, client (options of the Client), verify
--   url       function(s, entry): another address than the snapshot's over
--             http ("https" for the one over TLS)
--   info      true: the SnapshotInfo is downloaded, so that the size is known;
--             a table: with these changes to its entry
--   size      of the archive in KiB (64)
--   unseen    true: the requests never come to the server
--   resume    true: a first download left a part of 30 000 bytes

local assert = require "luassert"
local downloads = require "spec.support.downloads"
local helpers = require "spec.support.helpers"

local rows = {}

local NAME = "r.zip"
local HELD = 30000

local function each_fault(row, use)
  local faults = row[3] or {}
  if faults.fault then faults = { faults } end
  for _, fault in ipairs(faults) do use(fault) end
end

-- Arms the row's faults; with `once` each ends after its first use.
local function arm(s, row, once)
  each_fault(row, function(fault)
    local copy = {}
    for name, value in pairs(fault) do copy[name] = value end
    copy.match = copy.match or { pattern = "^/[adf][^?]*/" }
    if once and not copy.times then copy.times = 1 end
    s:fault(copy)
  end)
end

-- What a row's download is made with, fresh: no connection of an earlier row
-- is kept, since libcurl tries those again by itself.
local function prepare(s, row, retries)
  collectgarbage()
  collectgarbage()
  local self = { requests = 0, bytes = downloads.archive(row.size or 64) }
  local options = { retries = retries, connect_timeout = 5, stall_timeout = 5,
    snapshots_url = s.http_snapshots_url,
    trace = function(record)
      if record.event == "request" and record.operation:find "^download" then
        self.requests = self.requests + 1
      end
    end }
  for name, value in pairs(row.client or {}) do options[name] = value end
  self.client = helpers.client(s, options)
  self.folder = helpers.tmpdir()
  local spec = { app = s.apps[1], bytes = self.bytes }
  for name, value in pairs(type(row.info) == "table" and row.info or {}) do
    spec[name] = value
  end
  self.entry = s:add_snapshot(spec)
  if row.info then
    self.info = assert(self.client:all_app_snapshots(s.apps[1]))[1]
  elseif row.url == "https" then
    self.url = self.entry.url
  else
    self.url = row.url and row.url(s, self.entry) or self.entry.http_url
  end
  return self
end

local function download(self, row)
  local options = { path = self.folder.path, filename = NAME,
    segments = row.segments, verify = row.verify }
  if self.info then return self.info:download(options) end
  options.url = self.url
  return self.client:download(options)
end

local function leave_part(s, self, row)
  s:fault { fault = "cut", bytes = HELD, match = { pattern = "^/[adf]" } }
  local client = self.client
  self.client = helpers.client(s, { retries = 0,
    snapshots_url = s.http_snapshots_url })
  if self.info then
    self.info = assert(self.client:all_app_snapshots(s.apps[1]))[1]
  end
  local zip, err = download(self, row)
  assert(not zip and err.kind == "network", err)
  self.client:close()
  self.client = client
  if self.info then
    self.info = assert(client:all_app_snapshots(s.apps[1]))[1]
  end
  s:clear_faults()
end

local function check_secrets(s, err)
  for _, one in ipairs(downloads.requests(s)) do
    assert.is_nil(one.headers.authorization)
  end
  if not err then return end
  for _, text in ipairs { tostring(err), err.message, err.code or "" } do
    assert.is_nil(text:find(s.key, 1, true), text)
    assert.is_nil(text:find("Signature=%w"), text)
    assert.is_nil(text:find("AWSAccessKeyId=%w"), text)
    assert.is_nil(text:find("[%c]"), text)
  end
end

local function check_well(self, zip, err)
  assert(zip, err)
  assert.is_true(self.bytes == helpers.read_file(zip.path))
  assert.same({ NAME }, helpers.names(self.folder.path))
  assert.equal("rw-------", downloads.mode(zip.path))
  zip:close()
end

local function check_error(self, row, zip, err)
  assert.is_nil(zip)
  assert.equal(row.kind, err.kind, tostring(err))
  assert.equal("download " .. (self.info and self.info.id
    or self.url:match("([^/?]*)%.zip") .. ".zip"), err.operation)
  assert.is_false(err.sent)
  assert.equal(row.again or false, err.retryable)
  if row.message then
    assert.truthy(err.message:find(row.message, 1, true), err.message)
  end
  for name, value in pairs(row.err or {}) do
    assert.equal(value, err[name], name)
  end
end

local function check_requests(s, self, row, before, wanted)
  assert.equal(wanted, self.requests, "requests sent")
  local seen = #downloads.requests(s) - before
  assert.equal(row.unseen and 0 or wanted, seen, "requests seen")
end

local function check_folder(self, row)
  local names = helpers.names(self.folder.path)
  local kept = #names > 0
  if row.kept ~= "maybe" then assert.equal(row.kept or false, kept) end
  assert.same(kept and { NAME .. ".part", NAME .. ".part.meta" } or {}, names)
  return kept
end

-- The next call goes on where this one ended.
local function check_continues(s, self, row)
  s:clear_faults()
  check_well(self, download(self, row))
  local ranges = downloads.ranges(s)
  assert.truthy(ranges[#ranges]:find "^bytes=[1-9]", ranges[#ranges])
end

local function check_ranges(s, row, before)
  if not row.ranges then return end
  local ranges = downloads.ranges(s)
  assert.same(row.ranges, { table.unpack(ranges, before + 1) })
end

-- Uses up the connections that are kept to the store: libcurl answers a reset
-- on one of those by asking again by itself, and a row counts requests.
local function drain(s)
  local entry = s:add_snapshot { app = s.apps[2], bytes = downloads.archive(1) }
  local client <close> = helpers.client(s, { retries = 0 })
  for _, url in ipairs { entry.http_url, entry.url } do
    repeat
      local folder <close> = helpers.tmpdir()
      s:fault { fault = "close_after", times = 1 }
      -- a connection that a row left with junk on it fails, and is gone
      local zip = client:download { url = url, path = folder.path }
      if zip then zip:close() end
      local all = downloads.requests(s)
    until zip and all[#all].connection_requests == 1
  end
  s:clear_faults()
end

-- One download under the row's faults; then `check`.
local function try(s, row, retries, once, check)
  drain(s)
  local self = prepare(s, row, retries)
  local ok, why = xpcall(function()
    if row.resume then leave_part(s, self, row) end
    local before = #downloads.requests(s)
    arm(s, row, once)
    local zip, err = download(self, row)
    check_secrets(s, err)
    check(self, before, zip, err)
  end, function(e)
    return type(e) == "string" and debug.traceback(e, 2) or e
  end)
  self.client:close()
  helpers.remove(self.folder.path)
  if not ok then error(why, 0) end
end

--- The row's fault, each time.
function rows.run(s, row)
  try(s, row, row.retries or 1, false, function(self, before, zip, err)
    if not row.kind then
      check_well(self, zip, err)
      check_requests(s, self, row, before, row.asked)
      return check_ranges(s, row, before)
    end
    check_error(self, row, zip, err)
    check_requests(s, self, row, before, row.asked)
    if check_folder(self, row) then check_continues(s, self, row) end
  end)
end

--- The row's fault, once.
function rows.run_once(s, row)
  try(s, row, 2, true, function(self, before, zip, err)
    check_well(self, zip, err)
    check_requests(s, self, row, before, row.once)
    check_ranges(s, row, before)
  end)
end

--- A spec for each row of the table.
function rows.define(it, server, table_of_rows)
  for _, row in ipairs(table_of_rows) do
    local name = ("%d: %s"):format(row[1], row[2])
    it(name .. (row.kind and ": " .. row.kind or " is no fault"), function()
      rows.run(server(), row)
    end)
    if row.once then
      it(name .. ", once: goes on", function()
        rows.run_once(server(), row)
      end)
    end
  end
end

return rows
