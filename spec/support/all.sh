#!/bin/sh
# make check-all: every check there is, LANES (3) at a time: for two cores,
# since a spec waits for half of its time.  One line a target; the whole of what
# each said lies in FOLDER.
#   sh spec/support/all.sh FOLDER                every target
#   sh spec/support/all.sh FOLDER TARGET...      these, begun in this order
#   sh spec/support/all.sh --one FOLDER TARGET   one, for the lines above
# A target that takes longer than TARGET_LIMIT (2700) seconds has failed.
set -eu
cd "$(dirname "$0")/../.."

check() { # check TARGET
  begin=$(date +%s)
  how=ok
  timeout -k 30 "${TARGET_LIMIT:-2700}" make "$1" </dev/null \
    >"$folder/$1.log" 2>&1 || how=FAILED
  [ $how != ok ] || ! grep "^$1: skipped: " "$folder/$1.log" || how=skipped
  printf '%-12s %-7s %5d s\n' "$1" "$how" $(($(date +%s) - begin)) |
    tee -a "$folder/summary"
  [ $how != FAILED ] || tail -n 25 "$folder/$1.log"
}

if [ "$1" = --one ]; then
  folder=$2
  check "$3"
  exit
fi

folder=$1
shift
# The longest first, so that all lanes have work to the end; fuzz comes when
# asan and tsan, whose builds it runs in, are long over.
[ "$#" -gt 0 ] || {
  set -- valgrind distros test always asan tsan failing coverage rock \
    generational builds lint torture minutes peers dist fuzz
  export STEPS=test RELEASES="trixie bookworm"
}

begin=$(date +%s)
rm -rf "$folder"
mkdir -p "$folder"
# All of what is missing now: apt takes one at a time.
sh spec/support/deps.sh test
for target; do
  case $target in
    lint | fuzz | valgrind | distros) sh spec/support/deps.sh "$target" ;;
  esac
done
make -s all
echo "$@" | xargs -n 1 -P "${LANES:-3}" sh spec/support/all.sh --one "$folder"
count() { grep -c " $1 " "$folder/summary" || true; }
echo "$(count ok) passed, $(count skipped) skipped, $(count FAILED) failed," \
  "$(($(date +%s) - begin)) s"
[ "$(count FAILED)" = 0 ]
