#!/usr/bin/env bash
# A read-only qemu-nbd of a raw image neither minds a writer nor keeps one out. Runs without Strata, on a plain raw file.
#
# Seen with QEMU 7.2.22 (Debian 12): while one process has a raw image open for writing, as a running machine does,
#   `qemu-img convert -f raw` of it ends with 'Failed to get shared "write" lock';
#   `qemu-nbd --read-only --format=raw` of it serves, and its clients read what the writer is changing.
# And while `qemu-nbd --read-only --format=raw` serves it, a writer opens it; a qcow2 image so served keeps its writer out.
# Expected from both: the same lock, as both only read. In front of a raw file qemu-nbd gives the write permission to everybody.
# Exits 0 while QEMU behaves so, 1 when it has changed.
set -euo pipefail
command -v qemu-nbd >/dev/null || { echo 'needs qemu-utils'; exit 2; }
work=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait; rm -rf "$work"' EXIT
cd "$work"
qemu-img create -q -f raw disk.raw 16M
qemu-img create -q -f qcow2 disk.qcow2 16M

serve() { # name, format, more options; leaves the pid in $!
  qemu-nbd --persistent --socket="$work/$1.sock" --format="$2" "${@:3}" "disk.$2" 2>"$work/$1.log" &
  pids+=($!)
  for _ in $(seq 100); do
    kill -0 $! 2>/dev/null || return 1
    qemu-img info --image-opts "driver=nbd,server.type=unix,server.path=$work/$1.sock" >/dev/null 2>&1 && return 0
    sleep 0.1
  done
  return 1
}
end() { kill "${pids[-1]}"; wait "${pids[-1]}" 2>/dev/null || true; unset 'pids[-1]'; }
changed=0
expect() { # what, outcome, expected outcome
  printf '%-62s %s\n' "$1" "$2"
  [[ "$2" == "$3" ]] || { echo "  CHANGED: it was $3"; changed=1; }
}
outcome() { if "$@" >"$work/out" 2>&1; then echo yes; else echo no; fi; }

qemu-img --version | head -1
serve writer raw
expect 'beside a writer, qemu-img convert reads a raw image:' "$(outcome qemu-img convert -f raw -O raw disk.raw copy.raw)" no
if serve reader raw --read-only; then served=yes; end; else served=no; fi
expect 'beside a writer, qemu-nbd --read-only serves it:' "$served" yes
end
for format in raw qcow2; do
  serve "held-$format" "$format" --read-only
  expect "beside qemu-nbd --read-only, a writer opens a $format image:" \
    "$(outcome qemu-io -f "$format" -c 'write 0 4k' "disk.$format")" "$([[ $format == raw ]] && echo yes || echo no)"
  end
done
exit $changed
