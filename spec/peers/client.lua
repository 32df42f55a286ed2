-- Runs client.cjs against the test server, and checks that the platform's
-- client is content with it; then looks at the same snapshots with our client:
-- both must see the same.
--   lua5.4 spec/peers/client.lua FOLDER     (it has the node_modules)

package.path = "./?.lua;" .. package.path
local cjson = require "cjson"
local luassert = require "luassert"
local command = require "spec.peers.command"
local helpers = require "spec.support.helpers"
local server = require "spec.support.server"
local zips = require "spec.support.zips"

local modules = arg[1]
local s <close> = server.start()
local dir <close> = helpers.tmpdir()
local app_id, other_id = s.apps[1], s.apps[2]
helpers.write_file(dir .. "/one.zip",
  (zips.build { { name = "by/peer.txt", data = "zipped" } }))

local function check(words, want, got)
  luassert.message("peers: " .. words).same(want, got)
end

-- What the client saw in one round, and the requests that it made.
local function run(round)
  local before = #s:requests()
  local pipe = assert(io.popen(command(s, modules, "spec/peers/client.cjs",
    dir.path, round, app_id, other_id)))
  local text = pipe:read "a"
  check("the JavaScript client failed", true, pipe:close())
  return cjson.decode(text), table.move(s:requests(), before + 1, 1000, 1, {})
end

-- An address or key with the platform's store as our server's, and without
-- what depends on the second in which a list was asked for.
local function ours(url)
  return (url:gsub("^https://snapshots%.squarecloud%.app", s.snapshots_url)
    :gsub("(%f[%w]Expires=)%d+", "%1"):gsub("(%f[%w]Signature=)[^&]+", "%1"))
end

local seen, requests = run "granted"
for _, one in ipairs(requests) do
  check(one.uri, 200, one.status)
end
check("the account", s.account_id, seen.user.id)
check("its plan", "standard", seen.user.plan.name)
check("its applications", s.apps, seen.mine)
check("an application", { name = "melody-bot", ram = 512, language = "lua",
  same = "melody-bot" }, seen.application)
check("what actions do", {
  { "stop", true, false, "exited", false, false, false, "exited" },
  { "start", true, true, "running", true, true, true, "running" },
  { "restart", true, true, "running", true, true, true, "running" },
}, (function()
  local rows = {}
  for i, one in ipairs(seen.actions) do
    check("all statuses", #s.apps, one.all)
    rows[i] = { one.action, one.done, one.running, one.status, one.up,
      one.brief, one.used, one.full }
  end
  return rows
end)())

local uploads = seen.uploads
check("commits", { true, true }, uploads.commits)
check("what the commits left", { "zipped", "by a peer\n", 'print "hello"\n' },
  { helpers.read_file(s:app_dir(app_id) .. "/by/peer.txt"),
    helpers.read_file(s:app_dir(app_id) .. "/peer.txt"),
    helpers.read_file(s:app_dir(app_id) .. "/main.lua") })
check("what was uploaded", helpers.read_file(dir .. "/one.zip"),
  helpers.read_file(s:uploaded(uploads.made.id)))
check("the upload's answer", { uploads.name, "lua", true },
  { uploads.made.name, uploads.made.language.name, uploads.deleted })

local client <close> = helpers.client(s)
local infos = assert(client:all_app_snapshots(app_id))
check("it created two, one of them listed", { 2, 1 }, { #infos, seen.count })
for i, name in ipairs { "created", "listed" } do
  local zip <close> = assert(infos[i]:download { path = dir .. "/ours",
    filename = name .. ".zip" })
  check("what we download", helpers.read_file(("%s/%s.zip"):format(dir, name)),
    helpers.read_file(zip.path))
end
local listed, info = seen.listed, infos[2]
check("the addresses", ours(listed.url), ours(info.url))
check("the created one's address", ours(seen.created.url):match "^[^?]*",
  info.url:match "^[^?]*")
check("a version in what creating answers", nil,
  seen.created.key:find "versionId")
check("the keys", ours(listed.key), ours(info.key))
check("the sizes", listed.size, info.bytes)
check("the times", listed.modifiedTimestamp,
  math.floor(info.timestamp * 1000 + 0.5))

local agents = {}
for _, one in ipairs(requests) do
  agents[one.headers.host] = one.headers["user-agent"]
end
check("the API's agent", "squarecloud-sdk-js/" .. seen.version,
  agents["api.squarecloud.app"])
check("it asked the store by its name", true,
  agents["snapshots.squarecloud.app"] ~= nil)

s:configure { limits = { create_resource_ms = 3600000 }, upload_limit = 1,
  processing_ms = 3600000 }
check("what it makes of refusals", {
  key = "Access Denied", missing = "App Not Found",
  calm = "Rate Limit Exceeded: Try again later", large = "Payload Too Large",
  later = "Snapshot Processing",
}, (run "refused"))
print(("peers: @squarecloud/api %s on Node.js %s: all its calls are answered; "
  .. "what it sees, we see"):format(seen.version, seen.node))
