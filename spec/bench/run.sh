#!/bin/sh
# make bench: every benchmark, one table each.  $1: the C compiler.
set -eu
mkdir -p build/bench
"$1" -O2 -o build/bench/curl_loop spec/bench/curl_loop.c -lcurl
echo "== API"
lua5.4 spec/bench/api.lua build/bench/curl_loop
echo "== Retention, mirror"
lua5.4 spec/bench/retention.lua
lua5.4 spec/bench/mirror.lua
echo "== Command"
lua5.4 spec/bench/start.lua
echo "== Frames"
lua5.4 spec/bench/frames.lua
echo "== Downloads"
lua5.4 spec/bench/downloads.lua build/bench/downloads build/peers
