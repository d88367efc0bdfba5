import { DAY, every, HOUR, retention } from './makeCase.js';

const MINUTE = HOUR / 60;
const berlin = { timeZone: 'Europe/Berlin' };
const newYork = { timeZone: 'America/New_York' };
const lordHowe = { timeZone: 'Australia/Lord_Howe' };
const saoPaulo = { timeZone: 'America/Sao_Paulo' };

/** Clocks that change by law, or by mistake, and years of 366 days: alone, and with several rules. */
export const CLOCK_CASES = [
  retention(
    'the hours of a night without one: summer time begins in New York',
    { hourly: 4, daily: 2 },
    every(HOUR / 2, '2026-03-08T05:00Z', 8),
    newYork,
  ),
  retention(
    'half an hour of summer time ends: the half hour that comes again is an hour of its own',
    { hourly: 3 },
    ['2026-04-04T14:10Z', '2026-04-04T14:40Z', '2026-04-04T15:10Z', '2026-04-04T15:40Z'],
    lordHowe,
  ),
  retention(
    'half an hour of summer time begins: an hour of thirty minutes',
    { hourly: 3 },
    every(HOUR / 4, '2026-10-03T15:00Z', 7),
    lordHowe,
  ),
  retention(
    'a day that begins at one o’clock, because midnight does not exist',
    { daily: 3 },
    ['2018-11-03T03:00Z', '2018-11-04T02:59Z', '2018-11-04T03:00Z', '2018-11-05T01:59Z', '2018-11-05T02:00Z'],
    saoPaulo,
  ),
  retention(
    'an evening that comes twice belongs to one day, one week and one month',
    { hourly: 2, daily: 1, weekly: 1, monthly: 1 },
    ['2018-02-18T01:30Z', '2018-02-18T02:30Z'],
    saoPaulo,
  ),
  retention(
    'the weeks in which clocks change are weeks',
    { weekly: 4 },
    [
      ...every(12 * HOUR, '2026-03-22T22:30Z', 5),
      '2026-03-29T21:59Z',
      '2026-03-29T22:00Z',
      '2026-10-25T22:59Z',
      '2026-10-25T23:00Z',
    ],
    berlin,
  ),
  retention(
    'within 24 hours is 24 hours, also on a day of 23',
    { withinMs: DAY, daily: 1 },
    ['2026-03-28T10:00Z', '2026-03-28T11:00Z', '2026-03-29T09:30Z', '2026-03-29T10:30Z'],
    berlin,
  ),
  retention('within has the point that is exactly as old, and not the one before', { withinMs: DAY }, [
    '2026-01-01T09:59:59.999Z',
    '2026-01-01T10:00:00.000Z',
    '2026-01-02T10:00:00.000Z',
  ]),
  retention('within a year of 365 days, over 29 February', { withinMs: 365 * DAY, yearly: 1 }, [
    '2027-03-01T00:00Z',
    '2027-03-02T00:00Z',
    '2028-02-29T00:00Z',
    '2028-03-01T00:00Z',
  ]),
  retention('within a month of 30 days, over February', { withinMs: 30 * DAY, monthly: 2 }, [
    '2026-01-30T12:00Z',
    '2026-01-31T12:00Z',
    '2026-03-01T12:00Z',
    '2026-03-02T12:00Z',
  ]),
  retention(
    '29 February begins and ends by the time zone',
    { daily: 3, monthly: 2, yearly: 2 },
    ['2028-02-28T22:59Z', '2028-02-28T23:00Z', '2028-02-29T22:59Z', '2028-02-29T23:00Z'],
    berlin,
  ),
  retention(
    'yearly and weekly where the week belongs to the year before, by the time zone',
    { weekly: 2, yearly: 2 },
    ['2026-12-31T10:30Z', '2027-01-03T09:59Z', '2027-01-03T10:00Z'],
    { timeZone: 'Pacific/Kiritimati' },
  ),
  retention(
    'hourly, daily, weekly, monthly and yearly of two years, with within',
    { hourly: 2, daily: 3, weekly: 3, monthly: 3, yearly: 3, withinMs: 2 * DAY },
    every(13 * DAY + 7 * HOUR, '2026-06-01T00:00Z', 50),
    newYork,
  ),
  retention(
    'a clock that was two hours fast: its points stay, count for nothing, and make nobody old',
    { last: 2, withinMs: HOUR },
    [...every(10 * MINUTE, '2026-01-01T10:00Z', 4), '2026-01-01T12:30Z', '2026-01-01T12:40Z'],
    { now: new Date('2026-01-01T10:40Z') },
  ),
  retention(
    'the same two hours later: they count as what they say',
    { last: 2, withinMs: HOUR },
    [...every(10 * MINUTE, '2026-01-01T10:00Z', 4), '2026-01-01T12:30Z', '2026-01-01T12:40Z'],
    { now: new Date('2026-01-01T12:45Z') },
  ),
  retention(
    'clocks of two hosts that differ by five minutes are no future',
    { last: 1 },
    ['2026-01-01T10:00Z', '2026-01-01T10:05:00.000Z', '2026-01-01T10:05:00.001Z'],
    { now: new Date('2026-01-01T10:00Z') },
  ),
  retention('a clock that was reset to 1970 evicts no good one, and its points go first', { daily: 2 }, [
    '2026-01-01T10:00Z',
    '2026-01-02T10:00Z',
    '1970-01-01T00:00Z',
    '1970-01-02T00:00Z',
  ]),
  retention(
    'a clock that stepped back over the end of summer time',
    { hourly: 3 },
    ['2026-10-25T01:20Z', '2026-10-25T00:50Z', '2026-10-25T00:10Z', '2026-10-25T01:40Z'],
    berlin,
  ),
  retention(
    'several of one bucket with damage: the newest good one stays for it, and the damaged one that is newer',
    { daily: 2, weekly: 1 },
    [
      '2026-10-24T08:00Z',
      '2026-10-24T20:00Z damaged',
      '2026-10-25T00:30Z',
      '2026-10-25T01:30Z suspect',
      '2026-10-25T20:00Z incomplete',
    ],
    berlin,
  ),
  retention(
    'no good one but in the future: what can be read stays by the rules',
    { last: 1 },
    ['2026-01-01T10:00Z damaged', '2026-01-02T10:00Z suspect', '2027-01-01T10:00Z'],
    { now: new Date('2026-01-03T00:00Z') },
  ),
];
