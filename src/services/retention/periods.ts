import { wallTime } from '../../shared/wallTime.js';

/** The periods of the rules, from short to long. */
export const PERIODS = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
export type Period = (typeof PERIODS)[number];

/** Names the period of an instant: two instants have one name exactly if they lie in one period. */
export type NamePeriod = (at: Date) => string;

const DAY_MS = 86_400_000;

/**
 * Names periods by the wall clock of a time zone. Hours carry their offset, so that the hour that comes twice when summer
 * time ends is two hours; weeks are those of ISO 8601 and begin on Monday.
 * @param timeZone IANA name, `UTC` or an offset
 * @throws RangeError for a zone that Node does not know
 */
export function periodNames(timeZone: string): Record<Period, NamePeriod> {
  const wall = wallTime(timeZone);
  const local = (at: Date) => {
    const shown = wall(at.getTime());
    const [day = '', time = ''] = new Date(shown).toISOString().split('T');
    const [year = '', month = ''] = day.split('-');
    return { shown, year, month, day, hour: time.slice(0, 2), offset: offsetText(shown - at.getTime()) };
  };
  return {
    hourly: (at) => {
      const { day, hour, offset } = local(at);
      return `${day}T${hour}${offset}`;
    },
    daily: (at) => local(at).day,
    weekly: (at) => isoWeek(local(at).shown),
    monthly: (at) => {
      const { year, month } = local(at);
      return `${year}-${month}`;
    },
    yearly: (at) => local(at).year,
  };
}

/** An offset from UTC as `+HH:MM`; `offsetMs` is the wall clock less UTC. */
function offsetText(offsetMs: number): string {
  const minutes = Math.round(Math.abs(offsetMs) / 60_000);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${offsetMs < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/** ISO 8601, 2.2.10: a week belongs to the year that its Thursday lies in. */
function isoWeek(shown: number): string {
  const date = Math.floor(shown / DAY_MS) * DAY_MS;
  const weekday = (new Date(date).getUTCDay() + 6) % 7;
  const thursday = new Date(date + (3 - weekday) * DAY_MS);
  const firstDay = Date.UTC(thursday.getUTCFullYear(), 0, 1);
  const week = Math.floor((thursday.getTime() - firstDay) / (7 * DAY_MS)) + 1;
  return `${thursday.getUTCFullYear()}-W${String(week).padStart(2, '0')}`;
}
