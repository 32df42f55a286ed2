#!/bin/sh
# One target of run.sh: FOLDER SECONDS TARGET
set -eu
folder=$1 seconds=$2 target=$3
seeds=spec/fuzz/corpus/$target log=$folder/$target.log
dictionary=
[ ! -e "$seeds.dict" ] || dictionary=-dict=$seeds.dict
# shellcheck disable=SC2086
if "$folder/$target" $dictionary -max_total_time="$seconds" -timeout=20 \
  -rss_limit_mb=2048 -max_len=8192 -print_final_stats=1 \
  -artifact_prefix="$folder/found/$target-" \
  "$folder/corpus/$target" "$seeds" >"$log" 2>&1; then
  sed -n "s/^stat::number_of_executed_units: */fuzz: $target clean, runs: /p" \
    "$log"
else
  tail -n 60 "$log"
  echo "fuzz: $target BROKEN, see $log"
  exit 1
fi
