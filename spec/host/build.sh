#!/bin/sh
# build.sh FOLDER: builds FOLDER/host, a program with Lua, lua-cjson, the
# module's C and its Lua files inside (host.c).  CC and CFLAGS are heeded.
set -eu
cd "$(dirname "$0")/../.."
out=$1

# lua-cjson: the static library of Debian's lua-cjson-dev, else the file that
# Lua itself would load; a host of yours may as well compile lua_cjson.c,
# strbuf.c and fpconv.c
if pkg-config --exists lua5.4-cjson; then
  cjson="-Wl,-Bstatic $(pkg-config --libs lua5.4-cjson)"
else
  cjson=$(lua5.4 -e 'print((package.searchpath("cjson", package.cpath)))')
fi

lua5.4 spec/host/embed.lua >"$out/embedded.c"

# shellcheck disable=SC2086,SC2046
${CC:-cc} -std=c11 ${CFLAGS:--O2} -o "$out/host" \
  -Ispec/host $(pkg-config --cflags lua5.4 libcurl libzip) \
  spec/host/host.c "$out/embedded.c" csrc/*.c csrc/*/*.c \
  $cjson -Wl,-Bstatic $(pkg-config --libs lua5.4) -Wl,-Bdynamic \
  $(pkg-config --libs libcurl libzip) -lpthread -lm -ldl
