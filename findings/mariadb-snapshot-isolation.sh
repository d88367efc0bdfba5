#!/usr/bin/env bash
# With innodb_snapshot_isolation, MariaDB fails a READ COMMITTED statement that looks up which row to lock and then has to wait.
# Runs without Strata, on a private server in a temporary directory and its own command line client.
#
# One session has changed a row and not committed. Another asks, in a transaction of its own, for
#   SELECT n FROM t WHERE id = (SELECT wanted FROM lookup) FOR UPDATE
# and waits. When the first one commits, the second gets
#   OFF: the row as it is now, as on MySQL and on older servers, whose default this is (MariaDB 10.11.19);
#   ON:  error 1020, "Record has changed since last read in table 't'; try restarting transaction". The default of 11.8.9 (Debian 13).
# Without the subquery it gets the row with both: a locking read alone takes no snapshot, the subquery does.
# Exits 0 while MariaDB behaves so, 1 when it has changed, 2 where it has no such variable.
set -euo pipefail
PATH=$PATH:/usr/sbin
command -v mariadbd >/dev/null || { echo 'needs mariadb-server'; exit 2; }
work=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
user=$(id -un)
mariadb-install-db --no-defaults --datadir="$work/data" --user="$user" --auth-root-authentication-method=normal \
  --skip-test-db >/dev/null 2>&1
mariadbd --no-defaults --user="$user" --datadir="$work/data" --socket="$work/s" --pid-file="$work/pid" --skip-networking \
  >"$work/log" 2>&1 &
server=$!
ask() { mariadb --no-defaults -uroot -S "$work/s" -sN "$@"; }
until ask -e 'DO 0' 2>/dev/null; do kill -0 "$server"; sleep 0.2; done
ask -e 'SELECT VERSION()'
usual=$(ask -e "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_VARIABLES WHERE VARIABLE_NAME = 'INNODB_SNAPSHOT_ISOLATION'")
[[ -n $usual ]] || { echo 'There is no innodb_snapshot_isolation.'; exit 2; }
echo "by default: $usual"
ask -e 'CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, n INT NOT NULL); CREATE TABLE d.lookup (wanted INT);
  INSERT INTO d.t VALUES (1, 0); INSERT INTO d.lookup VALUES (1)'

wait_for_row() { # ON or OFF, which id: what the waiting session gets
  ask d -e 'START TRANSACTION; UPDATE t SET n = n + 1; SELECT SLEEP(2); COMMIT' >/dev/null &
  local holder=$!
  sleep 0.7
  ask d -e "SET innodb_snapshot_isolation = $1; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION; SELECT CONCAT('row ', n) FROM t WHERE id = $2 FOR UPDATE; COMMIT" 2>&1 | sed -nE 's/^ERROR ([0-9]+).*/error \1/p; /^row/p' || true
  wait "$holder"
}
changed=0
expect() { # what, outcome, expected outcome
  printf '%-22s %s\n' "$1" "$2"
  [[ "$2" == "$3" ]] || { echo "  CHANGED: it was $3"; changed=1; }
}
expect 'OFF, looked up:' "$(wait_for_row OFF '(SELECT wanted FROM lookup)')" 'row 1'
expect 'ON,  looked up:' "$(wait_for_row ON '(SELECT wanted FROM lookup)')" 'error 1020'
expect 'ON,  given:' "$(wait_for_row ON 1)" 'row 3'
exit "$changed"
