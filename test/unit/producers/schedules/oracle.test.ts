import { CronExpressionParser } from 'cron-parser';
import { expect } from 'chai';
import fc from 'fast-check';
import { nextTime } from '../../../../src/producers/schedules/cron.js';
import { type Fields, minutesOfYear, occurrencesByLooking } from './minutesOfYear.js';

/** Clocks put forward at midnight (Havana, Cairo), by half an hour (Lord Howe), on the southern half, in the far east and never. */
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/Havana',
  'Africa/Cairo',
  'Africa/Casablanca',
  'Australia/Lord_Howe',
  'America/Santiago',
  'Pacific/Kiritimati',
];

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);
const someOf = (first: number, last: number, most: number) =>
  fc.uniqueArray(fc.integer({ min: first, max: last }), { minLength: 1, maxLength: most });

interface Drawn {
  text: string;
  fields: Fields;
}

/** A schedule as numbers, and as text that says so. */
const drawn: fc.Arbitrary<Drawn> = fc
  .record({
    minutes: someOf(0, 59, 4),
    hours: fc.option(fc.oneof(someOf(0, 23, 4), someOf(0, 3, 3)), { freq: 3 }),
    days: fc.option(someOf(1, 31, 4), { freq: 1 }),
    months: fc.option(someOf(1, 12, 12), { freq: 1 }),
    weekdays: fc.option(someOf(0, 6, 3), { freq: 1 }),
  })
  .map(({ minutes, hours, days, months, weekdays }) => ({
    text: [minutes, hours, days, months, weekdays].map((list) => list?.join(',') ?? '*').join(' '),
    fields: {
      minutes: new Set(minutes),
      hours: new Set(hours ?? range(0, 23)),
      everyHour: hours === null,
      days: days ? new Set(days) : undefined,
      months: new Set(months ?? range(1, 12)),
      weekdays: weekdays ? new Set(weekdays) : undefined,
    },
  }));

/** The first times of a year, as the schedule gives them one after the other. */
function walk(text: string, zone: string, year: number, until: number): number[] {
  const found: number[] = [];
  let at = new Date(Date.UTC(year, 0, 1) - 1);
  while (found.length < until) {
    at = nextTime(text, zone, at);
    if (at.getTime() >= Date.UTC(year + 1, 0, 1)) break;
    found.push(at.getTime());
  }
  return found;
}

describe('The times of a schedule, against every minute of a year', () => {
  for (const zone of ZONES) {
    it(`are those that the clock of ${zone} shows, none left out and none twice`, function () {
      this.timeout(180_000);
      const all = minutesOfYear(2026, zone);
      const changes = all
        .filter(({ skipped, again }) => skipped || again)
        .filter((_, index) => index % 9 === 0);
      fc.assert(
        fc.property(drawn, ({ text, fields }) => {
          const expected = occurrencesByLooking(all, fields);
          fc.pre(expected.length > 0);
          expect(walk(text, zone, 2026, 60), text).to.deep.equal(expected.slice(0, 60));
          // Around each moment at which the clock was changed, from any instant.
          for (const change of changes) {
            for (const back of [1, 3_600_000, 86_400_000]) {
              const after = change.instant - back;
              const next = expected.find((instant) => instant > after);
              if (next === undefined) continue;
              const asked = nextTime(text, zone, new Date(after)).getTime();
              expect(asked, `${text} after ${new Date(after).toISOString()}`).to.equal(next);
            }
          }
        }),
        { numRuns: 6 },
      );
    });
  }

  it('are those of the parser that was used before, where clocks do not change', () => {
    fc.assert(
      fc.property(
        drawn,
        fc.date({ min: new Date('2024-01-01Z'), max: new Date('2030-01-01Z'), noInvalidDate: true }),
        ({ text, fields }, after) => {
          const longest = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
          const { days, weekdays, months } = fields;
          const occurs = [...months].some((month) => Math.min(...(days ?? [1])) <= (longest[month - 1] ?? 0));
          fc.pre(occurs || weekdays !== undefined);
          const before = CronExpressionParser.parse(text, { tz: 'UTC', currentDate: after }).next().toDate();
          expect(nextTime(text, 'UTC', after).toISOString(), text).to.equal(before.toISOString());
        },
      ),
      { numRuns: 200 },
    );
  });
});
