#!/bin/sh
# make rock: the rock's whole life, offline and beside the checkout: luarocks
# lint, make into a local tree, test, pack, install; then what make dist makes
# goes into an empty tree, and the demo's main job runs from there.
# $1: the folder for all of it, emptied first.  SPECS: which specs `test` runs.
set -eu

say() { printf '== rock: %s\n' "$*"; }
fail() {
  printf 'rock: %s\n' "$*" >&2
  exit 1
}

cd "$(dirname "$0")/../.."
root=$PWD
for tool in luarocks git; do
  command -v $tool >/dev/null || fail "$tool is needed"
done
mkdir -p "$1"
work=$(cd "$1" && pwd)
[ "$work" != "$root" ] || fail "a folder of its own is needed"

# what make, a shell that uses the checkout, or a user's settings would add
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES 2>/dev/null || true
unset LUA_PATH LUA_CPATH LUA_PATH_5_4 LUA_CPATH_5_4 LUA_INIT LUA_INIT_5_4
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
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
git init -q .
git add -A
git -c user.name=rock -c user.email=rock@localhost commit -qm rock
rockspec=$(echo rockspec/squarecloud-scm-*.rockspec)

# compiles ARGUMENTS...: luarocks with these, which must say no warning
compiles() {
  rocks "$@" >"$work/log" 2>&1 || {
    cat "$work/log"
    fail "luarocks $1 failed"
  }
  ! grep -i 'warning:' "$work/log" || fail "the rock compiles with warnings"
  grep 'is now installed' "$work/log"
}

say lint
for one in rockspec/*.rockspec; do rocks lint "$one"; done

say make
compiles make --tree="$work/tree"
left=$(git status --porcelain)
[ -z "$left" ] || fail "what luarocks make leaves is not ignored: $left"
git clean -qfdX

say "test: the rockspec's command"
rocks test "$rockspec"

say pack, and install into an empty tree
cd "$work"
rocks pack --tree="$work/tree" squarecloud
rm -rf "$work/tree"
rocks install --tree="$work/tree" "$(echo "$work"/squarecloud-*.rock)"

say the source rock, into an empty tree
rock=$(sh source/spec/support/dist.sh "$work/dist" | tail -n 1)
compiles install --tree="$work/installed" "$rock"
[ "$(ls "$work/installed/share/lua/5.4")" = squarecloud ] ||
  fail "it puts more than squarecloud/ among the Lua modules"

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

say the command, without an environment
env -i "$work/installed/bin/squaresnap" --version
say done
