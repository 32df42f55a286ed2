-- squaresnap quota

local account = require "squarecloud.cli.account"
local console = require "squarecloud.cli.console"
local failures = require "squarecloud.cli.failures"
local format = require "squarecloud.cli.format"

return function(session)
  local out = session.console
  local found, err = account.quota(session:client())
  if not found then return session:report(err) end
  local tally = failures.tally()
  tally:succeeded()
  local problem = session:problems(found)
  if problem then tally:failed(problem) end
  out:document { plan = found.plan, memory_mb = found.memory_mb,
    limit = found.limit, used = found.used, left = found.left,
    next_free_at = found.next_free_at
      and format.iso(math.ceil(found.next_free_at)) }
  local rows = { { "plan", console.show(found.plan or "-") .. ", "
    .. format.memory(found.memory_mb) },
    { "limit", ("%d in 24 hours"):format(found.limit) },
    { "made", tostring(found.used) }, { "left", tostring(found.left) } }
  if found.next_free_at then
    rows[5] = { "next at", format.time(found.next_free_at,
      session.options.utc) }
  end
  for _, line in ipairs(format.columns(rows)) do out:line("%s", line) end
  return tally:exit_code()
end
