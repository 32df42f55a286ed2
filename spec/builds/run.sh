#!/bin/sh
# make builds: the module built in the ways that others build it, and a smoke
# run of each: gcc and clang, -O0 to -O3, link-time optimisation, Debian's
# hardening, as for the oldest libcurl (libcurl.h), and as for a system that
# lacks what Linux has (config.h).
# $1: a folder to build in.  BUILDS: which (names below); SPECS: the smoke run.
set -eu
cd "$(dirname "$0")/../.."
dir=$1
smoke="spec/endpoints_spec.lua spec/download_spec.lua spec/zip_file_spec.lua"
smoke=${SPECS:-$smoke spec/task_spec.lua}
status=0

fail() {
  printf 'builds: %s\n' "$*" >&2
  status=1
}

build() { # build NAME CC CFLAGS [LDFLAGS]
  case " ${BUILDS:-$1} " in *" $1 "*) ;; *) return 0 ;; esac
  rm -rf "${dir:?}/$1"
  mkdir -p "$dir/$1"
  if make -s check B="$dir/$1" CC="$2" CFLAGS="$3" LDFLAGS="${4:-}" \
    SPECS="$smoke" >"$dir/$1/log" 2>&1; then
    printf 'builds: %-12s %s\n' "$1" "$(grep -a successes "$dir/$1/log")"
  else
    cat "$dir/$1/log"
    fail "$1 failed"
  fi
}

# What the hardening flags are for, seen in the file that was built.
check_hardened() {
  file=$dir/hardened/squarecloud/core.so
  [ -e "$file" ] || return 0
  readelf -Wd "$file" | grep -q BIND_NOW || fail "hardened: not bound at once"
  readelf -Wl "$file" | grep -q GNU_RELRO || fail "hardened: no RELRO"
  readelf -Wl "$file" | grep -q 'GNU_STACK.*RWE' && fail "hardened: the stack"
  readelf -Wd "$file" | grep -q TEXTREL && fail "hardened: text relocations"
  nm -D "$file" | grep -q '__[a-z]*_chk' || fail "hardened: not fortified"
  nm -D "$file" | grep -q __stack_chk_fail || fail "hardened: no canaries"
}

for cc in gcc clang; do
  for level in 0 1 2 3; do
    build "$cc-O$level" $cc "-O$level -g"
  done
done
build gcc-lto gcc "-O2 -g -flto=auto"
flags() { DEB_BUILD_MAINT_OPTIONS=hardening=+all dpkg-buildflags --get "$1"; }
build hardened gcc "$(flags CPPFLAGS) $(flags CFLAGS)" "$(flags LDFLAGS)"
check_hardened
build libcurl-7.74 gcc \
  "-O2 -g -DOLD_LIBCURL=0x074a00 -include $PWD/spec/builds/libcurl.h"
build bare gcc \
  "-O2 -g -DSQ_NO_COND_CLOCK -DSQ_NO_FDATASYNC"
exit $status
