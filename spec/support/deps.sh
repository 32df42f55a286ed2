#!/bin/sh
# Installs what building, testing and the demo need and this machine lacks:
# by apt where there is apt, else says what to install.  Calls the package
# manager only when something is missing.
set -eu

missing=""
need() { # need PACKAGE COMMAND...: the command tells whether it is there
  package=$1
  shift
  "$@" >/dev/null 2>&1 || missing="$missing $package"
}
lua_has() { lua5.4 -e "require '$1'"; }
has_nginx_lua() {
  PATH="$PATH:/usr/sbin" sh -c 'ls "$(nginx -V 2>&1 |
    sed -n "s/.*--modules-path=\([^ ]*\).*/\1/p")"/ngx_http_lua_module.so'
}

has_libfuzzer() {
  echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
    clang -fsanitize=fuzzer -x c -o /dev/null -
}

need build-essential cc --version
need make make --version
need pkg-config pkg-config --version
need lua5.4 lua5.4 -v
need liblua5.4-dev pkg-config --exists lua5.4
need libcurl4-openssl-dev pkg-config --exists libcurl
need libzip-dev pkg-config --exists libzip
need lua-cjson lua_has cjson
need lua-cjson-dev pkg-config --exists lua5.4-cjson
need lua-filesystem lua_has lfs
need lua-argparse lua_has argparse
need lua-socket lua_has socket
need lua-busted sh -c 'command -v busted'
need luarocks luarocks --version
need nginx-light sh -c 'PATH="$PATH:/usr/sbin" command -v nginx'
need libnginx-mod-http-lua has_nginx_lua
need tinyproxy-bin sh -c 'PATH="$PATH:/usr/sbin" command -v tinyproxy'
need curl curl --version
need openssl openssl version
need zip zip -v
need procps ps --version
need unzip unzip -v
need gzip gzip --version
need diffutils cmp --version
need groff-base groff --version
need zsh zsh --version
need fish fish --version
if [ "${1:-}" = fuzz ]; then
  need clang clang --version
  need libclang-rt-14-dev has_libfuzzer
fi
if [ "${1:-}" = valgrind ]; then need valgrind valgrind --version; fi
if [ "${1:-}" = lint ]; then
  need lua-check luacheck --version
  need clang clang --version
  need clang-tidy clang-tidy --version
  need clang-format clang-format --version
  need cppcheck cppcheck --version
fi

[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
  echo "Please install (names as Debian has them):$missing" >&2
  exit 1
fi
as_root=""
[ "$(id -u)" = 0 ] || as_root=sudo
echo "installing:$missing"
# the server's package would start a server of its own: not wanted here
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap '$as_root rm -f $policy' EXIT
  trap 'exit 1' HUP INT TERM # by itself, dash would not come to the other
  printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
  $as_root chmod 755 $policy
fi
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
  --no-install-recommends $missing >/dev/null
