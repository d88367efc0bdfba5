#!/usr/bin/env bash
# Sets up what the benchmarks need and runs them. Arguments go to bench/run.ts.
set -euo pipefail
cd "$(dirname "$0")/.."

bash scripts/setup.sh --test
bash scripts/build.sh
exec node dist/bench/run.js "$@"
