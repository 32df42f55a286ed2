--- For make check-gc: how this process's collector goes, by COLLECT: from the
-- start of each test file, "generational", or "always" (a full cycle with
-- almost every allocation that may start one).  A helper of busted, and -l in
-- children.

local how = os.getenv "COLLECT"

if how == "generational" then
  collectgarbage("generational", 5, 50)
elseif how == "always" then
  collectgarbage("incremental", 1, 1000, 0)
elseif how then
  error("COLLECT: " .. how)
end
