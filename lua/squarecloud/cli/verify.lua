-- squaresnap verify FILE…

local console = require "squarecloud.cli.console"
local failures = require "squarecloud.cli.failures"
local format = require "squarecloud.cli.format"

local function check(path)
  local zip <close>, err = require("squarecloud").open_zip(path)
  if not zip then return nil, err end
  local ok, unverifiable = zip:test()
  if not ok then return nil, unverifiable end
  return { file = path, status = "ok", entries = #zip, bytes = zip.bytes,
    unverifiable = unverifiable }
end

return function(session)
  local out, tally = session.console, failures.tally()
  for _, path in ipairs(session.options.file) do
    local result, err = check(path)
    if result then
      tally:succeeded()
      out:line("ok  %s  %d %s, %s%s", console.show(path), result.entries,
        result.entries == 1 and "entry" or "entries",
        format.size(result.bytes), result.unverifiable > 0
        and (", %d not verifiable"):format(result.unverifiable) or "")
      out:document(result)
    else
      tally:failed(err)
      out:document { file = path, status = "failed",
        error = failures.to_table(err) }
      session:report(err, { file = path })
    end
  end
  return tally:exit_code()
end
