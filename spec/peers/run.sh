#!/bin/sh
# make peers: the platform's own JavaScript client, as npm has it, against the
# test server, and in the benchmark of downloads.  $1: the folder for it.
# Skipped, with a line that says so, where there is no Node.js or npm cannot
# install it.
set -eu
cd "$(dirname "$0")/../.."

skip() {
  printf 'peers: skipped: %s\n' "$*"
  exit 0
}

command -v node >/dev/null || skip "there is no Node.js here"
node -e 'process.exit(process.versions.node.split(".")[0] < 18 ? 1 : 0)' ||
  skip "the client needs Node.js 18, and this is $(node --version)"

mkdir -p "$1"
work=$(cd "$1" && pwd)
if ! cmp -s spec/peers/package-lock.json "$work/installed"; then
  command -v npm >/dev/null || skip "there is no npm here"
  cp spec/peers/package.json spec/peers/package-lock.json "$work"
  # npm ci holds it against the lock file's checksum
  (cd "$work" && npm ci --ignore-scripts --no-audit --no-fund \
    --fetch-retries=1) >"$work/npm.log" 2>&1 || {
    if grep EINTEGRITY "$work/npm.log"; then
      echo "peers: @squarecloud/api is not what it was" >&2
      exit 1
    fi
    skip "npm cannot install @squarecloud/api ($work/npm.log says why)"
  }
  cp spec/peers/package-lock.json "$work/installed"
fi
lua5.4 spec/peers/client.lua "$work"

# the benchmark that it takes part in, as make bench calls it, but short
BENCH_MIB=1 BENCH_PAIRS=1 BENCH_SHAPED_MIB=1 \
  lua5.4 spec/bench/downloads.lua "$1/bench" "$1" >"$work/bench.log"
grep -q "^ *@squarecloud/api " "$work/bench.log" || {
  echo "peers: the benchmark of downloads leaves the client out" >&2
  exit 1
}
echo "peers: takes part in the benchmark of downloads"
