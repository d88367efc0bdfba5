#!/usr/bin/env bash
# A loop device over a block device does not hold that device: mkfs destroys a file system that is mounted from above it. Root runs it.
#
# Seen with Linux 6.18, util-linux 2.38.1, e2fsprogs 1.47.0 (Debian 12, November 2026): LOWER is a block device, UPPER a loop device
# over LOWER, an ext4 is mounted from UPPER.
#   `mkfs.ext4 LOWER` succeeds without a question; open(LOWER, O_RDWR|O_EXCL) succeeds; /sys/block/LOWER/holders is empty.
# Expected, as of dm, md and of a mount of LOWER itself: EBUSY ("LOWER is apparently in use by the system"), and UPPER in `holders`.
# Exits 0 while it is so, 1 when it has changed, 2 when it cannot be tried here.
set -euo pipefail
PATH="$PATH:/usr/sbin:/sbin"
work=$(mktemp -d)
lower='' upper=''
clean_up() {
  umount "$work/mounted" 2>/dev/null || true
  [[ -z $upper ]] || losetup --detach "$upper"
  [[ -z $lower ]] || losetup --detach "$lower"
  rm -rf "$work"
}
trap clean_up EXIT
uname -r
losetup --version
mkfs.ext4 -V 2>&1 | head -1
mkdir "$work/mounted"
truncate --size 64M "$work/disk"
lower=$(losetup --find --show "$work/disk") || exit 2
upper=$(losetup --find --show "$lower") || exit 2
mkfs.ext4 -q "$upper"
mount "$upper" "$work/mounted"
echo precious >"$work/mounted/file"
sync --file-system "$work/mounted"
changed=0
held=$(ls "/sys/block/${lower#/dev/}/holders")
echo "holders of the lower device: ${held:-none}"
[[ -z $held ]] || changed=1
if mkfs.ext4 -q "$lower" </dev/null; then
  echo 'mkfs.ext4 has made a file system on the lower device, below a mounted one.'
else
  echo 'mkfs.ext4 has refused the lower device.'
  changed=1
fi
exit "$changed"
