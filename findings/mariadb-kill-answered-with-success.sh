#!/usr/bin/env bash
# MariaDB 11.8 answers an UPDATE or a DELETE with success that it has not begun, when a KILL QUERY of its session comes just
# before it. Runs without Strata, on a private server in a temporary directory and its own command line client.
#
# Seen with MariaDB 11.8.9 (Debian 13): of 56,000 UPDATEs, each of which matches one row, beside a stream of KILL QUERY,
#   14,547 are answered "Query OK, 0 rows affected", without the line "Rows matched", instead of with error 1317, and
#   the row has not changed. A DELETE of a row that is there "deletes" 0 rows. Within a transaction, all else is then committed.
#   SELECT, INSERT, and UPDATE and DELETE of several tables end with the error, as expected. So do they all while they wait for a
#   lock, and where max_statement_time ends them.
# Not seen with MariaDB 10.11.19 (Debian 12).
# Exits 0 where the server behaves so, 1 where it does not.
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
ask() { mariadb --no-defaults -uroot -S "$work/s" "$@"; }
until ask -e 'DO 0' 2>/dev/null; do kill -0 "$server"; sleep 0.2; done
ask -sNe 'SELECT VERSION()'
ask -e 'CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, n INT NOT NULL); INSERT INTO d.t VALUES (1, 0), (2, 0)'

beside_kills() { # statements: sends them for some seconds, while the session is told to end what it does
  mkfifo "$work/in"
  ask --force -vvv --unbuffered d <"$work/in" >"$work/out" 2>&1 &
  local client=$! killer
  exec 3>"$work/in"
  echo 'SELECT CONNECTION_ID() AS session\G' >&3
  until grep -q '^session: ' "$work/out"; do sleep 0.05; done
  yes "KILL QUERY $(sed -n 's/^session: //p' "$work/out");" | timeout 4 mariadb --no-defaults -uroot -S "$work/s" --force >/dev/null 2>&1 &
  killer=$!
  yes "$1" | timeout 4 cat >&3 || true
  exec 3>&-
  wait "$killer" || true
  wait "$client" || true
  rm "$work/in"
}

beside_kills 'UPDATE t SET n = n + 1 WHERE id = 1;'
done_rows=$(grep -c '^Rows matched: 1' "$work/out" || true)
nothing=$(grep -c '^Query OK, 0 rows affected' "$work/out" || true)
echo "UPDATE of one row: $done_rows done, $(grep -c 'ERROR 1317' "$work/out" || true) interrupted, $nothing \"OK, 0 rows affected\""
echo "  the row says: $(ask -sN d -e 'SELECT n FROM t WHERE id = 1') times"
beside_kills 'UPDATE t a JOIN t b USING (id) SET a.n = a.n + 1 WHERE b.id = 2;'
several=$(grep -c '^Query OK, 0 rows affected' "$work/out" || true)
echo "UPDATE of a join:  $(grep -c '^Rows matched: 1' "$work/out" || true) done, $several \"OK, 0 rows affected\""
[[ $nothing -gt 0 && $several == 0 ]]
