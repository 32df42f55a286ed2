#!/bin/sh
# make rock: the rock's whole life, offline and beside the checkout: luarocks
# lint, make into a local tree, test, pack; then the packed rock goes into an
# empty tree, and the demo's main job runs from there.
# $1: the folder for all of it, emptied first.  SPECS: which specs `test` runs.
set -eu

say() { printf '== rock: %s\n' "$*"; }
fail() {
  printf 'rock: %s\n' "$*" >&2
  exit 1
}

cd "$(dirname "$0")/../.."
root=$PWD
command -v luarocks >/dev/null || fail "luarocks is needed"
mkdir -p "$1"
work=$(cd "$1" && pwd)
[ "$work" != "$root" ] || fail "a folder of its own is needed"

# what make, a shell that uses the checkout, or a user's settings would add
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES 2>/dev/null || true
unset LUA_PATH LUA_CPATH LUA_PATH_5_4 LUA_CPATH_5_4 LUA_INIT LUA_INIT_5_4
rm -rf "$work"
mkdir -p "$work/source" "$work/home" "$work/elsewhere"
export HOME="$work/home" LUAROCKS_CONFIG="$work/config.lua"
unset XDG_CONFIG_HOME XDG_CACHE_HOME 2>/dev/null || true
cat >"$LUAROCKS_CONFIG" <<END
-- no server to ask; what the system's packages provide
rocks_servers = {}
rocks_provided = {
  ["lua-cjson"] = "2.1.0-1", luafilesystem = "1.8.0-1", argparse = "0.7.1-1",
}
local_cache = "$work/cache"
END
rocks() { luarocks --lua-version=5.4 "$@"; }

# luarocks make builds where the sources are
tar cf - --exclude=./build --exclude=./.git --exclude='*.o' --exclude='*.so' \
  --exclude='*.rock' . | tar xf - -C "$work/source"
cd "$work/source"
rockspec=$(echo rockspec/squarecloud-scm-*.rockspec)

say lint
rocks lint "$rockspec"

say make
rocks make --tree="$work/tree" >"$work/make.log" 2>&1 || {
  cat "$work/make.log"
  fail "luarocks make failed"
}
if grep -i 'warning:' "$work/make.log"; then
  fail "the rock does not compile without warnings"
fi
grep 'is now installed' "$work/make.log"
rm -rf squarecloud # what luarocks leaves lying
find csrc -name '*.o' -exec rm {} +

say "test: the rockspec's command"
rocks test "$rockspec"

say pack
cd "$work"
rocks pack --tree="$work/tree" squarecloud
rock=$(echo "$work"/squarecloud-*.rock)

say install into an empty tree
rm -rf "$work/tree"
rocks install --tree="$work/installed" "$rock"

say the demo, from there
cp -R "$work/source/spec" "$work/elsewhere/spec"
rm -rf "$work/source"
cd "$work/elsewhere"
eval "$(rocks path --no-bin --tree="$work/installed")"
for name in squarecloud squarecloud.core; do
  lua5.4 - "$name" "$work/installed/" <<'END'
local name, tree = ...
local file = package.searchpath(name, package.path)
  or assert(package.searchpath(name, package.cpath))
assert(file:sub(1, #tree) == tree, name .. " comes from " .. file)
END
done
lua5.4 spec/demo.lua

command=$work/installed/bin/squaresnap
if [ -e "$command" ]; then
  say the command
  env -i PATH="$PATH" HOME="$HOME" "$command" --version
fi
say done
