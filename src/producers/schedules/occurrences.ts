import type { Schedule } from './grammar.js';
import type { WallClock } from './wallClock.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** 29 February of 2096 is followed by that of 2104; some days more for the ends. */
const LONGEST_WAIT_DAYS = 8 * 366 + 7;

/**
 * The first instant after `after` (milliseconds since 1970) at which a schedule occurs on a wall clock, or undefined if none
 * follows. A named hour that the clock leaves out comes with the change of the clock; one that it shows twice counts once.
 * Where the hour is `*`, the times are those that the clock shows: an hour that is left out is none, one that comes twice is two.
 * Libraries leave runs out where clocks change (findings/cron-parsers-and-clock-changes.sh), hence this one.
 */
export function nextOccurrence(schedule: Schedule, clock: WallClock, after: number): number | undefined {
  const today = Math.floor(clock.at(after) / DAY_MS) * DAY_MS;
  let found: number | undefined;
  // Yesterday as well: where midnight itself is put back, yesterday's last hour comes again.
  for (let day = today - DAY_MS; day <= today + LONGEST_WAIT_DAYS * DAY_MS; day += DAY_MS) {
    const last = found !== undefined;
    if (isDayOf(schedule, new Date(day))) {
      const next = firstOfDay(schedule, clock, day, after);
      if (next !== undefined) found = Math.min(next, found ?? next);
    }
    // For the same reason the day after the one that was found may have an earlier instant.
    if (last) return found;
  }
  return found;
}

function isDayOf({ days, months, weekdays }: Schedule, day: Date): boolean {
  if (!months.has(day.getUTCMonth() + 1)) return false;
  const byDay = days?.has(day.getUTCDate());
  const byWeekday = weekdays?.has(day.getUTCDay());
  // POSIX: where both are restricted, either will do.
  return byDay === undefined ? (byWeekday ?? true) : byDay || byWeekday === true;
}

function firstOfDay(schedule: Schedule, clock: WallClock, day: number, after: number): number | undefined {
  const find = clock.ofDay(day);
  let found: number | undefined;
  for (const hour of schedule.hours) {
    for (const minute of schedule.minutes) {
      const { shown, skippedAt } = find(day + hour * HOUR_MS + minute * MINUTE_MS);
      const once = shown[0] ?? skippedAt;
      const instants = schedule.everyHour ? shown : once === undefined ? [] : [once];
      for (const instant of instants) {
        if (instant > after && (found === undefined || instant < found)) found = instant;
      }
    }
  }
  return found;
}
