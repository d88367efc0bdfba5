#!/usr/bin/env bash
# Everything that has to hold before a change is taken: set-up, format, lint, types, import rules, all tests.
# Arguments go to mocha: `npm test -- --grep lease`, `npm test -- dist/test/unit/queue/*.test.js`.
# The last line is `N passed, N failed`; the exit code is 0 only when nothing failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
export NO_UPDATE_NOTIFIER=1 npm_config_update_notifier=false

# Seconds without progress after which a mocha process is ended: its watchdog cleans up behind it.
deadline=${STRATA_TEST_DEADLINE_SECONDS:-600}

# shellcheck source=scripts/stages.sh
source scripts/stages.sh

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

# shellcheck source=scripts/mocha.sh
source scripts/mocha.sh

# Test files in groups, a line each: much of a test is waiting for a lease, a disk or a process, so several groups run side
# by side, each with servers of its own. What takes long comes first. To start servers and load the code costs a group
# four seconds of processor: the crash tests share some groups, and what takes less than a minute shares one, too.
crash_groups=8
group_of() { # test file
  local path=${1#dist/test/}
  case $path in
    crash/*) echo crash ;;
    integration/services/consolidation/* | integration/services/job/* | integration/services/rebuild/* | \
      integration/services/reconcile/* | integration/services/repository/* | integration/services/retention/*)
      echo integration/services/short
      ;;
    integration/services/backup/push/*) echo integration/services/push ;;
    integration/bench/* | integration/client/* | integration/db/* | integration/examples/* | integration/qcow2/*)
      echo integration/short ;;
    integration/services/*) echo "${path%/*}" | cut -d/ -f1-3 ;;
    integration/*) echo "$path" | cut -d/ -f1-2 ;;
    *) echo "${path%%/*}" ;;
  esac
}
longest=(integration/services/backup integration/producers integration/services/validation integration/cli lessons
  integration/services/short integration/short
  crash-1 crash-2 crash-3 crash-4 crash-5 crash-6 crash-7 crash-8
  integration/datapath integration/main integration/services/restore integration/services/push)
list_groups() {
  local file
  find dist/test -name '*.test.js' | sort | while IFS= read -r file; do echo "$(group_of "$file") $file"; done |
    awk -v order="${longest[*]}" -v crash_groups="$crash_groups" '
      BEGIN { n = split(order, names, " "); for (i = 1; i <= n; i++) rank[names[i]] = i }
      $1 == "crash" { $1 = "crash-" (crashes++ % crash_groups + 1) }
      !($1 in files) { groups[++count] = $1 }
      { files[$1] = files[$1] " " $2 }
      END { for (i = 1; i <= count; i++) { name = groups[i]
              print (name in rank ? rank[name] : name ~ /^unit/ ? 999 : 500), name files[name] } }' |
    sort -n -k1,1 -s | cut -d' ' -f2-
}

side_by_side=${STRATA_TEST_PROCESSES:-4}
outputs=$(mktemp -d)
# Whoever stops this script stops the tests: their watchdogs clean up behind them.
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$outputs"' EXIT
trap 'exit 130' INT TERM

run_groups() {
  local line name running=0
  while IFS= read -r line; do
    while ((running >= side_by_side)); do
      wait -n
      running=$((running - 1))
    done
    name=${line%% *}
    # shellcheck disable=SC2086 # a word per file
    (
      began=$SECONDS
      output=$outputs/${name//\//-}
      run_mocha "$output" ${line#* } >"$output.log" 2>&1
      # In one write, so that two groups that end together do not mix their lines.
      printf '%s\n' "== $name: $((SECONDS - began)) s
$(<"$output.log")"
    ) &
    running=$((running + 1))
  done < <(list_groups)
  wait
}

echo '== tests'
started=$SECONDS
if (($# > 0)); then
  files=('dist/test/**/*.test.js')
  for argument in "$@"; do
    [[ "$argument" != *.test.js ]] || files=()
  done
  run_mocha "$outputs/all" "${files[@]}" "$@"
else
  run_groups
fi
echo "== tests: $((SECONDS - started)) s"

passed=0 failed=0
for code_file in "$outputs"/*.code; do
  add_up "${code_file%.code}"
done
if ((passed + failed == 0)); then failed=1; fi
finish "$passed" "$failed"
