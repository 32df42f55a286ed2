#!/bin/sh
# make check-all: every check there is, in two lanes, for two cores.  One line a
# target; the whole of what each said lies in FOLDER.
#   sh spec/support/all.sh FOLDER
set -eu
folder=$1
cd "$(dirname "$0")/../.."
rm -rf "$folder"
mkdir -p "$folder"

check() { # check TARGET
  begin=$(date +%s)
  how=ok
  make "$1" >"$folder/$1.log" 2>&1 </dev/null || how=FAILED
  printf '%-10s %-7s %5d s\n' "$1" "$how" $(($(date +%s) - begin)) |
    tee -a "$folder/summary"
  [ $how = ok ] || tail -n 25 "$folder/$1.log"
}
lane() { for target; do check "$target"; done; }

begin=$(date +%s)
for what in "" lint fuzz; do sh spec/support/deps.sh $what; done
make -s all
lane test lint asan failing builds coverage dist rock peers generational torture &
lane tsan valgrind always
wait
lane fuzz # in what both lanes built
failed=$(grep -c FAILED "$folder/summary" || true)
echo "$(grep -c ' ok ' "$folder/summary") passed, $failed failed," \
  "$(($(date +%s) - begin)) s"
[ "$failed" = 0 ]
