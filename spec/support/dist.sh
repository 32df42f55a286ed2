#!/bin/sh
# make dist: squarecloud-<version>.tar.gz, what is committed; then that it
# builds, installs and does the main job from the unpacked tree.
# $1: the folder for it, emptied first.
set -eu
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^#define SQ_VERSION "\(.*\)"/\1/p' csrc/config.h)
name=squarecloud-$version
rm -rf "$1"
mkdir -p "$1/unpacked"
dir=$(cd "$1" && pwd)

git diff --quiet HEAD || echo "dist: what is not committed is left out" >&2
git archive --format=tar --prefix="$name/" HEAD | gzip -9n >"$dir/$name.tar.gz"

unset MAKEFLAGS MFLAGS MAKELEVEL LUA_PATH LUA_CPATH LUA_INIT 2>/dev/null || true
gzip -dc "$dir/$name.tar.gz" | tar xf - -C "$dir/unpacked"
cd "$dir/unpacked/$name"
make -s install DESTDIR="$dir/installed" PREFIX=/usr >"$dir/log" 2>&1 ||
  { cat "$dir/log"; exit 1; }
share=$dir/installed/usr/share/lua/5.4
LUA_PATH="$share/?.lua;$share/?/init.lua;;"
LUA_CPATH="$dir/installed/usr/lib/lua/5.4/?.so;;"
export LUA_PATH LUA_CPATH
rm -rf build lua # nothing is taken from there
lua5.4 spec/demo.lua
"$dir/installed/usr/bin/squaresnap" --version
echo "dist: $dir/$name.tar.gz"
