-- Runs snapshots.cjs against the test server, then looks at the same snapshots
-- with our client: both must see the same.
--   lua5.4 spec/peers/snapshots.lua FOLDER     (it has the node_modules)

package.path = "./?.lua;" .. package.path
local cjson = require "cjson"
local command = require "spec.peers.command"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"

local modules = arg[1]
local s <close> = server.start()
local dir <close> = helpers.tmpdir()
local app_id = s.apps[1]

local function must(condition, words)
  if not condition then error("peers: " .. words, 0) end
end

-- An address or key with the platform's store as our server's, and without
-- what depends on the second in which a list was asked for.
local function ours(url)
  return (url:gsub("^https://snapshots%.squarecloud%.app", s.snapshots_url)
    :gsub("(%f[%w]Expires=)%d+", "%1"):gsub("(%f[%w]Signature=)[^&]+", "%1"))
end

local pipe = assert(io.popen(command(s, modules, "spec/peers/snapshots.cjs",
  dir.path)))
local text = pipe:read "a"
must(pipe:close(), "the JavaScript client failed")
local seen = cjson.decode(text)
must(seen.user == s.account_id, "it sees another account")
must(#seen.applications == #s.apps, "it sees other applications")

local client <close> = helpers.client(s)
local infos = assert(client:all_app_snapshots(app_id))
must(#infos == 2 and seen.count == 1, "it created two, one of them listed")
for _, info in ipairs(infos) do
  local is_listed = seen.created.key:find(info.version_id, 1, true) ~= nil
  local name = is_listed and "listed" or "created"
  local zip <close> = assert(info:download { path = dir .. "/ours",
    filename = name .. ".zip" })
  must(helpers.read_file(zip.path)
    == helpers.read_file(("%s/%s.zip"):format(dir, name)),
    name .. ".zip is not what we download")
  if is_listed then
    local listed = seen.listed
    must(ours(listed.url) == ours(info.url), "the addresses differ")
    must(ours(seen.created.url) == ours(info.url),
      "the created one's address is another")
    must(ours(listed.key) == ours(info.key), "the keys differ")
    must(listed.size == info.bytes, "the sizes differ")
    must(listed.modifiedTimestamp == math.floor(info.timestamp * 1000 + 0.5),
      "the times differ")
    must(assert(zip:extract(dir .. "/out")) > 0, "there is nothing in it")
  end
end

for _, one in ipairs(s:requests { path = "/v2/" }) do
  must(one.status == 200, one.uri .. " was answered " .. one.status)
end
local agents = {}
for _, one in ipairs(s:requests()) do
  agents[one.headers.host] = one.headers["user-agent"]
end
must(agents["api.squarecloud.app"] == "squarecloud-sdk-js/" .. seen.version,
  "it did not ask the API by its name")
must(agents["snapshots.squarecloud.app"],
  "it did not ask the store by its name")
print(("peers: @squarecloud/api %s on Node.js %s: creates, lists, downloads; "
  .. "what it sees, we see"):format(seen.version, seen.node))
