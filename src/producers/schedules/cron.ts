import { CronExpressionParser } from 'cron-parser';
import { isStrataError, StrataError } from '../../shared/errors.js';
import { parseSchedule, refusedSchedule } from './grammar.js';
import { nextOccurrence } from './occurrences.js';
import { wallClock } from './wallClock.js';

/**
 * The first instant after `after` that a schedule names, by the wall clock of a time zone (docs/policies.md says what it does
 * when the clocks change).
 * @param schedule five fields of cron: minute, hour, day of month, month, day of week
 * @throws invalid_request for what is no such schedule, or never occurs
 */
export function nextTime(schedule: string, timeZone: string, after: Date): Date {
  const next = nextOccurrence(parseSchedule(schedule), clockOf(timeZone), after.getTime());
  if (next === undefined) throw refusedSchedule('it names no instant any more.');
  return new Date(next);
}

/** Why a schedule that is stored would be refused today; undefined for one that would not be. */
export function refusalOf(schedule: string): string | undefined {
  try {
    parseSchedule(schedule);
    return undefined;
  } catch (error) {
    if (isStrataError(error, 'invalid_request')) return error.message;
    throw error;
  }
}

/**
 * The next time of a schedule that is stored. One that was taken when the grammar was cron-parser's, and would be refused
 * today, goes on under that reading: a VM must not lose its nights over an upgrade. Its `H` is seeded, so that it is one time.
 * @returns null where it names no instant under either reading
 */
export function nextTimeOfStored(schedule: string, timeZone: string, after: Date): Date | null {
  try {
    return nextTime(schedule, timeZone, after);
  } catch {
    return nextTimeAsBefore(schedule, timeZone, after);
  }
}

function nextTimeAsBefore(schedule: string, timeZone: string, after: Date): Date | null {
  try {
    const options = { tz: timeZone, currentDate: after, hashSeed: schedule };
    return CronExpressionParser.parse(schedule, options).next().toDate();
  } catch {
    return null;
  }
}

/** @throws invalid_request for a time zone that Node does not know */
export function checkTimeZone(timeZone: string): void {
  clockOf(timeZone);
}

function clockOf(timeZone: string) {
  try {
    return wallClock(timeZone);
  } catch (error) {
    throw new StrataError('invalid_request', `${timeZone} is no time zone, such as Europe/Berlin or UTC.`, {
      field: 'time_zone',
      cause: error,
    });
  }
}
