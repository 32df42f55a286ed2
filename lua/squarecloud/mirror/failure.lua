-- What the mirror returns behind nil: errors of the same shape as a client's
-- (kind, message, operation, errno, retryable; tostring and `..` give one line
-- fit for a person). They share the client's metatable where this Lua state
-- lets it be found, and else have one that does the same.

local failure = {}

local FIELDS_BEFORE = { "operation", "kind" }

local function to_text(err)
  local parts = {}
  for _, name in ipairs(FIELDS_BEFORE) do
    if type(err[name]) == "string" then
      parts[#parts + 1] = err[name]
    end
  end
  parts[#parts + 1] = tostring(err.message)
  return table.concat(parts, ": ")
end

local own = {
  __name = "squarecloud.Error",
  __tostring = to_text,
  __concat = function(a, b)
    return tostring(a) .. tostring(b)
  end,
}

local function metatable()
  local registry = debug and debug.getregistry and debug.getregistry()
  return registry and registry["squarecloud.Error"] or own
end

-- Control characters, and those that turn the writing direction round, as
-- \xHH: paths and ids come from outside.
local function show(text)
  local function code(c)
    return (c:gsub(".", function(b)
      return string.format("\\x%02X", b:byte())
    end))
  end
  return (text:gsub("[\0-\31\127]", code):gsub("\194[\128-\159]", code)
    :gsub("\226\128[\142\143\170-\174]", code)
    :gsub("\226\129[\166-\169]", code))
end

-- An error of `kind`; `fields` holds operation, errno and what else there is.
function failure.new(kind, message, fields)
  local err = { retryable = false, sent = false }
  for name, value in pairs(fields or {}) do
    err[name] = value
  end
  err.kind, err.message = kind, show(message)
  return setmetatable(err, metatable())
end

-- The same with what a script can do about it, at the message's end and in
-- the field `advice`.
function failure.advise(kind, message, advice, errno)
  return failure.new(kind, message .. "; " .. advice,
    { advice = advice, errno = errno })
end

-- The disk said no: "<what> <path>: <reason>". `reason` and `errno` are as the
-- io, os and lfs functions give them.
function failure.disk(what, path, reason, errno)
  reason = tostring(reason)
  if reason:sub(1, #path + 2) == path .. ": " then
    reason = reason:sub(#path + 3)
  end
  return failure.new("filesystem", what .. " " .. path .. ": " .. reason,
    { errno = errno })
end

failure.show = show

return failure
