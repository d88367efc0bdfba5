#!/usr/bin/env bash
# A disk that is written all the time, backed up three times, restored and compared. Needs a running Strata (`strata up
# --allow-nbd DIRECTORY`), STRATA_URL and STRATA_TOKEN. Usage: demo.sh DIRECTORY REPOSITORY
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(realpath "$1") repository=${2:-main}
disk=$work/live.qcow2
vm=qemu-live-$$
qemu-img create -q -f qcow2 "$disk" 64M
qemu-io -f qcow2 -c 'write -q -P 1 0 16M' "$disk"

qemu-storage-daemon \
  --chardev "socket,id=qmp,path=$work/qmp.sock,server=on,wait=off" --monitor chardev=qmp \
  --blockdev "driver=file,node-name=file0,filename=$disk" --blockdev driver=qcow2,node-name=disk0,file=file0 \
  --nbd-server "addr.type=unix,addr.path=$work/nbd.sock,max-connections=0" \
  --export type=nbd,id=guest,node-name=disk0,name=guest,writable=on &
daemon=$!
writer=
trap 'kill $writer $daemon 2>/dev/null || true; wait; rm -f "$disk" "$work"/qmp.sock "$work"/nbd.sock "$work"/instant-*.raw' EXIT
until [[ -S $work/nbd.sock && -S $work/qmp.sock ]]; do sleep 0.1; done

guest="nbd+unix:///guest?socket=$work/nbd.sock"
( while :; do
    qemu-io -f raw -c "write -q -P $((RANDOM % 256)) $((RANDOM % 900 * 65536)) 65536" "$guest" >/dev/null
  done ) &
writer=$!

for round in 1 2 3; do
  backup=$("$here/backup.mjs" --qmp "$work/qmp.sock" --node disk0 --vm "$vm" --repository "$repository" \
    --nbd "$work/nbd.sock" --scratch "$work" --save-instant "$work/instant-$round.raw")
  echo "$backup"
done
