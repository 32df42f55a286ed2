#!/bin/sh
# make dist: the source rock, squarecloud-<version>-1.src.rock: what is
# committed, as an archive, and the rockspec that names it.
# $1: the folder for it, emptied first.
set -eu
fail() {
  printf 'dist: %s\n' "$*" >&2
  exit 1
}

cd "$(dirname "$0")/../.."
missing=""
for tool in git luarocks zip; do
  command -v $tool >/dev/null || missing="$missing $tool"
done
[ -z "$missing" ] || fail "please install:$missing"
top=$(git rev-parse --show-toplevel 2>&1) ||
  fail "git cannot read this folder: $(echo "$top" | head -n 1)"
[ "$top" -ef . ] || fail "$PWD is no git checkout"

version=$(sed -n 's/^#define SQ_VERSION "\(.*\)"/\1/p' csrc/config.h)
name=squarecloud-$version
rm -rf "$1"
mkdir -p "$1"
dir=$(cd "$1" && pwd)

[ -z "$(git status --porcelain)" ] ||
  echo "dist: what is not committed is left out" >&2
git archive --format=tar --prefix="$name/" HEAD | gzip -9n >"$dir/$name.tar.gz"
git show "HEAD:rockspec/$name-1.rockspec" >"$dir/$name-1.rockspec"

# a source rock is a ZIP of the two; `luarocks pack` would take the archive from
# an address only, and there is none
cd "$dir"
zip -qX "$name-1.src.rock" "$name-1.rockspec" "$name.tar.gz"
luarocks --lua-version=5.4 unpack "$name-1.src.rock" >log 2>&1 ||
  fail "luarocks cannot read it: $(cat log)"
rm -rf log "$name-1"
echo "$dir/$name-1.src.rock"
