#!/usr/bin/env bash
# The long form of the tests that sweep and draw: every moment instead of some, more rounds, more seeds. It takes hours.
# A variable that is set already stays as it is; arguments are test files in place of all: `npm run test:soak -- FILE...`
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck disable=SC2054 # lists in values
long=(
  # Kill points: each one, and so many at random.
  STRATA_KILL_STRIDE=1 STRATA_MERGE_MOMENTS=50 STRATA_RANDOM_KILLS=50 STRATA_API_KILLS=20
  STRATA_KILL_LEASE_MS=20000
  # Moments at which something is frozen, cut, unmounted or set, and for how many ms.
  STRATA_FREEZE_MOMENTS=10,40,80,120,180,250,350,500,700,900 STRATA_KEEPER_FREEZES=10 STRATA_API_FREEZE_MS=15000
  STRATA_UNMOUNT_MOMENTS=0,50,100,200,300,400,500,600 STRATA_CUTS=60 STRATA_TROUBLE_MS=10000 STRATA_CLOCK_STEPS=all
  # By how many MiB a file system is too small.
  STRATA_SHORT_BY=1,2,3,4,5,6,8,12
  # Random rounds.
  STRATA_ROUNDS=14 STRATA_SEEDS=11,12,13,14,15,16 STRATA_UPKEEP_STEPS=100 STRATA_UPKEEP_SEEDS=21,22,23
  STRATA_SIDECAR_ROUNDS=60
  STRATA_LIE_ROUNDS=25 STRATA_LIE_SEEDS=1,2 STRATA_FAULT_ROUNDS=8 STRATA_AUDIT_TRIALS=200
  # Sizes.
  STRATA_LOAD_CHAINS=200 STRATA_LOAD_BACKUPS=20 STRATA_EXTENTS=5000000
  STRATA_TEST_DEADLINE_SECONDS=28800
)
for setting in "${long[@]}"; do
  name=${setting%%=*}
  export "$name=${!name:-${setting#*=}}"
done

files=("$@")
if ((${#files[@]} == 0)); then
  files=('dist/test/crash/*.test.js'
    dist/test/integration/services/backup/randomRounds.test.js
    dist/test/integration/db/turnsDrawn.test.js
    dist/test/integration/services/backup/lyingTrackers.test.js
    dist/test/integration/services/reconcile/anyDamage.test.js
    dist/test/integration/services/validation/faultTable.test.js
    dist/test/integration/datapath/audit/detection.test.js
    dist/test/integration/datapath/push/indexLayer.test.js
    dist/test/integration/producers/http/extentsMemory.test.js
    dist/test/unit/datapath/audit/detection.test.js)
fi
exec bash scripts/test.sh "${files[@]}"
