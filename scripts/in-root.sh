#!/usr/bin/env bash
# Runs a command in another system on this machine, as root: a debootstrap of another Debian for the tests (docs/testing.md).
#   in-root.sh DIRECTORY COMMAND
# DIRECTORY becomes the root by pivot_root, as in a container: in a chroot, bubblewrap may make no sandbox. The mounts, and the
# processes that the command leaves, end with it.
set -euo pipefail
(($# == 2)) || { sed -n '2,3s/^# *//p' "$0" >&2; exit 2; }
# shellcheck disable=SC2016 # expanded inside
exec unshare --mount --pid --fork --kill-child bash -euc '
  mount --bind "$1" "$1"
  cd "$1"
  mount -t proc proc proc
  mount -t sysfs sysfs sys
  mount --rbind /dev dev
  mount -t tmpfs tmpfs run
  mkdir -p .outside
  pivot_root . .outside
  cd /root
  umount -l /.outside
  rmdir /.outside
  # The first process of a PID namespace has to wait for orphans: a shell does, what it runs perhaps not.
  env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash -c "$2" && code=0 || code=$?
  exit "$code"
' in-root "$1" "$2"
