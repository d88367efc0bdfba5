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
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
  const local = (at: Date) => {
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
    const { year = '', month = '', day = '', hour = '', minute = '', second = '' } = parts;
    const wall = Date.UTC(
      Number(year),
      Number(month) - 1,
      Number(day),
      Number(hour),
      Number(minute),
      Number(second),
    );
    return { year, month, day, hour, offset: offsetText(wall - Math.floor(at.getTime() / 1000) * 1000) };
  };
  return {
    hourly: (at) => {
      const { year, month, day, hour, offset } = local(at);
      return `${year}-${month}-${day}T${hour}${offset}`;
    },
    daily: (at) => {
      const { year, month, day } = local(at);
      return `${year}-${month}-${day}`;
    },
    weekly: (at) => {
      const { year, month, day } = local(at);
      return isoWeek(Number(year), Number(month), Number(day));
    },
    monthly: (at) => {
      const { year, month } = local(at);
      return `${year}-${month}`;
    },
    yearly: (at) => local(at).year,
  };
}

/**
 * An offset from UTC as `+HH:MM`. The text is our own: that of `Intl` differs by the host's version of ICU (76 says `GMT`
 * for UTC, 78 `GMT+00:00`), and names of periods are compared and shown.
 */
function offsetText(offsetMs: number): string {
  const minutes = Math.round(Math.abs(offsetMs) / 60_000);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${offsetMs < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/** ISO 8601, 2.2.10: a week belongs to the year that its Thursday lies in. */
function isoWeek(year: number, month: number, day: number): string {
  const date = Date.UTC(year, month - 1, day);
  const weekday = (new Date(date).getUTCDay() + 6) % 7;
  const thursday = new Date(date + (3 - weekday) * DAY_MS);
  const firstDay = Date.UTC(thursday.getUTCFullYear(), 0, 1);
  const week = Math.floor((thursday.getTime() - firstDay) / (7 * DAY_MS)) + 1;
  return `${thursday.getUTCFullYear()}-W${String(week).padStart(2, '0')}`;
}
