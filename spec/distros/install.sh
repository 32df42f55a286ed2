#!/bin/sh
# What README says of installing, on a bare Debian that may be thrown away:
# the source rock for everybody and for one user, and make install; each is seen
# to run without an environment, and to leave nothing when it is removed.
#   sh spec/distros/install.sh ROCK
# as root, from a checkout.  Ends at the first fault.
set -eu
rock=$1
work=$(mktemp -d)
chmod 755 "$work"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

say() { echo "install: $*"; }
fail() {
  echo "install: FAILED: $*"
  exit 1
}
quietly() { # quietly COMMAND...: what it says only when it fails
  "$@" >"$work/log" 2>&1 || {
    cat "$work/log"
    fail "$*"
  }
}
runs() { # runs COMMAND...: it says its version
  said=$("$@" --version) || fail "$*"
  case $said in
  "squaresnap "[0-9]*) ;;
  *) fail "$* says: $said" ;;
  esac
}
refuses() { # refuses PATTERN COMMAND...: in one line, beside those of make
  pattern=$1
  shift
  ! "$@" >"$work/log" 2>&1 || fail "is not refused: $*"
  if [ "$(grep -vc '^make' "$work/log")" != 1 ] ||
    ! grep -q "$pattern" "$work/log"; then
    cat "$work/log"
    fail "not the one line '$pattern': $*"
  fi
}
as_user() { # as_user COMMAND...: from the home of somebody
  (cd "$home" && runuser -u somebody -- env -i HOME="$home" PATH="$PATH" \
    LUAROCKS_CONFIG="$LUAROCKS_CONFIG" "$@")
}
installed() { find /usr/local /opt "$home" "$@" | sort; }
# for LuaRocks, which keeps a list and removes every empty folder
in_rocks() { installed ! -type d ! -name manifest; }
nothing_left() { # nothing_left AFTER [installed | in_rocks]
  ${2:-installed} | diff "$work/before" - || fail "$1 leaves something behind"
}

if command -v lua5.4 >/dev/null; then fail "this is no bare machine"; fi
say "make dist says what it needs"
refuses '^dist: please install: luarocks zip$' make -s dist

sed -e :a -e '/\\$/{N;s/ *\\\n */ /;ta' -e '}' README.md |
  sed -n 's/^\(sudo \)\{0,1\}\(apt-get install .*\)/\2/p' >"$work/lines"
grep -q luarocks "$work/lines" || fail "README has no apt-get line for the rock"
quietly apt-get update
while read -r line; do
  say "$line"
  # shellcheck disable=SC2086
  quietly $line -y --no-install-recommends </dev/null
done <"$work/lines"

# no server to ask; what Debian's packages provide
export LUAROCKS_CONFIG="$work/config.lua"
cat >"$LUAROCKS_CONFIG" <<END
rocks_servers = {}
rocks_provided = {
  ["lua-cjson"] = "2.1.0-1", luafilesystem = "1.8.0-1", argparse = "0.7.1-1",
}
END
quietly apt-get install -y --no-install-recommends \
  lua-cjson lua-filesystem lua-argparse
cp "$rock" "$work/"
rock=$work/$(basename "$rock")
home="/home/a name"
useradd -m -d "$home" -s /bin/sh somebody
in_rocks >"$work/before"

say "the rock, for everybody"
quietly luarocks --lua-version=5.4 install "$rock"
! grep -i 'warning:' "$work/log" || fail "it compiles with warnings"
runs env -i HOME=/root PATH=/usr/bin:/bin /usr/local/bin/squaresnap
[ "$(ls /usr/local/share/lua/5.4)" = squarecloud ] ||
  fail "there is more than squarecloud/ among the Lua modules"
