#!/usr/bin/env bash
# Two cron libraries from npm leave runs out where a time zone changes its clock. Runs without Strata, on valid schedules.
#
# Seen with cron-parser 5.10.3, croner 10.0.1, Node 20 (November 2026):
#   cron-parser: `0 0 * * *` in America/Havana has no run on 2026-03-08, the day whose midnight does not exist; the same in
#     Africa/Cairo. `30 2 * * *` in Europe/Berlin comes at 03:30 on the day that has no 02:30: what it does depends on the hour.
#   croner: `*/30 * * * *` in Europe/Berlin has no run in the second 2 o'clock of 2026-10-25: an hour without any.
#   croner: `45 1 * * *` in Australia/Lord_Howe (half an hour back at 02:00) takes the second 01:45, Berlin's 02:30 the first.
# Expected of a schedule: a daily one has a run on each day, one for every half hour has no gap of an hour.
# Exits 0 while the libraries behave so, 1 when one of them has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent cron-parser@5.10.3 croner@10.0.1
cat >ask.mjs <<'JS'
import { CronExpressionParser } from 'cron-parser';
import { Cron } from 'croner';

const parsers = {
  'cron-parser': (schedule, tz) => (after) =>
    CronExpressionParser.parse(schedule, { tz, currentDate: after }).next().toDate(),
  croner: (schedule, timezone) => (after) => new Cron(schedule, { timezone, mode: '5-part' }).nextRun(after),
};
const seen = [
  ['cron-parser', '0 0 * * *', 'America/Havana', '2026-03-07T12:00Z', '2026-03-09T12:00Z', '03-09T04:00'],
  ['croner', '0 0 * * *', 'America/Havana', '2026-03-07T12:00Z', '2026-03-09T12:00Z', '03-08T05:00 03-09T04:00'],
  ['cron-parser', '30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', '2026-03-29T12:00Z', '03-29T01:30'],
  ['cron-parser', '*/30 * * * *', 'Europe/Berlin', '2026-10-25T00:15Z', '2026-10-25T02:15Z', '10-25T00:30 10-25T01:00 10-25T01:30 10-25T02:00'],
  ['croner', '*/30 * * * *', 'Europe/Berlin', '2026-10-25T00:15Z', '2026-10-25T02:15Z', '10-25T00:30 10-25T02:00'],
  ['cron-parser', '45 1 * * *', 'Australia/Lord_Howe', '2026-04-04T00:00Z', '2026-04-05T00:00Z', '04-04T14:45'],
  ['croner', '45 1 * * *', 'Australia/Lord_Howe', '2026-04-04T00:00Z', '2026-04-05T00:00Z', '04-04T15:15'],
];
let changed = 0;
for (const [name, schedule, zone, from, until, expected] of seen) {
  const next = parsers[name](schedule, zone);
  const found = [];
  for (let at = next(new Date(from)); at !== null && at < new Date(until); at = next(at)) {
    found.push(at.toISOString().slice(5, 16));
  }
  const same = found.join(' ') === expected;
  if (!same) changed++;
  console.log(`${same ? 'as seen' : 'CHANGED'}  ${name}  ${schedule}  ${zone}: ${found.join(' ')}`);
}
process.exit(changed === 0 ? 0 : 1);
JS
node ask.mjs
