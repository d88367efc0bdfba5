/**
 * What the clock on the wall of a time zone shows, read from Intl: its digits only, because the words that it has for
 * offsets differ from one release of ICU to the next (76 says `GMT` for UTC, 78 `GMT+00:00`).
 * @param timeZone IANA name, `UTC` or an offset
 * @returns for an instant, in milliseconds since 1970, the time that is shown then, written as if it were UTC
 * @throws RangeError for a zone that Node does not know
 */
export function wallTime(timeZone: string): (instant: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  return (instant) => {
    const parts: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {};
    for (const { type, value } of format.formatToParts(instant)) parts[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
    return Date.UTC(year, month - 1, day, hour, minute, second) + (((instant % 1000) + 1000) % 1000);
  };
}
