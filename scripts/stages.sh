#!/usr/bin/env bash
# The stages of test.sh and testFast.sh, each with its time: the first that fails ends all. Sourced by both.

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

# shellcheck disable=SC2317 # called by `stage`
check_scripts() {
  local file
  for file in scripts/*.sh .ci/run; do bash -n "$file" || return; done
}
