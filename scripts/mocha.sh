#!/usr/bin/env bash
# Runs mocha processes and says how they ended; sourced by test.sh, which sets `deadline`: the seconds without a test or hook
# that ends after which a run is ended. A busy machine makes all of them slower, and none of them stand still.
# shellcheck disable=SC2154

# The code of a run that vanished with its shell; no mocha ends with it.
vanished=256

# Ends a run whose reporter has not told of progress for too long.
end_when_still() { # pid, output
  local quiet
  # A pause without a process that would outlive the run.
  while { read -rt 2 <> <(:) || kill -0 "$1"; } 2>/dev/null; do
    quiet=$(($(date +%s) - $(stat -c %Y "$2.totals.beat")))
    if ((quiet >= deadline)); then
      : >"$2.still"
      kill "$1"
      return
    fi
  done
}

# One mocha process: its output to a file of its own, its totals and exit code beside it.
run_mocha() { # output, files and options...
  local output=$1 code=0 child watcher
  shift
  rm -f "$output.still"
  echo "$vanished" >"$output.code"
  : >"$output.totals.beat"
  # The outer bound is for a run that beats and gets nowhere.
  STRATA_TEST_TOTALS=$output.totals timeout --foreground --kill-after=20 "$((deadline * 10))" \
    mocha --require dist/test/helpers/hooks.js --reporter dist/test/helpers/reporter.js "$@" </dev/null &
  child=$!
  end_when_still "$child" "$output" &
  watcher=$!
  trap 'kill "$child" 2>/dev/null' INT TERM
  wait "$child" || code=$?
  kill "$watcher" 2>/dev/null
  echo "$code" >"$output.code"
}

# How a run ended, for people. With totals the code is the number of failures; without, mocha did not come to its end.
describe_end() { # output, exit code
  local signal
  if [[ $2 == "$vanished" ]]; then
    echo 'it vanished with its shell'
  elif [[ -f $1.totals ]]; then
    echo "code $2"
  elif (($2 > 128)) && signal=$(kill -l $(($2 - 128)) 2>/dev/null); then
    echo "code $2, SIG$signal, before its end"
  else
    echo "code $2, before its end"
  fi
}

# Adds the totals of a run to `passed` and `failed`, and says why where it failed.
add_up() { # output
  local output=$1 name=${1##*/} code more_passed=0 more_failed=0
  code=$(<"$output.code")
  [[ ! -f $output.totals ]] || read -r more_passed more_failed <"$output.totals"
  if [[ $code != 0 ]]; then
    echo "Failed: $name ($(describe_end "$output" "$code"))"
    # Said again at the end: whoever reads a part of a long output reads its last part.
    [[ ! -f $output.log ]] || sed -n '/^  [0-9]* failing$/,$p' "$output.log"
  fi
  if [[ -e $output.still ]]; then echo "No test of $name ended for $deadline s: it was ended."; fi
  # No totals (a file that does not load), a hang at the end, a time-out: the run failed whatever was counted.
  if [[ $code != 0 && ${more_failed:-0} == 0 ]]; then more_failed=1; fi
  passed=$((passed + more_passed)) failed=$((failed + more_failed))
}
