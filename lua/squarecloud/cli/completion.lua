-- squaresnap completion bash|zsh|fish

-- argparse offers bash and fish no choices of an argument.
local ADDED = {
  bash = { "    case \"$cmd\" in\n", [[
        'completion')
            COMPREPLY=($(compgen -W "bash zsh fish" -- "$cur"))
            ;;
]] },
  fish = { "$", "complete -c squaresnap -n '__fish_squaresnap_using_command "
    .. "completion' -xa 'bash zsh fish'\n" },
}

return function(session)
  local shell = session.options.shell
  local main = require("squarecloud.cli.parser").new(function() end)
  local script = main["get_" .. shell .. "_complete"](main)
  local added = ADDED[shell]
  if added then
    script = script:gsub(added[1], function(found)
      return found .. added[2]
    end, 1)
  end
  session.console:write(script)
  return 0
end
