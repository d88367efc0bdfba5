import { CronExpressionParser } from 'cron-parser';
import { StrataError } from '../../shared/errors.js';

/**
 * The first instant after `after` that a schedule names. Where the clock is put forward, a time that does not exist comes
 * with the change; where it is put back, one that comes twice counts once.
 * @param schedule five fields of cron: minute, hour, day of month, month, day of week
 * @throws invalid_request for what is no such schedule, or names no instant
 */
export function nextTime(schedule: string, timeZone: string, after: Date): Date {
  if (schedule.trim().split(/\s+/).length !== 5) throw invalid('It has five fields.');
  try {
    return CronExpressionParser.parse(schedule, { tz: timeZone, currentDate: after }).next().toDate();
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error), error);
  }
}

/** @throws invalid_request for a time zone that Node does not know */
export function checkTimeZone(timeZone: string): void {
  try {
    Intl.DateTimeFormat('en-US', { timeZone });
  } catch (error) {
    throw new StrataError('invalid_request', `${timeZone} is no time zone, such as Europe/Berlin or UTC.`, {
      field: 'time_zone',
      cause: error,
    });
  }
}

function invalid(why: string, cause?: unknown): StrataError {
  const message = `The schedule is not one of cron, such as "30 2 * * *": ${why}`;
  return new StrataError('invalid_request', message, { field: 'schedule', ...(cause ? { cause } : {}) });
}
