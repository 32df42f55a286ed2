#!/bin/sh
# under.sh TOOL [SPEC or busted's option...]: the specs under asan, tsan or
# valgrind, or with a collector that is busy (generational, always).
# under.sh TOOL --script SCRIPT [ARGUMENT...]: a script.
# Run by make, which has built the module for it in B.
#
# A lua5.4 that has the tool in it, or runs under it, comes first on the PATH:
# so every lua5.4 that a spec starts is under it, and nothing else is (sh, ps,
# nginx).  What it finds goes to files, whichever process it was found in; one
# such file fails the run.  Each spec file has a process of its own, and LIMIT
# seconds.
set -eu
cd "$(dirname "$0")/../.."
tool=$1
shift
dir=$PWD/$B
support=$PWD/spec/support
reports=$dir/reports
limit=${LIMIT:-600}
rm -rf "$reports"
mkdir -p "$dir/bin" "$reports"

build_lua() { # build_lua FLAG...
  export SPEC_CFLAGS="$*"
  # shellcheck disable=SC2046
  ${CC:-cc} -std=c11 -O1 -g "$@" -o "$dir/bin/lua5.4" "$support/lua_main.c" \
    $(pkg-config --cflags --libs lua5.4)
}

case $tool in
asan)
  build_lua -fsanitize=address
  # undefined behaviour traps (SIGILL), so that it goes to the files, too; the
  # specs preload slow.so, which then comes first; the leak check would guess
  # where threads' own memory begins, now and then wrong, and crash at its end
  ASAN_OPTIONS="log_path=$reports/asan:handle_sigill=1"
  ASAN_OPTIONS="$ASAN_OPTIONS:verify_asan_link_order=0"
  export ASAN_OPTIONS="$ASAN_OPTIONS:intercept_tls_get_addr=0"
  LSAN_OPTIONS="suppressions=$support/lsan.supp:print_suppressions=0"
  export LSAN_OPTIONS
  ;;
tsan)
  build_lua -fsanitize=thread
  # the locks inside other libraries are not seen, so what these touch is not
  # judged; gnutls' end, in a process without threads, mixes up its TLS
  TSAN_OPTIONS="log_path=$reports/tsan ignore_noninstrumented_modules=1"
  TSAN_OPTIONS="$TSAN_OPTIONS die_after_fork=0 atexit_sleep_ms=0"
  export TSAN_OPTIONS="$TSAN_OPTIONS intercept_tls_get_addr=0"
  ;;
valgrind)
  SPEC_RUN="valgrind -q --leak-check=no --error-exitcode=9"
  export SPEC_RUN="$SPEC_RUN --log-file=$reports/valgrind.%p"
  rm -f "$dir/bin/lua5.4"
  printf '#!/bin/sh\nexec %s %s "$@"\n' "$SPEC_RUN" "$(command -v lua5.4)" \
    >"$dir/bin/lua5.4"
  chmod +x "$dir/bin/lua5.4"
  ;;
generational | always)
  ln -sf "$(command -v lua5.4)" "$dir/bin/lua5.4"
  export COLLECT="$tool" LUA_INIT="@$support/collect.lua"
  ;;
esac
export PATH="$dir/bin:$PATH" SPEC_TOOL="$tool"

failed=""
begin=$(date +%s)
watch() { # watch NAME COMMAND...: runs it, and looks for what was found
  name=$1
  shift
  start=$(date +%s)
  echo "== $tool: $name"
  code=0
  timeout -k 10 "$limit" "$@" || code=$?
  found=$(find "$reports" -type f -size +0)
  # shellcheck disable=SC2086
  [ -z "$found" ] || cat $found
  if [ $code != 0 ] || [ -n "$found" ]; then
    echo "== $tool: $name failed ($code)"
    failed="$failed $name"
  fi
  rm -f "$reports"/*
  echo "== $(($(date +%s) - start)) s"
}

if [ "${1:-}" = --script ]; then
  shift
  watch "$1" lua5.4 "$@"
  [ -z "$failed" ]
  exit
fi

options=""
roots=""
for word in "$@"; do
  case $word in
  -*) options="$options $word" ;;
  *) roots="$roots $word" ;;
  esac
done

# Not here: what runs no C of ours, or a build of its own.  Under valgrind, not
# the command, whose start takes seconds, many times a spec; nor what puts an
# allocator of its own before the C library's, as valgrind does.
elsewhere='/(layers|retention|rock|server|try)_spec\.lua$'
if [ "$tool" = valgrind ]; then
  elsewhere="$elsewhere|^spec/(cli|documents|install|progress)[/_]"
  elsewhere="$elsewhere|/(failing|short_memory)_spec"
fi

# shellcheck disable=SC2086
files=$(find ${roots:-spec} -name '*_spec.lua') # fails when one is not there
files=$(echo "$files" | grep -vE "$elsewhere" | sort)
[ -n "$files" ] || failed=" no spec was run"
for file in $files; do
  watch "$file" lua5.4 "$(command -v busted)" --ignore-lua \
    --cpath="$dir/?.so" $options "$file"
done
echo "== $tool: $(($(date +%s) - begin)) s; failed:${failed:- none}"
[ -z "$failed" ]
