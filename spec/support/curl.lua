--- The command `curl` as a function, for specs that want to see what a client
-- that is not ours sees. Owns nothing; files go to the folder it is given.

local quote = require("spec.support.quote").shell

local curl = {}

--- A file's bytes, or nil.
function curl.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local bytes = file:read "a"
  file:close()
  return bytes
end

--- Runs a command of the shell: its exit code, and what it wrote.
function curl.shell(command)
  local pipe = assert(io.popen(command .. " 2>&1", "r"))
  local out = pipe:read "a"
  local _, _, code = pipe:close()
  return code, out
end

--- Runs curl on an address; further arguments are its options.
-- @return { rc, out, status (0: none came), head, headers (lower-case names),
-- body, seconds, redirects, version }
function curl.run(ca_file, folder, url, ...)
  local head, body = folder .. "/head", folder .. "/body"
  os.remove(head)
  os.remove(body)
  local parts = { "curl -sS --noproxy '*' --max-time 20",
    "--cacert " .. quote(ca_file), "-o " .. quote(body), "-D " .. quote(head),
    "-w '\n%{http_code} %{time_total} %{num_redirects} %{http_version}'" }
  for _, part in ipairs { ... } do parts[#parts + 1] = quote(part) end
  parts[#parts + 1] = quote(url)
  local rc, out = curl.shell(table.concat(parts, " "))
  local seen = { rc = rc, out = out, head = curl.read(head) or "",
    body = curl.read(body) or "", headers = {} }
  local status, seconds, redirects, version =
    out:match("\n(%d+) ([%d.]+) (%d+) ([%d.]+)$")
  seen.status, seen.seconds = tonumber(status), tonumber(seconds)
  seen.redirects, seen.version = tonumber(redirects), version
  for name, value in seen.head:gmatch("([^\r\n:]+): ([^\r\n]*)") do
    seen.headers[name:lower()] = value
  end
  return seen
end

return curl
