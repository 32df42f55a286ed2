-- squaresnap prune

local failures = require "squarecloud.cli.failures"
local format = require "squarecloud.cli.format"
local mirrors = require "squarecloud.cli.mirrors"

local NOT_ASKED = "not asked about"

-- Shows what would go and asks. Gives the policy that removes nothing else,
-- whatever a sync brings while the question waits; nil and an error.
local function agree(session, mirror, policy)
  local out, shown = session.console, {}
  local plan, err = mirror:prune(policy, { dry_run = true })
  if not plan then return nil, err end
  for _, result in ipairs(plan) do
    if result.status == "planned" then
      shown[result.path] = true
      io.stderr:write("  ", require("squarecloud.cli.console").show(
        result.path), "\n")
    end
  end
  local what = plan.planned == 1 and "this file"
    or ("these %d files"):format(plan.planned)
  local answer = plan.planned == 0 and "y" or out:ask(
    "Remove %s, %s? [y/N]", what, format.size(plan.bytes))
  if not answer or not answer:lower():find "^%s*y" then
    session:refuse("nothing was removed", 1)
  end
  policy.keep = function(entry) return not shown[entry.path] and NOT_ASKED end
  return policy
end

-- What a rule keeps, too, is kept by that.
local function drop_reason(results)
  for _, result in ipairs(results) do
    local reasons = result.reasons
    if reasons and reasons[1] == NOT_ASKED and reasons[2] then
      result.reasons = table.move(reasons, 2, #reasons, 1, {})
    end
  end
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
    dir = options.dir, create = false, lock = not options.no_lock }
  if not mirror then return session:report(err) end
  if asks then
    policy, err = agree(session, mirror, policy)
    if not policy then return session:report(err) end
  end
  local results
  results, err = mirror:prune(policy, { dry_run = options.dry_run })
  if not results then return session:report(err) end
  drop_reason(results)
  return tell(session, results)
end
