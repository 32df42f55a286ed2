-- squaresnap completion bash|zsh|fish

return function(session)
  local main = require("squarecloud.cli.parser").new(function() end)
  local get = main["get_" .. session.options.shell .. "_complete"]
  session.console:write(get(main))
  return 0
end
