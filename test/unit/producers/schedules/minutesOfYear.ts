const MINUTE_MS = 60_000;
const QUARTER_MS = 15 * MINUTE_MS;

/** A minute of a zone's clock: its digits, and whether the clock had shown them before. */
interface ShownMinute {
  instant: number;
  minute: number;
  hour: number;
  day: number;
  month: number;
  weekday: number;
  /** The clock showed the same an hour or so ago. */
  again: boolean;
  /** The clock was put forward over it: `instant` is that of the change. */
  skipped: boolean;
}

export interface Fields {
  minutes: ReadonlySet<number>;
  hours: ReadonlySet<number>;
  everyHour: boolean;
  days: ReadonlySet<number> | undefined;
  months: ReadonlySet<number>;
  weekdays: ReadonlySet<number> | undefined;
}

/**
 * All minutes that the clock of a zone shows within a year, one after the other, and those that it leaves out. No zone of
 * today changes its clock within a quarter of an hour.
 */
export function minutesOfYear(year: number, timeZone: string): ShownMinute[] {
  const format = new Intl.DateTimeFormat('sv-SE', {
    timeZone,
    dateStyle: 'short',
    timeStyle: 'medium',
  });
  const read = (instant: number) => Date.parse(`${format.format(instant).replace(' ', 'T')}Z`);
  const seen = new Set<number>();
  const all: ShownMinute[] = [];
  let expected: number | undefined;
  for (let quarter = Date.UTC(year, 0, 1); quarter < Date.UTC(year + 1, 0, 1); quarter += QUARTER_MS) {
    const shown = read(quarter);
    for (let left = expected ?? shown; left < shown; left += MINUTE_MS) {
      all.push(minute(quarter, left, false, true));
    }
    for (let past = 0; past < QUARTER_MS; past += MINUTE_MS) {
      all.push(minute(quarter + past, shown + past, seen.has(shown + past), false));
      seen.add(shown + past);
    }
    expected = shown + QUARTER_MS;
  }
  return all;
}

function minute(instant: number, shown: number, again: boolean, skipped: boolean): ShownMinute {
  const clock = new Date(shown);
  return {
    instant,
    minute: clock.getUTCMinutes(),
    hour: clock.getUTCHours(),
    day: clock.getUTCDate(),
    month: clock.getUTCMonth() + 1,
    weekday: clock.getUTCDay(),
    again,
    skipped,
  };
}

/** The instants of a schedule, by looking at every minute. */
export function occurrencesByLooking(all: readonly ShownMinute[], fields: Fields): number[] {
  const named = all.filter((at) => {
    if (!fields.minutes.has(at.minute) || !fields.hours.has(at.hour)) return false;
    if (!fields.months.has(at.month)) return false;
    if (!fields.everyHour && at.again) return false;
    if (fields.everyHour && at.skipped) return false;
    if (fields.days && fields.weekdays) return fields.days.has(at.day) || fields.weekdays.has(at.weekday);
    return (fields.days?.has(at.day) ?? true) && (fields.weekdays?.has(at.weekday) ?? true);
  });
  return [...new Set(named.map(({ instant }) => instant))].sort((a, b) => a - b);
}
