#!/bin/sh
# make install, for a Lua that has no LuaRocks, and make uninstall.
#   sh spec/support/install.sh CORE DESTDIR PREFIX LUA
#   sh spec/support/install.sh --remove DESTDIR PREFIX
# What was put where is written down beside the module, so that uninstall takes
# that away, with the folders that were made for it, and nothing else.
set -eu
umask 022
export LC_ALL=C
name=install
[ "$1" != --remove ] || name=uninstall
core=$1 destdir=$2 prefix=$3 lua=${4:-lua5.4}

fail() {
  printf '%s: %s\n' "$name" "$*" >&2
  exit 1
}

case $prefix in
"~" | "~/"*) prefix=$HOME${prefix#"~"} ;; # not every shell has expanded it
esac
case $prefix in
/*) ;;
*) prefix=$PWD/$prefix ;;
esac
while [ "$prefix" != "${prefix%/}" ]; do prefix=${prefix%/}; done
cd "$(dirname "$0")/../.."
modules=$prefix/share/lua/5.4
objects=$prefix/lib/lua/5.4
record=$objects/squarecloud/installed.txt # folders end in a slash

# The paths below are PREFIX's; DESTDIR goes before each when it is touched.
can_write() { # can_write LIST: the folders of its files, or what will hold them
  sed 's,/[^/]*$,,' "$1" | sort -u >"$work/folders"
  while IFS= read -r folder; do
    while [ ! -e "$destdir$folder" ] && [ -n "$folder" ]; do
      folder=${folder%/*}
    done
    [ -d "$destdir$folder/" ] && [ -w "$destdir$folder/" ] ||
      fail "cannot write to $destdir${folder:-/}"
  done <"$work/folders"
}
make_folder() {
  [ ! -d "$destdir$1/" ] || return 0
  make_folder "${1%/*}"
  mkdir "$destdir$1" 2>/dev/null || fail "cannot make $destdir$1"
  echo "$1/" >>"$done"
}
remove() { # remove RECORD
  grep -v '/$' "$1" | while IFS= read -r path; do rm -f "$destdir$path"; done
  sort -r "$1" | sed -n 's,/$,,p' | while IFS= read -r path; do
    rmdir "$destdir$path" 2>/dev/null || true
  done
}
finish() {
  code=$?
  [ -z "$copying" ] || remove "$done"
  rm -rf "$work"
  exit $code
}
copying=""
work=$(mktemp -d)
done=$work/done
trap finish EXIT
trap 'exit 1' HUP INT TERM
: >"$done"

# What an earlier install has put there, for this PREFIX.
: >"$work/before"
if [ -e "$destdir$record" ]; then
  cp "$destdir$record" "$work/before"
  grep -Fxq "$record" "$work/before" ||
    fail "$destdir$record is of another PREFIX"
fi

if [ $name = uninstall ]; then
  [ -s "$work/before" ] || fail "nothing that make install put there is in" \
    "$destdir$prefix"
  grep -v '/$' "$work/before" >"$work/paths"
  can_write "$work/paths"
  remove "$work/before"
  exit
fi

case $prefix in
*[\;?[:cntrl:]]*) fail "Lua finds no modules in a PREFIX with ; or ? in it" ;;
esac
lua=$(command -v "$lua") || fail "$4 is needed"
[ -z "$destdir" ] || mkdir -p "$destdir"

# The command is the checkout's, but finds its modules by itself.
command=lua/squarecloud/bin/squaresnap
"$lua" - "$lua" "$modules" "$objects" >"$work/squaresnap" <<'END_OF_LUA'
local lua, modules, objects = ...
local file <close> = assert(io.open "lua/squarecloud/bin/squaresnap")
local first, rest = file:read("L", "a")
if lua:find "^/%S*$" then first = "#!" .. lua .. "\n" end
io.write(first, ("package.path = %q .. package.path\n"):format(
  modules .. "/?.lua;" .. modules .. "/?/init.lua;"))
io.write(("package.cpath = %q .. package.cpath\n"):format(
  objects .. "/?.so;"), rest)
END_OF_LUA
run() {
  LUA_PATH="$PWD/lua/?.lua;$PWD/lua/?/init.lua;${LUA_PATH:-;}" \
    LUA_CPATH="${core%/squarecloud/core.so}/?.so;${LUA_CPATH:-;}" \
    "$lua" "$command" "$@"
}
version=$(run --version)
for shell in bash zsh fish; do run completion $shell >"$work/$shell"; done

# from where, to where, how
tab=$(printf '\t')
put() { echo "$1$tab$2$tab$3" >>"$work/files"; }
find lua/squarecloud -name '*.lua' | while IFS= read -r file; do
  put "$file" "$modules/${file#lua/}" 644
done
put "$core" "$objects/squarecloud/core.so" 755
put "$work/squaresnap" "$prefix/bin/squaresnap" 755
share=$prefix/share
put doc/squaresnap.1 "$share/man/man1/squaresnap.1" 644
put "$work/bash" "$share/bash-completion/completions/squaresnap" 644
put "$work/zsh" "$share/zsh/site-functions/_squaresnap" 644
put "$work/fish" "$share/fish/vendor_completions.d/squaresnap.fish" 644
put "$done" "$record" 644

cut -f 2 "$work/files" >"$work/paths"
can_write "$work/paths"
grep -Fxvf "$work/before" "$work/paths" >"$work/new" || true
while IFS= read -r to; do
  [ ! -e "$destdir$to" ] || fail "$destdir$to is there, and not from make" \
    "install: remove it first (luarocks --lua-version=5.4 remove squarecloud," \
    "if that put it there)"
done <"$work/new"

[ ! -s "$work/before" ] || remove "$work/before"
copying=yes
while IFS=$tab read -r from to mode; do
  make_folder "${to%/*}"
  echo "$to" >>"$done"
  why=$(install -m "$mode" "$from" "$destdir$to" 2>&1) ||
    fail "cannot write $destdir$to${why:+ (}${why##*: }${why:+)}"
done <"$work/files"
copying=""

echo "$version is in $destdir$prefix/bin"
[ -n "$destdir" ] || "$lua" spec/support/exports.lua "$prefix"
