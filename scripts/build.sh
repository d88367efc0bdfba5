#!/usr/bin/env bash
# Compiles to dist/, incrementally, and removes what was compiled from sources that are gone: a deleted test must not
# go on running.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p dist
find dist -type f -name '*.js' | while IFS= read -r output; do
  source=${output#dist/}
  [[ -f "${source%.js}.ts" ]] || rm -f "$output" "$output.map"
done
# The compiler's notes do not know of outputs that somebody removed: where one is missing, everything is written anew.
find src migrations test bench -type f -name '*.ts' ! -name '*.d.ts' | while IFS= read -r source; do
  [[ -f "dist/${source%.ts}.js" ]] || { rm -f dist/.tsbuildinfo; break; }
done
exec node_modules/.bin/tsc -p tsconfig.json
