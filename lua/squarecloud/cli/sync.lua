-- squaresnap sync [ID…]

local lfs = require "lfs"
local console = require "squarecloud.cli.console"
local failures = require "squarecloud.cli.failures"
local format = require "squarecloud.cli.format"
local mirrors = require "squarecloud.cli.mirrors"

local JOBS = 4

-- What to sync, as the mirror takes it; wrong use is refused.
local function scope(session)
  local options = session.options
  local some = #options.id > 0
  if options.all and (some or options.database) then
    session:refuse("--all is the whole account: it takes no ids and no "
      .. "--database")
  elseif not (options.all or some) then
    session:refuse "sync needs ids, or --all for the whole account"
  end
  return { all = options.all, apps = not options.database and some
    and options.id or nil, databases = options.database and options.id or nil }
end

local function summary(out, results, dry_run)
  if dry_run then
    out:note("%d to download, %s", results.planned, format.size(results.bytes))
  elseif #results == 0 then
    out:note("nothing new")
  else
    local words = { ("%d downloaded, %s"):format(results.downloaded,
      format.size(results.bytes)) }
    for _, status in ipairs { "adopted", "failed", "skipped" } do
      if results[status] > 0 then
        words[#words + 1] = ("%d %s"):format(results[status], status)
      end
    end
    out:note("%s", table.concat(words, ", "))
  end
end

local function tell(session, results)
  local out, tally = session.console, failures.tally()
  mirrors.print(session, results)
  local problem = session:problems(results)
  if problem then
    tally:failed(problem)
    tally:succeeded() -- the rest of that list was read
  end
  for _, result in ipairs(results) do
    if result.status ~= "failed" then
      tally:succeeded()
    else
      tally:failed(result.err)
      session:report(result.err, { id = result.app_id or result.id,
        database = result.application_type == "database",
        transfer = result.path ~= nil })
      -- others were listed, or there would be no results
      if not result.path then tally:succeeded() end
    end
    if result.status == "downloaded" and result.err then
      out:warn("%s", console.show(tostring(result.err)))
    end
  end
  summary(out, results, session.options.dry_run)
  return tally:exit_code()
end

-- A dry run makes no folder: where there is none it plans with an empty one.
local function with_mirror(session, work)
  local dir, stand_in = session.options.dir, nil
  if session.options.dry_run and not lfs.attributes(dir) then
    stand_in = os.tmpname()
    os.remove(stand_in)
    local ok, why = require("squarecloud.core").posix.make_folder(stand_in)
    if not ok then session:refuse(stand_in .. ": " .. why, 1) end
  end
  local _ <close> = setmetatable({}, { __close = function()
    if stand_in then lfs.rmdir(stand_in) end
  end })
  local mirror <close>, err = require("squarecloud.mirror").open {
    dir = stand_in or dir, lock = not session.options.no_lock }
  local results
  if mirror then results, err = work(mirror) end
  if not stand_in then return results, err end
  for _, result in ipairs(results or {}) do
    result.path = result.path and dir .. result.path:sub(#mirror.dir + 1)
  end
  return results, err
end

return function(session)
  local options = session.options
  local wanted = scope(session)
  wanted.policy = mirrors.policy(session)
  wanted.concurrency = options.jobs or JOBS
  wanted.dry_run, wanted.adopt = options.dry_run, true
  options.concurrency = wanted.concurrency
  local client = session:client()
  local results, err = with_mirror(session, function(mirror)
    local bars <close> = session:progress()
    wanted.progress = bars
    session:under_way "transfer"
    return mirror:sync(client, wanted)
  end)
  if not results then return session:report(err) end
  return tell(session, results)
end
