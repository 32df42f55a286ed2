#!/bin/sh
# The C files that the fuzz targets drive: what knows no Lua and no wire.
cd "$(dirname "$0")/../.."
for name in address crew zip zip_extract zip_plan zip_reader zip_test; do
  echo "csrc/engine/$name.c"
done
ls csrc/base/*.c
