#!/bin/sh
# make coverage: the suite with both languages' lines counted (C by gcov, Lua by
# lines.c), then report.lua.  $1: the folder to build in, emptied first; SPECS:
# which specs.  Specs that fail are told of, and fail this too.
set -eu
cd "$(dirname "$0")/../.."
rm -rf "$1"
mkdir -p "$1"
dir=$(cd "$1" && pwd)
# shellcheck disable=SC2046
cc -std=gnu11 -O2 -shared -fPIC -Wl,-z,nodelete $(pkg-config --cflags lua5.4) \
  -DCOVERAGE_DIR="\"$dir\"" -o "$dir/lines.so" spec/coverage/lines.c -lpthread
status=0
LUA_INIT="package.loadlib('$dir/lines.so', 'luaopen_lines')()" \
  make -s check B="$1" SPECS="${SPECS:-spec}" \
  CFLAGS="-O0 -g --coverage -fprofile-update=atomic" || status=1
lua5.4 spec/coverage/report.lua "$dir" || status=1
exit $status
