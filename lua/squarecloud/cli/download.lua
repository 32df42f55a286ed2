-- squaresnap download ID

local failures = require "squarecloud.cli.failures"
local snapshots = require "squarecloud.cli.snapshots"
local transfer = require "squarecloud.cli.transfer"

-- What to download, and what is wrong with some of all; nil and an error.
local function choose(session, id)
  local options = session.options
  local list, err = snapshots.of(session, id)
  if not list then return nil, err end
  local one
  if options.all then
    snapshots.sort(list)
    local oldest_first = {}
    for i = #list, 1, -1 do oldest_first[#oldest_first + 1] = list[i] end
    return oldest_first, err
  elseif options.version_id then
    one, err = snapshots.version(list, id, options.version_id)
  else
    one, err = snapshots.newest(list, id)
  end
  if not one then return nil, err end
  return { one }
end

-- Whether another one is of the same second; the list is in order of time.
local function has_twin(list, i)
  local second = list[i].timestamp // 1
  local before, after = list[i - 1], list[i + 1]
  return before ~= nil and before.timestamp // 1 == second
    or after ~= nil and after.timestamp // 1 == second
end

return function(session)
  local options = session.options
  local id = options.id
  local path, filename = transfer.target(options.output)
  if filename and options.all then
    session:refuse("--all needs a folder: -o names a single file")
  elseif filename and (filename:find "[%c\\]" or #filename > 241) then
    session:refuse "-o: that is not a plain file name"
  end
  local chosen, err = choose(session, id)
  if not chosen then return session:report(err, { id = id }) end
  local tally = failures.tally()
  if err then tally:failed(err) end
  local bars <close> = session:progress()
  for i, info in ipairs(chosen) do
    local target = { path = path, filename = filename }
    if options.all then
      target.filename = transfer.name(info, has_twin(chosen, i))
      target.skip = not options.force
    end
    local ok, why = transfer.one(session, info, id, target, bars)
    if ok then tally:succeeded() else tally:failed(why) end
  end
  if #chosen == 0 then session.console:note("no snapshots") end
  return tally:exit_code()
end
