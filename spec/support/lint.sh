#!/bin/sh
# make lint: gcc and clang without a warning, clang-tidy, cppcheck, luacheck,
# clang-format.  $1: the flags that the build uses.
set -eu
cd "$(dirname "$0")/../.."

sources=$(find csrc spec -name '*.c' | sort)
headers=$(find csrc spec -name '*.h' | sort)
status=0
say() { printf 'lint: %s\n' "$*"; }

for cc in gcc clang; do
  say "$cc"
  # shellcheck disable=SC2086
  printf '%s\n' $sources |
    xargs -P 2 -I{} "$cc" $1 -fsyntax-only {} || status=1
done

say clang-tidy
checks='-*,bugprone-*,clang-analyzer-*,cert-err33-c'
checks="$checks,-bugprone-easily-swappable-parameters"
checks="$checks,-clang-analyzer-security.insecureAPI.*"
checks="$checks,-bugprone-assignment-in-if-condition"
checks="$checks,-bugprone-signal-handler,-bugprone-sizeof-expression"
checks="$checks,-cert-err33-c,-bugprone-reserved-identifier"
# one file a run: version 14 mixes up va_lists when it is given many
# shellcheck disable=SC2086
printf '%s\n' $sources | xargs -P 2 -I{} sh -c '
  out=$(clang-tidy --quiet --warnings-as-errors="*" --checks="$1" "$2" -- $3 \
    2>/dev/null) || { printf "%s\n" "$out"; exit 1; }' \
  sh "$checks" {} "$1" || status=1

say cppcheck
# libcurl's version, without which what includes it stops at an #error
curlver=$(echo '#include <curl/curlver.h>' | cc -E - |
  sed -n 's/^# 1 "\(.*curlver\.h\)".*/\1/p')
# shellcheck disable=SC2086
cppcheck --quiet --enable=warning,performance,portability --std=c11 \
  --error-exitcode=1 --inline-suppr --suppress=missingIncludeSystem \
  --suppress=normalCheckLevelMaxBranches --include="$curlver" -j 2 $sources ||
  status=1

say luacheck
# not `.`: it would walk through build/, with the trees of other Debians in it
luacheck -q lua spec doc rockspec .busted .luacheckrc || status=1

say clang-format
# shellcheck disable=SC2086
clang-format --dry-run -Werror $sources $headers || status=1

[ $status = 0 ] && say clean
exit $status
