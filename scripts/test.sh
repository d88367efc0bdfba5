#!/usr/bin/env bash
# Everything that has to hold before a change is taken: set-up, format, lint, types, import rules, all tests.
# Arguments go to mocha: `npm test -- --grep lease`, `npm test -- dist/test/unit/queue/*.test.js`.
# The last line is `N passed, N failed`; the exit code is 0 only when nothing failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
export NO_UPDATE_NOTIFIER=1 npm_config_update_notifier=false

# Seconds for the tests alone. A test run that hangs is ended: its watchdog cleans up behind it.
deadline=${STRATA_TEST_DEADLINE_SECONDS:-840}
totals=$(mktemp)
trap 'rm -f "$totals"' EXIT

finish() { # passed, failed
  echo "$1 passed, $2 failed"
  [[ "$2" == 0 ]]
  exit
}

stage() { # title, command...
  local title=$1 started=$SECONDS
  shift
  echo "== $title"
  if ! "$@"; then
    echo "== $title FAILED after $((SECONDS - started)) s"
    finish 0 1
  fi
  echo "== $title: $((SECONDS - started)) s"
}

# Without a parser for TypeScript, dependency-cruiser looks at no file and finds all of them in order.
# shellcheck disable=SC2317 # called by `stage`
check_imports() {
  local report code=0
  report=$(depcruise --config .dependency-cruiser.cjs "${sources[@]}") || code=$?
  printf '%s\n' "$report"
  [[ $code == 0 ]] || return "$code"
  if [[ "$report" == *"(0 modules"* ]]; then
    echo 'dependency-cruiser read no module: it has no parser for TypeScript (see: depcruise --info).'
    return 1
  fi
}

# shellcheck disable=SC2317 # called by `stage`
check_scripts() {
  local file
  for file in scripts/*.sh .ci/run; do bash -n "$file" || return; done
}

stage 'set-up' bash scripts/setup.sh --test
PATH="$PWD/node_modules/.bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin"
stage 'format' biome ci --colors=off .
sources=()
for folder in src test migrations bench; do
  [[ ! -d $folder ]] || sources+=("$folder")
done
stage 'lint' oxlint --type-aware --deny-warnings "${sources[@]}"
stage 'scripts' check_scripts
stage 'types and build' bash scripts/build.sh
stage 'import rules' check_imports

files=('dist/test/**/*.test.js')
for argument in "$@"; do
  [[ "$argument" != *.test.js ]] || files=()
done
echo '== tests'
started=$SECONDS
STRATA_TEST_TOTALS=$totals timeout --foreground --kill-after=20 "$deadline" \
  mocha --require dist/test/helpers/hooks.js --reporter dist/test/helpers/reporter.js "${files[@]}" "$@" </dev/null
code=$?
echo "== tests: $((SECONDS - started)) s"
if [[ $code == 124 ]]; then echo "The tests did not finish within $deadline s."; fi

passed=0 failed=0
read -r passed failed <"$totals" || true
# No totals (a file that does not load), a hang at the end, a time-out: the run failed whatever was counted.
if [[ $code != 0 && "${failed:-0}" == 0 ]]; then failed=1; fi
finish "${passed:-0}" "${failed:-0}"
