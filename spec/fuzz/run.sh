#!/bin/sh
# make fuzz, make fuzz-long: every target under libFuzzer (clang) with the
# address and undefined behaviour sanitizers, JOBS (2) at once, SECONDS each.
# New inputs stay in FOLDER/corpus; what breaks a target lies in FOLDER/found:
# mend the cause, and keep the input under spec/fuzz/corpus.
#   sh spec/fuzz/run.sh FOLDER SECONDS [TARGET...]
set -eu
folder=$1 seconds=$2
shift 2
cd "$(dirname "$0")/../.."
sh spec/support/deps.sh fuzz
[ $# -gt 0 ] || set -- $(cd spec/fuzz && ls ./*_fuzz.c |
  sed 's,.*/\(.*\)_fuzz.c,\1,')
mkdir -p "$folder/found" "$folder/o"
flags="-std=c11 -g -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all
  -fsanitize=fuzzer-no-link,address,undefined
  $(pkg-config --cflags libzip libcurl)"
rm -f "$folder"/o/*.o
# shellcheck disable=SC2086
sh spec/fuzz/sources.sh | xargs -P 2 -I{} sh -c '
  clang '"$(echo $flags)"' -c -o "$1/o/$(basename "$2" .c).o" "$2"' \
  sh "$folder" {}

for target; do
  mkdir -p "$folder/corpus/$target"
  # shellcheck disable=SC2086
  clang $flags -fsanitize=fuzzer -o "$folder/$target" \
    "spec/fuzz/${target}_fuzz.c" "$folder"/o/*.o \
    $(pkg-config --libs libzip libcurl) -lpthread
done

printf '%s\n' "$@" | xargs -P "${JOBS:-2}" -I{} \
  sh spec/fuzz/run_one.sh "$folder" "$seconds" {}
