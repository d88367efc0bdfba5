#!/usr/bin/env bash
# Sets up what the benchmarks need, runs them, prints the table and writes docs/benchmarks.md. About ten minutes.
#   bench.sh [--quick] [--runs N] [--only full,changes,larger,finer,compare,fixed,chain,deep,merge,cost,catalogue,memory] [--out FILE]
# --quick takes small disks; that, and a part of the contests, writes no page unless --out names one.
#   bench.sh space [--mib N] [--days N] [--percent N] [--out FILE]: what backups of many days take, see docs/benchmarks-space.md
#   bench.sh load [--chains N] [--backups N] [--workers N] [--seed N] [--out FILE]: the load run, see docs/load-run.md
# STRATA_BENCH_DIR: a directory on a real disk with 16 GiB free (default: the temporary directory); all is removed again.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

bash scripts/setup.sh --test
bash scripts/build.sh
if [[ "${1:-}" == load ]]; then
  shift
  exec node dist/bench/load.js "$@"
fi
if [[ "${1:-}" == space ]]; then
  shift
  exec node dist/bench/space.js "$@"
fi
exec node dist/bench/run.js "$@"
