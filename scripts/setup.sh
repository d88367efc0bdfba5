#!/usr/bin/env bash
# Installs what is missing: system packages, npm packages, the build. Does nothing when all is there.
#   setup.sh [--test]     --test: also what only the tests need, and no build, which is a stage of theirs
# STRATA_NO_APT=1 forbids apt: missing programs are then named instead. Nothing that is installed is ever removed, and
# no service starts, now or at the next boot. What STRATA_REDIS_URL or STRATA_DATABASE_URL replaces is not asked for.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# program:package(s that may hold it, the first that exists is taken)
tools=(qemu-img:qemu-utils qemu-nbd:qemu-utils qemu-io:qemu-utils setpriv:util-linux prlimit:util-linux
  bwrap:bubblewrap mke2fs:e2fsprogs debugfs:e2fsprogs perl:perl-base)
redis=(redis-server:redis-server) database=(mariadbd:mariadb-server mariadb-install-db:mariadb-server)
if [[ "${1:-}" == --test ]]; then
  # The tests start servers of their own, whatever the addresses of others say.
  tools+=("${redis[@]}" "${database[@]}" nbdkit:nbdkit nbdinfo:libnbd-bin mkfs.xfs:xfsprogs
    'qemu-storage-daemon:qemu-system-common,qemu-system-x86,qemu-storage-daemon')
else
  [[ -n "${STRATA_REDIS_URL:-}" ]] || tools+=("${redis[@]}")
  [[ -n "${STRATA_DATABASE_URL:-}" ]] || tools+=("${database[@]}")
fi

missing_tools() {
  local entry
  for entry in "${tools[@]}"; do
    command -v "${entry%%:*}" >/dev/null || printf '%s\n' "$entry"
  done
}

first_available() { # of packages separated by commas
  local package
  for package in ${1//,/ }; do
    if apt-cache show "$package" >/dev/null 2>&1; then
      printf '%s\n' "$package"
      return
    fi
  done
  printf '%s\n' "${1%%,*}"
}

refuse() { # reason, missing entries
  local names packages
  names=$(printf '%s\n' "${@:2}" | cut -d: -f1 | paste -sd' ')
  packages=$(printf '%s\n' "${@:2}" | cut -d: -f2 | cut -d, -f1 | sort -u | paste -sd' ')
  echo "Strata needs programs that are not installed: $names" >&2
  echo "$1 Install them and start again:  apt-get install -y --no-install-recommends $packages" >&2
  exit 1
}

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n -- "$@"; fi
}

# The packages of servers start them as services of the system; Strata runs private ones. While this file says "not
# allowed" (101), packages start nothing; services that run already are left alone.
policy=/usr/sbin/policy-rc.d
restore_policy=none
forbid_service_starts() {
  if as_root test -e "$policy.strata-saved"; then
    restore_policy=move # a set-up was killed in between: the file in place is ours
  elif as_root test -e "$policy"; then
    as_root mv "$policy" "$policy.strata-saved"
    restore_policy=move
  else
    restore_policy=remove
  fi
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
}
allow_service_starts() {
  case "$restore_policy" in
    move) as_root mv -f "$policy.strata-saved" "$policy" ;;
    remove) as_root rm -f "$policy" ;;
  esac
  restore_policy=none
}
trap allow_service_starts EXIT

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" </dev/null
}

# MariaDB's packages would remove an installed MySQL, with the service of whoever runs it.
refuse_removals() { # packages...
  local removed
  removed=$(apt_get -s install --no-install-recommends "$@" 2>/dev/null | sed -n 's/^Remv \([^ ]*\).*/\1/p' | paste -sd' ')
  [[ -n "$removed" ]] || return 0
  echo "To install $* would remove what is installed: $removed. Nothing was changed." >&2
  echo "Let Strata use a server of yours (STRATA_DATABASE_URL, STRATA_REDIS_URL), or remove the packages yourself." >&2
  exit 1
}

packages_installed() {
  dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort
}

# What packages themselves enable and disable units with: it works without systemd, and upgrades respect it. It refuses
# to work outside of dpkg, hence the variable.
unit_helper() { # package, arguments...
  as_root env "DPKG_MAINTSCRIPT_PACKAGE=$1" deb-systemd-helper "${@:2}" >/dev/null
}

# Packages of servers enable a service for the next boot, and so do some that they need. What was installed just now belongs
# to nobody else: Strata starts private servers, and a user of Strata has not asked for others on the machine's ports.
keep_services_off() { # the packages there were before, one a line
  local package unit
  while IFS= read -r package; do
    case "$package" in systemd* | dbus* | udev) continue ;; esac
    while IFS= read -r unit; do
      compgen -G "/etc/systemd/system/*.wants/$unit" >/dev/null || continue
      unit_helper "$package" disable "$unit"
      [[ ! -e "/etc/init.d/${unit%.*}" ]] || as_root update-rc.d "${unit%.*}" disable >/dev/null 2>&1
      echo "The service $unit of $package does not start at boot; 'systemctl enable $unit' changes that."
    done < <(dpkg -L "$package" | sed -nE 's#^(/usr)?/lib/systemd/system/([^/@]*[.](service|socket|timer))$#\2#p')
  done < <(comm -13 <(printf '%s\n' "$1") <(packages_installed))
}

install_packages() {
  local missing packages=() before after had name
  mapfile -t missing < <(missing_tools)
  [[ ${#missing[@]} -gt 0 ]] || return 0
  [[ -z "${STRATA_NO_APT:-}" ]] || refuse "STRATA_NO_APT forbids to install them." "${missing[@]}"
  command -v apt-get >/dev/null || refuse "There is no apt-get on this machine." "${missing[@]}"
  [[ $(id -u) == 0 ]] || sudo -n true 2>/dev/null || refuse "Only root may do that (no sudo without a password)." "${missing[@]}"
  echo "Installing packages for: $(printf '%s\n' "${missing[@]}" | cut -d: -f1 | paste -sd' ')"
  apt_get -qq update || echo "apt-get update failed; trying with the package lists at hand." >&2
  mapfile -t packages < <(for name in "${missing[@]}"; do first_available "${name#*:}"; done | sort -u)
  refuse_removals "${packages[@]}"
  before=$(running_services)
  had=$(packages_installed)
  forbid_service_starts
  apt_get -qq install -y --no-remove --no-install-recommends "${packages[@]}"
  allow_service_starts
  keep_services_off "$had"
  after=$(running_services)
  [[ "$before" == "$after" ]] || echo "Note: a system service was started by its package: $after" >&2
  mapfile -t missing < <(missing_tools)
  [[ ${#missing[@]} == 0 ]] || refuse "The packages do not hold them." "${missing[@]}"
}

running_services() { # the system's own Redis and MariaDB, by their default pid files
  local file
  for file in /run/redis/redis-server.pid /run/mysqld/mysqld.pid; do
    [[ ! -e "$file" ]] || printf '%s ' "$file"
  done
}

install_npm_packages() {
  local stamp=node_modules/.strata-stamp want
  want=$(node -p 'process.version + " " + process.arch' && sha256sum package-lock.json | cut -d' ' -f1)
  [[ -f "$stamp" && "$(cat "$stamp")" == "$want" ]] && return
  npm ci --include=dev --no-audit --no-fund </dev/null
  printf '%s\n' "$want" >"$stamp"
}

install_packages
install_npm_packages
[[ "${1:-}" == --test ]] || bash scripts/build.sh
