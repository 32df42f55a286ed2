--- Names that nobody guesses, for the server (LuaJIT) and who starts it (Lua).

--- As many bytes as `count`, in hexadecimal.
return function(count)
  local file = assert(io.open("/dev/urandom", "rb"))
  local bytes = file:read(count)
  file:close()
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end
