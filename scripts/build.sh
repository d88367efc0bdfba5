#!/usr/bin/env bash
# Compiles to dist/, incrementally, and removes what was compiled from sources that are gone: a deleted test must not
# go on running. Declarations are written for the client only (tsconfig.client.json): nobody else imports the package.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p dist
while IFS= read -r output; do
  source=${output#dist/}
  [[ -f "${source%.js}.ts" ]] || rm -f "$output" "$output.map" "${output%.js}.d.ts"
done < <(find dist -type f -name '*.js')

# The compiler's notes do not know of outputs that somebody removed: where one is missing, everything is written anew.
while IFS= read -r source; do
  source=${source#./}
  [[ -f "dist/${source%.ts}.js" ]] || { rm -f dist/.tsbuildinfo; break; }
done < <(find . \( -path ./node_modules -o -path './dist*' -o -path './.*' \) -prune -o -type f -name '*.ts' ! -name '*.d.ts' -print)

for source in src/client/*.ts src/client/*/*.ts src/contract/*.ts; do
  [[ -f "dist/${source%.ts}.d.ts" ]] || { rm -f dist/.tsbuildinfo-client; break; }
done

node_modules/.bin/tsc -p tsconfig.json
exec node_modules/.bin/tsc -p tsconfig.client.json
