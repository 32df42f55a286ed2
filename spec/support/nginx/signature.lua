-- luacheck: std ngx_lua
--- The store's presigned addresses, signature version 2: the method, the path
-- as it stands in the address, Content-Type, the x-amz- headers and the
-- version are signed. Owns the test store's key pair; no state.

local cjson = require "cjson"

local ACCESS_KEY = "SQTESTACCESSKEY00001"
local SECRET = "the-secret-of-the-test-store"

local signature = { access_key = ACCESS_KEY }

--- Percent-encodes all but what RFC 3986 calls unreserved.
function signature.escape(text)
  return (text:gsub("[^%w%-%._~]",
    function(c) return ("%%%02X"):format(c:byte()) end))
end

--- A Lua value as JSON, slashes as they are.
function signature.json(value)
  return (cjson.encode(value):gsub("\\/", "/"))
end

local function digest(method, path, version, expires, headers)
  local amz = {}
  for name, value in pairs(headers) do
    if name:find("^x%-amz%-") then
      amz[#amz + 1] = name .. ":" .. tostring(value) .. "\n"
    end
  end
  table.sort(amz)
  local resource = path .. (version and ("?versionId=" .. version) or "")
  return ngx.encode_base64(ngx.hmac_sha1(SECRET, table.concat {
    method, "\n\n", headers["content-type"] or "", "\n", expires, "\n",
    table.concat(amz), resource }))
end

--- The query string that opens a path of the store until a time.
function signature.sign(path, version, expires)
  local key = ("AWSAccessKeyId=%s&Expires=%d&Signature=%s"):format(ACCESS_KEY,
    expires, signature.escape(digest("GET", path, version,
      ("%d"):format(expires), {})))
  return version and (key .. "&versionId=" .. version) or key
end

--- Checks a request. Returns true, or nil, the status, the store's code and
-- its words.
function signature.check(method, path, args, headers)
  local given, expires = args.Signature, args.Expires
  if not args.AWSAccessKeyId or not given or not expires then
    return nil, 403, "AccessDenied", "Access Denied"
  end
  if args.AWSAccessKeyId ~= ACCESS_KEY then
    return nil, 403, "InvalidAccessKeyId",
      "The AWS Access Key Id you provided does not exist in our records."
  end
  if given ~= digest(method, path, args.versionId, expires, headers) then
    return nil, 403, "SignatureDoesNotMatch", "The request signature we "
      .. "calculated does not match the signature you provided."
  end
  if not tonumber(expires) or tonumber(expires) < ngx.time() then
    return nil, 403, "AccessDenied", "Request has expired"
  end
  return true
end

return signature
