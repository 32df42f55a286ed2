#!/bin/sh
# make check-all: every check there is, two at a time, for two cores.  One line
# a target; the whole of what each said lies in FOLDER.
#   sh spec/support/all.sh FOLDER          all of them
#   sh spec/support/all.sh FOLDER TARGET   one, for the line above
set -eu
cd "$(dirname "$0")/../.."
folder=$1

# The longest first, so that both cores have work to the end; fuzz comes when
# asan and tsan, whose builds it runs in, are long over.
targets="valgrind test always asan tsan failing coverage rock generational
  builds lint torture peers dist fuzz"

check() { # check TARGET
  begin=$(date +%s)
  how=ok
  timeout 2700 make "$1" >"$folder/$1.log" 2>&1 </dev/null || how=FAILED
  [ $how != ok ] || ! grep "^$1: skipped: " "$folder/$1.log" || how=skipped
  printf '%-12s %-7s %5d s\n' "$1" "$how" $(($(date +%s) - begin)) |
    tee -a "$folder/summary"
  [ $how != FAILED ] || tail -n 25 "$folder/$1.log"
}

if [ "$#" = 2 ]; then
  check "$2"
  exit
fi

begin=$(date +%s)
rm -rf "$folder"
mkdir -p "$folder"
for what in "" lint fuzz valgrind; do sh spec/support/deps.sh $what; done
make -s all
echo "$targets" | xargs -n 1 -P 2 sh spec/support/all.sh "$folder"
count() { grep -c " $1 " "$folder/summary" || true; }
echo "$(count ok) passed, $(count skipped) skipped, $(count FAILED) failed," \
  "$(($(date +%s) - begin)) s"
[ "$(count FAILED)" = 0 ]
