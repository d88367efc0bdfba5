#!/usr/bin/env bash
# QEMU reads what is missing at the end of a QCOW2 file as zeros, exit 0. Runs without Strata, on images that qemu-img made
# and that were then cut, as a copy that was interrupted leaves them.
#
# Seen with qemu-utils 7.2.22 (Debian 12, November 2026):
#   plain: `info` and `convert` succeed, the lost megabyte is zeros. `map` shows an offset beyond the file's end; only `check`
#     complains (exit 2).
#   table: where the second-level table is missing, even `map` shows nothing beyond the file's end: all 512 MiB that the table
#     maps are "not present", and `convert` gives zeros.
#   compressed: 511 bytes are missing of the last compressed cluster: `convert` succeeds, and the content is wrong. A raw deflate
#     stream has no checksum.
# Exits 0 while QEMU behaves so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
qemu-img --version | head -1
changed=0
say() { # say WHAT SEEN EXPECTED
  if [[ $2 == "$3" ]]; then echo "as seen  $1: $2"; else echo "CHANGED  $1: $2, not $3"; changed=1; fi
}
status() { "$@" >/dev/null 2>&1 && echo 0 || echo $?; }
furthest() { # the furthest byte of the file that a map speaks of
  qemu-img map --output=json -f qcow2 "$1" |
    node -e 'const all = JSON.parse(require("fs").readFileSync(0)); console.log(Math.max(...all.map((e) => e.offset === undefined ? 0 : e.offset + e.length)))'
}

head -c 4M /dev/urandom >disk.raw
qemu-img convert -f raw -O qcow2 disk.raw plain.qcow2
truncate -s -1M plain.qcow2
say 'plain: info' "$(status qemu-img info -f qcow2 plain.qcow2)" 0
say 'plain: check' "$(status qemu-img check -f qcow2 plain.qcow2)" 2
say 'plain: convert' "$(status qemu-img convert -f qcow2 -O raw plain.qcow2 plain.raw)" 0
say 'plain: the last megabyte is zeros' "$(status cmp <(tail -c 1M plain.raw) <(head -c 1M /dev/zero))" 0
beyond=$(furthest plain.qcow2)
say 'plain: the map goes beyond the end' "$((beyond > $(stat -c %s plain.qcow2)))" 1

qemu-img create -q -f qcow2 table.qcow2 2G
qemu-io -f qcow2 -c 'write -P 1 0 1M' table.qcow2 >/dev/null
length=$(stat -c %s table.qcow2)
qemu-io -f qcow2 -c 'write -P 2 1G 1M' table.qcow2 >/dev/null
truncate -s "$length" table.qcow2
say 'table: the map stays below the end' "$(($(furthest table.qcow2) <= length))" 1
say 'table: reading at 1 GiB gives zeros' "$(status qemu-io -r -f qcow2 -c 'read -P 0 1G 1M' table.qcow2)" 0

head -c 1536 /dev/urandom >tail.raw
truncate -s 64K tail.raw
qemu-img convert -c -f raw -O qcow2 tail.raw compressed.qcow2
truncate -s -511 compressed.qcow2
say 'compressed: convert' "$(status qemu-img convert -f qcow2 -O raw compressed.qcow2 compressed.raw)" 0
say 'compressed: the content differs' "$(status cmp tail.raw compressed.raw)" 1
exit "$changed"
