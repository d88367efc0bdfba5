#!/usr/bin/env bash
# What bubblewrap makes of mount points. Runs without Strata; as root, where namespaces are allowed.
#
# Seen with bubblewrap 0.8.0 (Debian 12, 0.8.0-2+deb12u1), Linux 6.18 (November 2026):
#   - the directories above the mount point of a *file*, or above that of a directory whose parents are missing, are made with mode
#     0700: a program that gives up root inside finds `Permission denied` on the way to /dev/null or to its socket. With
#     `--perms 0755 --dir` before the mount they are open.
#   - `--ro-bind /proc/self/fd/N DEST` does not mount what the descriptor has open, as mount(2) would: bwrap resolves the source to a
#     name (realpath(3)) and mounts what has that name. Of a file that was unlinked there is no name, and it fails.
# Expected: parents that whoever runs inside can pass, as `mkdir -p` makes them; the open file. (`--ro-bind-fd` came with 0.10.)
# Exits 0 while it behaves so, 1 when one of the two has changed, 77 where it cannot be tried.
set -euo pipefail
if ! command -v bwrap >/dev/null || ! command -v setpriv >/dev/null || [[ $(id -u) != 0 ]] || ! bwrap --ro-bind / / true 2>/dev/null; then
  echo "not tried: needs root, bwrap, setpriv and namespaces"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
changed=0
bwrap --version

same() { # what, expected, found
  if [[ "$2" == "$3" ]]; then echo "as seen: $1: $3"; else echo "CHANGED: $1: $3, was $2" && changed=1; fi
}

inside() { # options of bwrap, then -- and a command, as nobody
  local options=()
  while [[ "$1" != -- ]]; do options+=("$1") && shift; done
  bwrap --ro-bind /usr /usr --ro-bind-try /lib /lib --ro-bind-try /lib64 /lib64 --proc /proc "${options[@]}" -- \
    setpriv --reuid 65534 --regid 65534 --clear-groups -- "${@:2}" 2>&1 || true
}

mkdir -p "$work/given/box" && chmod 755 "$work/given" "$work/given/box"
same "parent of a file's mount point" 700 "$(inside --dev-bind /dev/null /dev/null -- stat -c %a /dev)"
same "parents of a directory's mount point" 700 "$(inside --bind "$work/given/box" /a/b/box -- stat -c %a /a)"
same "with --perms 0755 --dir" 755 "$(inside --perms 0755 --dir /dev --dev-bind /dev/null /dev/null -- stat -c %a /dev)"

echo content >"$work/file"
exec 7<"$work/file"
same "an open file that has a name" content "$(inside --ro-bind /proc/self/fd/7 /file -- cat /file)"
rm "$work/file"
same "cat of an open file without a name" content "$(cat /proc/self/fd/7)"
same "the same, bound" refused "$(inside --ro-bind /proc/self/fd/7 /file -- cat /file | grep -q content && echo bound || echo refused)"
exit "$changed"
