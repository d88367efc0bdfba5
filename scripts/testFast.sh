#!/usr/bin/env bash
# What a change has to pass before anybody waits for `npm test`: format, lint, types, the unit tests, and the main job on real
# servers and a real disk. Two minutes on two cores where all is installed. The last line is `N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
export NO_UPDATE_NOTIFIER=1 npm_config_update_notifier=false
deadline=${STRATA_TEST_DEADLINE_SECONDS:-120}
# shellcheck source=scripts/stages.sh
source scripts/stages.sh
# shellcheck source=scripts/mocha.sh
source scripts/mocha.sh

stage 'set-up' bash scripts/setup.sh --test
PATH="$PWD/node_modules/.bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin"
stage 'format' biome ci --colors=off .
stage 'scripts' check_scripts
stage 'types and build' bash scripts/build.sh
stage 'lint' oxlint --type-aware --deny-warnings src test migrations bench

outputs=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$outputs"' EXIT
trap 'exit 130' INT TERM

run() { # name, files...
  run_mocha "$outputs/$1" "${@:2}" >"$outputs/$1.log" 2>&1
}
echo '== tests'
started=$SECONDS
run main-job dist/test/integration/services/backup/mainJob.test.js &
run unit 'dist/test/unit/**/*.test.js' &
wait
echo "== tests: $((SECONDS - started)) s"
passed=0 failed=0
for name in unit main-job; do add_up "$outputs/$name"; done
finish "$passed" "$failed"
