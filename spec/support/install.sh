#!/bin/sh
# make install: for a Lua that has no LuaRocks.  $1: the built core.so; $2:
# where to (DESTDIR and PREFIX as one), which gets lib/, share/ and bin/.
set -eu
cd "$(dirname "$0")/../.."
lib=$2/lib/lua/5.4/squarecloud
share=$2/share

install -d "$lib" "$2/bin" "$share/man/man1"
install -m 755 "$1" "$lib/core.so"
find lua/squarecloud -name '*.lua' | while read -r file; do
  to=$share/lua/5.4/${file#lua/}
  install -d "$(dirname "$to")"
  install -m 644 "$file" "$to"
done
install -m 755 lua/squarecloud/bin/squaresnap "$2/bin/squaresnap"
install -m 644 doc/squaresnap.1 "$share/man/man1/squaresnap.1"
