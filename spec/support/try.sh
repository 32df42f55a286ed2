#!/bin/sh
# make try: a shell in which squaresnap works, against the test server with a
# month behind it; with $TRY, or a script on stdin, only that.  $1: the Lua to
# run.  The server watches this process, and ends with it, its folder too; the
# shell gets a SIGHUP when this process ends before it.
set -eu
cd "$(dirname "$0")/../.."

interactive=
if [ -z "${TRY:-}" ] && [ -t 0 ]; then interactive=yes; fi
settings=$("$1" spec/try.lua $$ $interactive) || exit 1
eval "$settings"
command=${TRY:-}
unset TRY MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES MAKE_TERMOUT MAKE_TERMERR

[ -z "$command" ] || exec sh -c "$command"
[ -n "$interactive" ] || exec sh

shell=${SHELL:-/bin/sh}
[ -x "$shell" ] || shell=/bin/sh
export PS1='(try) $ '
case ${shell##*/} in
bash)
  cat >"$try_dir/bashrc" <<END
[ ! -r ~/.bashrc ] || . ~/.bashrc
PATH='$PATH'
PS1="(try) \$PS1"
eval "\$(squaresnap completion bash)"
END
  set -- --rcfile "$try_dir/bashrc" -i
  ;;
fish)
  set -- -C '
    functions -c fish_prompt try_fish_prompt
    function fish_prompt; echo -n "(try) "; try_fish_prompt; end
    squaresnap completion fish | source'
  ;;
*) set -- -i ;;
esac
setpriv --pdeathsig HUP "$shell" "$@" || exit 0 # its last command's status
