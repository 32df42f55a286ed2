--- Run by LUA_INIT in this process and each lua5.4 that it starts: how the
-- collector goes, by COLLECT: "generational", or "always" (a step with every
-- KiB, and the next cycle at once).

local how = os.getenv "COLLECT"

if how == "generational" then
  collectgarbage("generational", 5, 50)
elseif how == "always" then
  collectgarbage("incremental", 1, 200, 10)
elseif how then
  error("COLLECT: " .. how)
end
