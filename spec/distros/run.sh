#!/bin/sh
# make distros: the first commands of a newcomer, each as the first command on a
# bare Debian: demo, test, lint, and the rock's installation.  A bare tree of
# each release (git, make, ca-certificates only) is made once and kept as it is;
# every command starts in a fresh overlay of it, from a clone of what is
# committed.  unstable is tried and reported, and never fails the run.
#   sh spec/distros/run.sh FOLDER
# STEPS, RELEASES: what of it.  DISTROS_LANES (1): how many at once.  STEP_LIMIT (2700):
# seconds for one.  DISTROS_MIRROR: else the one that this machine's apt uses.
# What each said lies in FOLDER/<release>-<step>.log.
# Mounts are made in a mount namespace of each step's own: whatever is killed,
# none of this machine's folders stays mounted under FOLDER.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
folder=$1

fail() {
  printf 'distros: %s\n' "$*" >&2
  exit 1
}

if [ "$(id -u)" != 0 ]; then
  [ -n "$(command -v sudo)" ] || fail "chroot and mount need root, or sudo"
  exec sudo --preserve-env=STEPS,RELEASES,DISTROS_LANES,STEP_LIMIT,DISTROS_MIRROR \
    sh spec/distros/run.sh "$folder"
fi
sh spec/support/deps.sh distros
STEPS=${STEPS:-test lint demo install}
RELEASES=${RELEASES:-trixie bookworm sid}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
export root folder STEP_LIMIT="${STEP_LIMIT:-2700}"
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES 2>/dev/null || true

# The mirror that this machine's packages come from; debootstrap's own when
# this is not a Debian.
mirror() {
  [ -z "${DISTROS_MIRROR:-}" ] || { echo "$DISTROS_MIRROR" && return; }
  [ -n "$(command -v apt-get)" ] || return 0
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
    'Origin: Debian' 'Component: main' | grep -v -- -security | head -n 1
}

# What a tree needs to reach the mirror as this machine does.
like_this_machine() { # like_this_machine TREE
  cp /etc/hosts /etc/resolv.conf "$1/etc/"
  cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"
  apt-config dump | grep -E '^Acquire::(Check-|https?:|[^ ]*Proxy)' \
    >"$1/etc/apt/apt.conf.d/90this-machine" || true
}

make_bare() { # make_bare RELEASE
  [ ! -d "$folder/$1" ] || return 0
  echo "distros: $1: a bare tree"
  rm -rf --one-file-system "$folder/$1.new"
  # shellcheck disable=SC2046
  debootstrap --variant=minbase --include=git,make,ca-certificates "$1" \
    "$folder/$1.new" $(mirror) >"$folder/$1.log" 2>&1 || {
    tail -n 5 "$folder/$1.log" >&2
    return 1
  }
  like_this_machine "$folder/$1.new"
  mv "$folder/$1.new" "$folder/$1"
}

[ -z "$(git status --porcelain)" ] ||
  echo "distros: what is not committed is left out" >&2
rm -rf "$folder/source" "$folder/summary"
git clone -q --no-hardlinks "$root" "$folder/source"
case " $STEPS " in
*" install "*)
  make -s dist B="$folder/rock" >"$folder/dist.log" 2>&1 || {
    cat "$folder/dist.log" >&2
    fail "make dist failed"
  }
  cp "$folder"/rock/dist/*.src.rock "$folder/source/"
  ;;
esac

steps=""
missing=0
for release in $RELEASES; do
  if make_bare "$release"; then
    for step in $STEPS; do steps="$steps $release:$step"; done
  elif [ "$release" != sid ]; then
    missing=$((missing + 1))
  fi
done
begin=$(date +%s)
: >"$folder/summary"
# shellcheck disable=SC2086
printf '%s\n' $steps |
  xargs -P "${DISTROS_LANES:-1}" -I{} sh spec/distros/step.sh {} || true
passed=$(grep -c ' ok ' "$folder/summary" || true)
failed=$(grep -v '^sid' "$folder/summary" | grep -c ' FAILED ' || true)
unstable=$(grep '^sid' "$folder/summary" | grep -c ' FAILED ' || true)
echo "distros: $passed passed, $((failed + missing)) failed," \
  "$unstable failed on unstable (not counted), $(($(date +%s) - begin)) s"
[ "$((failed + missing))" = 0 ] && [ "$passed" -gt 0 ]
