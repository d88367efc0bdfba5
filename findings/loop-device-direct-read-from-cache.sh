#!/usr/bin/env bash
# A read of a loop device by direct I/O may be answered from a page cache: that of the file behind the device. Runs without Strata.
#
# Seen with QEMU 7.2.22 (Debian 12), util-linux 2.38.1 and Linux 6.18: qemu-storage-daemon serves a disk that forgets all that is
# written (null-co) as a file by FUSE, and a loop device lies over that file. What was written to the device and flushed with fsync
# is read back right with O_DIRECT, although no disk holds it; with `losetup --direct-io=on` the read gives the zeros of the disk.
# A while later (here 3 s) the first kind of loop device gives zeros, too: presumably the attributes of the FUSE file have run out, and
# the kernel drops its pages. So a test that must see what a disk holds passes or fails by the speed of the machine.
# Expected: O_DIRECT asks the disk. The device obeys; the loop driver then reads its file as any program does.
# Exits 0 while all of that is so, 1 when it has changed.
set -euo pipefail
for tool in qemu-storage-daemon losetup; do
  command -v "$tool" >/dev/null || { echo "needs $tool (qemu-system-common, util-linux)"; exit 2; }
done
[[ $EUID -eq 0 ]] || { echo 'needs root, for loop devices'; exit 2; }
work=$(mktemp -d)
device='' daemon=''
end() {
  [[ -z "$device" ]] || losetup --detach "$device"
  [[ -z "$daemon" ]] || { kill "$daemon"; wait "$daemon" 2>/dev/null || true; }
  rm -rf "$work"
}
trap end EXIT
: >"$work/disk"
qemu-storage-daemon --blockdev driver=null-co,node-name=disk,size=16777216,read-zeroes=on \
  --export "type=fuse,id=disk,node-name=disk,mountpoint=$work/disk,writable=on" &
daemon=$!
for _ in $(seq 100); do # until the export is there
  [[ $(stat -c %s "$work/disk") == 16777216 ]] && break
  sleep 0.1
done
head -c 65536 /dev/zero | tr '\0' A >"$work/written"

write_and_read() { # seconds between the two; says what the direct read gave
  dd if="$work/written" of="$device" bs=64k conv=fsync status=none
  sleep "$1"
  dd if="$device" of="$work/read" bs=64k count=1 iflag=direct status=none
  if cmp -s "$work/written" "$work/read"; then echo 'what was written'
  elif [[ -z $(tr -d '\0' <"$work/read") ]]; then echo zeros
  else echo 'something else'; fi
}
changed=0
expect() { # what, outcome, expected outcome
  printf '%-70s %s\n' "$1" "$2"
  [[ "$2" == "$3" ]] || { echo "  CHANGED: it was $3"; changed=1; }
}

qemu-storage-daemon --version | head -1
losetup --version
uname -r
device=$(losetup --find --show "$work/disk")
expect 'direct read at once, over a loop device:' "$(write_and_read 0)" 'what was written'
expect 'direct read after 3 s, over a loop device:' "$(write_and_read 3)" zeros
losetup --detach "$device"
device=$(losetup --find --show --direct-io=on "$work/disk")
expect 'direct read at once, over a loop device with --direct-io=on:' "$(write_and_read 0)" zeros
exit "$changed"
