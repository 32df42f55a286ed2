-- What `sync` and `prune` share: the keep rules, the folder, and how the
-- mirror's results are shown.

local console = require "squarecloud.cli.console"
local failures = require "squarecloud.cli.failures"
local format = require "squarecloud.cli.format"
local json = require "squarecloud.cli.json"
local parser = require "squarecloud.cli.parser"

local mirrors = {}

--- The policy that the options state; nil when none. A bad one is refused.
function mirrors.policy(session)
  local policy = parser.policy(session.options)
  if not policy then return nil end
  local ok, why = require("squarecloud.retention").check_policy(policy)
  if not ok then
    session:refuse((console.show(why):gsub("keep_[%a_]+", function(name)
      return "--" .. name:gsub("_", "-")
    end)))
  end
  return policy
end

local function to_table(result)
  local fields = {}
  for name, value in pairs(result) do fields[name] = value end
  fields.err, fields.info, fields.key, fields.url = nil, nil, nil, nil
  if result.err then fields.error = failures.to_table(result.err) end
  if result.reasons then
    fields.reasons = json.array(table.move(result.reasons, 1,
      #result.reasons, 1, {}))
  end
  return fields
end

--- Prints results: one JSON list, or a line for each snapshot unless quiet.
function mirrors.print(session, results)
  local out, rows, list = session.console, {}, json.array()
  local retention = require "squarecloud.retention"
  for i, result in ipairs(results) do
    list[i] = to_table(result)
    if result.created_at then
      rows[#rows + 1] = { result.status,
        format.time(retention.parse_time(result.created_at),
        session.options.utc), format.size(result.bytes),
        console.show(result.path or result.id) }
      if result.reasons then
        table.insert(rows[#rows], 4, table.concat(result.reasons, ", "))
      elseif results.kept then
        table.insert(rows[#rows], 4, "")
      end
    end
  end
  out:document(list)
  if out.quiet then return end
  for _, line in ipairs(format.columns(rows, { [3] = true })) do
    out:line("%s", line)
  end
  out:flush()
end

return mirrors