[ -e /usr/local/lib/luarocks/rocks-5.4/squarecloud/*/doc/squaresnap.1 ] ||
  fail "no documentation in the rock's folder"
quietly luarocks --lua-version=5.4 remove squarecloud
nothing_left "luarocks remove" in_rocks

say "the rock, for one user"
quietly as_user luarocks --lua-version=5.4 --local install "$rock"
runs as_user env -i "$home/.luarocks/bin/squaresnap"
# shellcheck disable=SC2016
quietly as_user sh -c 'eval "$(luarocks --lua-version=5.4 path)"
  lua5.4 -e "require[[squarecloud]].Client[[key]]:close()"'
quietly as_user luarocks --lua-version=5.4 --local remove squarecloud
nothing_left "luarocks remove" in_rocks

quietly apt-get install -y --no-install-recommends \
  bash-completion zsh fish man-db
quietly make -s all
cp -a . "$home/checkout"
chown -R somebody: "$home/checkout"
cat >"$work/look.sh" <<'END'
# look.sh SAID PREFIX: what a shell gets from PREFIX that has set what make
# install said.
set -eu
same() { [ "$1" = "$2" ] || { echo "'$2' instead of '$1'" && exit 1; }; }
set_by() { grep '^export' "$1" || true; }
eval "$(set_by "$1")"
same "$2/bin/squaresnap" "$(command -v squaresnap)"
same "$2/share/lua/5.4/squarecloud/init.lua" "$(lua5.4 -e '
  require("squarecloud").Client("key"):close()
  print(package.searchpath("squarecloud", package.path))')"
[ "$(man -w squaresnap)" -ef "$2/share/man/man1/squaresnap.1" ]
same "rehearse" "$(fish -c 'complete -C "squaresnap reh"' | cut -f 1)"
same "_squaresnap" "$(zsh -fc "$(sed -n 's/^# fpath/fpath/p' "$1")
  autoload -U compinit && compinit -uD
  print -r -- \$_comps[squaresnap]")"
same "-F _squaresnap squaresnap" "$(bash --norc -ic '
  . /usr/share/bash-completion/bash_completion
  if type _comp_load; then _comp_load squaresnap; else
    _completion_loader squaresnap; fi >/dev/null
  complete -p squaresnap' 2>/dev/null | grep -o -e '-F .*')"
END
walk() { # walk PREFIX AS: installs as root or as somebody
  say "make install PREFIX='$1', as ${2#as_}"
  installed >"$work/before"
  "$2" make -s install PREFIX="$1" >"$work/said" || fail "make install"
  runs env -i "$1/bin/squaresnap"
  quietly "$2" make -s uninstall PREFIX="$1"
  nothing_left "make uninstall"
  "$2" make -s install PREFIX="$1" >"$work/said" || fail "make install, again"
  quietly "$2" sh "$work/look.sh" "$work/said" "$1"
  quietly "$2" make -s uninstall PREFIX="$1"
}
as_root() { env -i HOME=/root PATH="$PATH" "$@"; }
as_owner() { as_user env -C checkout "$@"; }
walk /usr/local as_root
walk "/opt/my lua" as_root
walk "$home/.local" as_owner

say "make install refuses, and leaves nothing"
installed >"$work/before"
refuses '^install: cannot write to /usr/local' \
  as_owner make -s install PREFIX=/usr/local
mkdir "$work/full"
mount -t tmpfs -o size=500k tmpfs "$work/full"
refuses '^install: cannot write .* (No space left on device)$' \
  make -s install PREFIX="$work/full/x"
[ -z "$(ls "$work/full")" ] || fail "half of it is in $work/full"
umount "$work/full"
nothing_left "a refusal"

say "the command names the package that is missing"
quietly make -s install
for package in lua-cjson lua-filesystem lua-argparse; do
  quietly dpkg --remove --force-depends $package
  refuses "^squaresnap: the Lua module .* Debian's package $package or" \
    env -i SQUARE_API_KEY=key HOME=/root /usr/local/bin/squaresnap sync --all \
    --dir "$work/mirror" --base-url http://127.0.0.1:1
done
quietly make -s uninstall
rm -rf "$work"
say "all of it works"
