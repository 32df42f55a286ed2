-- squaresnap completion bash|zsh|fish

-- What argparse's scripts lack, as a pattern and what takes its place: bash and
-- fish offer no choices of an argument; zsh's could only be autoloaded.
local MENDED = {
  bash = { "    case \"$cmd\" in\n", [[
%0        'completion')
            COMPREPLY=($(compgen -W "bash zsh fish" -- "$cur"))
            ;;
]] },
  fish = { "$", "complete -c squaresnap -n '__fish_squaresnap_using_command "
    .. "completion' -xa 'bash zsh fish'\n" },
  zsh = { "\n_squaresnap\n$", [[

if [ "$funcstack[1]" = _squaresnap ]; then
  _squaresnap "$@"
else
  compdef _squaresnap squaresnap
fi
]] },
}

return function(session)
  local shell = session.options.shell
  local main = require("squarecloud.cli.parser").new(function() end)
  local script = main["get_" .. shell .. "_complete"](main)
  session.console:write((script:gsub(MENDED[shell][1], MENDED[shell][2], 1)))
  return 0
end
