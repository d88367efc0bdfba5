#!/usr/bin/env bash
# nbdkit demands requests of whole blocks, and tells extents that are parts of a block. Runs without Strata, on a sparse file.
#
# Seen with nbdkit 1.32.5 and nbdinfo 1.14.2 (Debian 12, November 2026), file system with holes of 4 KiB:
#   --filter=blocksize-policy file sparse.raw blocksize-minimum=64K blocksize-error-policy=error
#   nbdinfo: block_size_minimum 65536; nbdinfo --map: 0+20480 hole, 20480+4096 data, 24576+1024000 hole
# Expected: the protocol (doc/proto.md, NBD_CMD_BLOCK_STATUS) wants descriptors to be multiples of the minimum that is advertised.
# A client that asks on from where a short answer ended is refused by the same server with EINVAL.
# Exits 0 while nbdkit behaves so, 1 when it has changed, 2 where nbdkit and libnbd-bin (apt) are missing.
set -euo pipefail
for program in nbdkit nbdinfo; do
  command -v "$program" >/dev/null || { echo "install nbdkit and libnbd-bin"; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
truncate -s 1M "$work/sparse.raw"
head -c 4096 /dev/urandom | dd of="$work/sparse.raw" bs=4096 seek=5 conv=notrunc status=none
nbdkit --version
# shellcheck disable=SC2016 # nbdkit sets $uri
nbdkit -U - --filter=blocksize-policy file "$work/sparse.raw" blocksize-minimum=64K blocksize-preferred=64K \
  blocksize-error-policy=error --run 'nbdinfo "$uri" | grep block_size_minimum; nbdinfo --map "$uri"' | tee "$work/seen"
if grep -q 'block_size_minimum: 65536' "$work/seen" && grep -qE '^ *20480 +4096 ' "$work/seen"; then
  echo 'as seen: an extent of 4096 bytes where 65536 is the least that may be asked for'
else
  echo 'CHANGED'
  exit 1
fi
