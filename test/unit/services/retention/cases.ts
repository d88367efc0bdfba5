import { CLOCK_CASES } from './clockCases.js';
import { DAY, every, HOUR, type RetentionCase, retention } from './makeCase.js';
import { ZONE_CASES } from './zoneCases.js';

export const CASES: RetentionCase[] = [
  retention('no points', { last: 3 }, []),
  retention('one point', { last: 3 }, ['2026-01-01T10:00Z']),
  retention('no rules keep everything', {}, every(DAY, '2026-01-01T10:00Z', 3)),
  retention('rules of nought keep everything', { last: 0, daily: 0 }, every(DAY, '2026-01-01T10:00Z', 3)),
  retention('last 2 of 4', { last: 2 }, every(DAY, '2026-01-01T10:00Z', 4)),
  retention('last more than there are', { last: 9 }, every(DAY, '2026-01-01T10:00Z', 3)),
  retention('hourly 3 of points every 20 min', { hourly: 3 }, every(HOUR / 3, '2026-01-01T10:00Z', 12)),
  retention('daily 3 with several a day', { daily: 3 }, every(6 * HOUR, '2026-01-01T00:00Z', 20)),
  retention('daily counts days that have a point', { daily: 3 }, [
    '2026-01-01T10:00Z',
    '2026-01-05T10:00Z',
    '2026-01-20T10:00Z',
    '2026-02-20T10:00Z',
  ]),
  retention('weekly 2: weeks begin on Monday', { weekly: 2 }, every(DAY, '2026-01-01T10:00Z', 16)),
  retention(
    'weekly over the turn of a year with 53 weeks',
    { weekly: 3 },
    every(DAY, '2026-12-25T10:00Z', 14),
  ),
  retention('weekly where 1 January belongs to the old year', { weekly: 2, yearly: 2 }, [
    '2026-12-31T10:00Z',
    '2027-01-01T10:00Z',
    '2027-01-03T10:00Z',
    '2027-01-04T10:00Z',
  ]),
  retention('monthly 3', { monthly: 3 }, every(10 * DAY, '2026-01-05T10:00Z', 12)),
  retention('monthly on 31 days, 28 and 30', { monthly: 4 }, [
    '2026-01-31T23:59:59Z',
    '2026-02-28T23:59:59Z',
    '2026-03-01T00:00:00Z',
    '2026-03-31T12:00:00Z',
    '2026-04-30T12:00:00Z',
  ]),
  retention('29 February of a leap year is a day of its own', { daily: 3, monthly: 2 }, [
    '2028-02-27T10:00Z',
    '2028-02-28T10:00Z',
    '2028-02-29T10:00Z',
    '2028-03-01T10:00Z',
  ]),
  retention('yearly over a leap year', { yearly: 3 }, [
    '2026-06-01T10:00Z',
    '2027-12-31T23:59:59Z',
    '2028-01-01T00:00:00Z',
    '2028-02-29T10:00Z',
    '2029-02-28T10:00Z',
  ]),
  retention(
    '7 daily, 4 weekly, 6 monthly of 60 days',
    { daily: 7, weekly: 4, monthly: 6 },
    every(DAY, '2026-01-01T01:00Z', 60),
  ),
  retention(
    'one point may be kept by several rules',
    { last: 1, daily: 1, yearly: 1 },
    every(DAY, '2026-01-01T10:00Z', 2),
  ),
  retention('within 3 days', { withinMs: 3 * DAY }, every(DAY, '2026-01-01T10:00Z', 6)),
  retention(
    'within counts from the newest point after a long pause',
    { withinMs: 3 * DAY },
    every(DAY, '2026-01-01T10:00Z', 6),
    {
      now: new Date('2026-06-01T00:00Z'),
    },
  ),
  retention(
    'within and daily together',
    { withinMs: DAY, daily: 3 },
    every(8 * HOUR, '2026-01-01T00:00Z', 15),
  ),
  ...ZONE_CASES,
  ...CLOCK_CASES,
  retention('incomplete points never count', { last: 2 }, [
    '2026-01-01T10:00Z',
    '2026-01-02T10:00Z',
    '2026-01-03T10:00Z incomplete',
    '2026-01-04T10:00Z incomplete',
  ]),
  retention('damaged points never evict a good one', { daily: 2 }, [
    '2026-01-01T10:00Z',
    '2026-01-02T10:00Z',
    '2026-01-03T10:00Z damaged',
    '2026-01-04T10:00Z damaged',
  ]),
  retention('a damaged point ages like the others', { daily: 2 }, [
    '2026-01-01T10:00Z damaged',
    '2026-01-02T10:00Z',
    '2026-01-03T10:00Z damaged',
    '2026-01-04T10:00Z',
  ]),
  retention('suspect is not good', { last: 1 }, ['2026-01-01T10:00Z', '2026-01-02T10:00Z suspect']),
  retention('of one day the good point stays, and the damaged newer one', { daily: 1 }, [
    '2026-01-01T08:00Z',
    '2026-01-01T10:00Z damaged',
  ]),
  retention('the last good point never goes, however old', { withinMs: DAY }, [
    '2026-01-01T10:00Z',
    ...every(DAY, '2026-03-01T10:00Z', 3).map((at) => `${at} incomplete`),
  ]),
  retention('nothing good at all', { last: 1 }, [
    '2026-01-01T10:00Z damaged',
    '2026-01-02T10:00Z incomplete',
  ]),
  retention('what still runs is left alone', { last: 1 }, [
    '2026-01-01T10:00Z',
    '2026-01-02T10:00Z',
    '2026-01-03T10:00Z unfinished',
  ]),
  retention('protected points stay', { last: 1 }, [
    '2026-01-01T10:00Z until 2027-01-01T00:00Z',
    '2026-01-02T10:00Z',
    '2026-01-03T10:00Z',
  ]),
  retention('a protection that has ended keeps nothing', { last: 1 }, [
    '2026-01-01T10:00Z until 2026-01-02T00:00Z',
    '2026-01-02T10:00Z',
    '2026-01-03T10:00Z',
  ]),
  retention('a damaged point may be protected', { last: 1 }, [
    '2026-01-01T10:00Z damaged until 2027-01-01T00:00Z',
    '2026-01-02T10:00Z',
    '2026-01-03T10:00Z',
  ]),
  retention('immutable days keep beyond the rules', { last: 1 }, every(DAY, '2026-01-01T10:00Z', 5), {
    immutableDays: 2,
  }),
  retention(
    'a point from the future does not make the others old',
    { withinMs: DAY, last: 1 },
    [...every(DAY, '2026-01-01T10:00Z', 3), '2027-01-03T10:00Z'],
    { now: new Date('2026-01-03T12:00Z') },
  ),
  retention('a clock that stepped back leaves two points of one hour', { hourly: 2 }, [
    '2026-01-01T10:50Z',
    '2026-01-01T10:10Z',
    '2026-01-01T11:05Z',
  ]),
  retention('two points of one instant: the later id is the newer', { last: 1 }, [
    '2026-01-01T10:00Z',
    '2026-01-01T10:00Z',
  ]),
  retention(
    'now that is far ahead removes nothing by itself',
    { daily: 2 },
    every(DAY, '2026-01-01T10:00Z', 3),
    { now: new Date('2036-01-01T00:00Z') },
  ),
];
