-- squaresnap completion bash|zsh|fish

return function(session)
  local main = require("squarecloud.cli.parser").new(function() end)
  session.console:write(main["get_" .. session.options.shell .. "_complete"](main))
  return 0
end
