#!/bin/sh
# Every target over its corpus, by a compiler without libFuzzer: FOLDER
set -eu
folder=$1
cd "$(dirname "$0")/../.."
flags="-std=c11 -O1 -g $(pkg-config --cflags libzip libcurl)"
export flags folder
sh spec/fuzz/sources.sh | xargs -P 2 -I{} sh -c '
  ${CC:-cc} $flags -c -o "$folder/$(basename "$1" .c).o" "$1"' sh {}
${CC:-cc} $flags -c -o "$folder/main" spec/fuzz/replay.c
for file in spec/fuzz/*_fuzz.c; do
  target=$(basename "$file" _fuzz.c)
  # shellcheck disable=SC2086
  ${CC:-cc} $flags -o "$folder/$target" "$file" "$folder"/*.o \
    "$folder/main" $(pkg-config --libs libzip libcurl) -lpthread
  count=$("$folder/$target" spec/fuzz/corpus/"$target"/*)
  echo "$target $count"
done
