-- squaresnap prune

local failures = require "squarecloud.cli.failures"
local format = require "squarecloud.cli.format"
local mirrors = require "squarecloud.cli.mirrors"

-- Shows what would go and asks.
local function has_consent(session, mirror, policy)
  local out = session.console
  local plan, err = mirror:prune(policy, { dry_run = true })
  if not plan then return nil, err end
  if plan.planned == 0 then return true end
  for _, result in ipairs(plan) do
    if result.status == "planned" then
      io.stderr:write("  ", require("squarecloud.cli.console").show(
        result.path), "\n")
    end
  end
  local answer = out:ask("Remove these %d files, %s? [y/N]", plan.planned,
    format.size(plan.bytes))
  if not answer or not answer:lower():find "^%s*y" then
    session:refuse("nothing was removed", 1)
  end
  return true
end

local function tell(session, results)
  local tally = failures.tally()
  mirrors.print(session, results)
  for _, result in ipairs(results) do
    if result.status == "failed" then
      tally:failed(result.err)
      session:report(result.err)
    elseif result.status == "removed" then
      tally:succeeded()
    end
  end
  local dry_run = session.options.dry_run
  session.console:note("%d kept, %d %s, %s", results.kept,
    dry_run and results.planned or results.removed,
    dry_run and "to remove" or "removed", format.size(results.bytes))
  return tally:exit_code()
end

return function(session)
  local options, out = session.options, session.console
  local policy = mirrors.policy(session)
  if not policy then
    session:refuse "prune needs keep rules (--keep-last N, --keep-daily N …)"
  end
  local asks = not (options.yes or options.dry_run)
  if asks and not (out:is_terminal(0) and out:is_terminal(2)) then
    session:refuse "prune without a terminal needs --yes; nothing was removed"
  end
  local mirror <close>, err = require("squarecloud.mirror").open {
    dir = options.dir, create = false }
  if not mirror then return session:report(err) end
  if asks then
    local ok
    ok, err = has_consent(session, mirror, policy)
    if not ok then return session:report(err) end
  end
  local results
  results, err = mirror:prune(policy, { dry_run = options.dry_run })
  if not results then return session:report(err) end
  return tell(session, results)
end
