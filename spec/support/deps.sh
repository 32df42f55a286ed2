#!/bin/sh
# Installs what a purpose needs and this machine lacks: by apt where there is
# apt, else says what to install.  Calls the package manager only when something
# is missing.
#   sh spec/support/deps.sh PURPOSE...
# build: the module.  demo: the main job against the test server.  try: that,
# and the command.  test: every spec.  dist, distros, fuzz, lint, valgrind: what
# the target of that name needs beside the specs' things.
set -eu

missing=""
need() { # need PACKAGE COMMAND...: the command tells whether it is there
  package=$1
  shift
  case "$missing " in
  *" $package "*) return ;;
  esac
  PATH="$PATH:/usr/sbin:/sbin" "$@" >/dev/null 2>&1 ||
    missing="$missing $package"
}
lua_has() { lua5.4 -e "require '$1'"; }
command_is() { sh -c 'command -v "$1"' sh "$1"; }
has_nginx_lua() {
  ls "$(nginx -V 2>&1 |
    sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p')/ngx_http_lua_module.so"
}
has_libfuzzer() {
  echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
    clang -fsanitize=fuzzer -x c -o /dev/null -
}

for_build() {
  need build-essential cc --version
  need make make --version
  need pkg-config pkg-config --version
  need lua5.4 lua5.4 -v
  need liblua5.4-dev pkg-config --exists lua5.4
  need libcurl4-openssl-dev pkg-config --exists libcurl
  need libzip-dev pkg-config --exists libzip
  need lua-cjson lua_has cjson
}
for_server() {
  need lua-filesystem lua_has lfs
  need lua-socket lua_has socket
  need nginx command_is nginx
  need libnginx-mod-http-lua has_nginx_lua
  need openssl openssl version
  need zip zip -v
  need unzip unzip -v
}
for_demo() {
  for_build
  for_server
}
for_try() {
  for_demo
  need lua-argparse lua_has argparse
}
for_dist() {
  need zip zip -v
  need git git --version
  need luarocks luarocks --version
}
for_test() {
  for_try
  for_dist
  need lua-cjson-dev pkg-config --exists lua5.4-cjson
  need lua-busted command_is busted
  need tinyproxy-bin command_is tinyproxy
  need curl curl --version
  need procps ps --version
  need gzip gzip --version
  need diffutils cmp --version
  need groff-base groff --version
  need zsh zsh --version
  need fish fish --version
}
for_distros() {
  need debootstrap command_is debootstrap
  need util-linux command_is unshare
  need mount command_is mount
}
for_fuzz() {
  need clang clang --version
  # its version tells the package: known once clang is there
  ! version=$(clang -dumpversion) ||
    need "libclang-rt-${version%%.*}-dev" has_libfuzzer
}
for_valgrind() { need valgrind command_is valgrind; }
for_lint() {
  need lua-check luacheck --version
  need clang clang --version
  need clang-tidy clang-tidy --version
  need clang-format clang-format --version
  need cppcheck cppcheck --version
}

fail() {
  printf 'deps: %s\n' "$*" >&2
  exit 1
}

find_missing() {
  missing=""
  for purpose; do "for_$purpose"; done
  missing=${missing# }
}

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
made_policy=""
as_root=""
clean() {
  rm -f "$log"
  [ -z "$made_policy" ] || $as_root rm -f $policy
}
trap clean EXIT
trap 'exit 1' HUP INT TERM # dash runs the EXIT trap only when told to exit

apt() { # apt ARGUMENT...: a dot for each step; when it fails, its first reason
  { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" </dev/null 2>&1 ||
    echo "apt-get failed"; } | tee "$log" |
    awk '/^(Get|Unpacking|Setting up)/ { printf "."; fflush(); n++ }
      END { if (n) print "" }'
  if tail -n 1 "$log" | grep -q '^apt-get failed$'; then
    reason=$(sed -n 's/^E: //p' "$log" | head -n 1)
    fail "apt-get could not install them: ${reason:-$(cat "$log")}"
  fi
}

install_missing() {
  [ -n "$(command -v apt-get)" ] ||
    fail "please install (names as Debian has them): $missing"
  if [ "$(id -u)" != 0 ]; then
    as_root=sudo
    [ -n "$(command -v sudo)" ] || fail "this needs root: please run
  apt-get install --no-install-recommends $missing"
  fi
  echo "installing: $missing"
  apt update
  # the server's package would start a server of its own: not wanted here
  if [ ! -e $policy ]; then
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod 755 $policy
  fi
  # shellcheck disable=SC2086
  apt install -y --no-install-recommends $missing
}

find_missing "$@"
while [ -n "$missing" ]; do
  before=$missing
  install_missing
  find_missing "$@"
  [ "$missing" != "$before" ] || fail "installed, and yet not found: $missing"
done
