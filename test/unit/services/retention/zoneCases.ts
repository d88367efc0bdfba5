import { every, HOUR, retention } from './makeCase.js';

const berlin = { timeZone: 'Europe/Berlin' };
const newYork = { timeZone: 'America/New_York' };

/** Days, weeks and hours where the wall clock is not that of UTC. */
export const ZONE_CASES = [
  retention(
    'midnight of the time zone, not of UTC',
    { daily: 2 },
    ['2026-06-01T21:59Z', '2026-06-01T22:01Z', '2026-06-02T21:59Z'],
    berlin,
  ),
  retention('the same without a time zone', { daily: 2 }, [
    '2026-06-01T21:59Z',
    '2026-06-01T22:01Z',
    '2026-06-02T21:59Z',
  ]),
  retention(
    'the day on which summer time begins has 23 hours',
    { daily: 2 },
    every(HOUR, '2026-03-28T22:30Z', 26),
    berlin,
  ),
  retention(
    'the day on which summer time ends has 25 hours',
    { daily: 2 },
    every(HOUR, '2026-10-24T21:30Z', 28),
    berlin,
  ),
  retention(
    'the hour that comes twice is two hours',
    { hourly: 3 },
    ['2026-10-24T23:30Z', '2026-10-25T00:10Z', '2026-10-25T00:40Z', '2026-10-25T01:10Z', '2026-10-25T01:40Z'],
    berlin,
  ),
  retention(
    'the hour that does not exist makes no gap',
    { hourly: 3 },
    ['2026-03-28T23:30Z', '2026-03-29T00:30Z', '2026-03-29T01:30Z', '2026-03-29T02:30Z'],
    berlin,
  ),
  retention(
    'summer time of another country',
    { daily: 2, hourly: 2 },
    every(HOUR, '2026-11-01T03:30Z', 6),
    newYork,
  ),
  retention(
    'a zone with half hours',
    { hourly: 2 },
    ['2026-01-01T00:20Z', '2026-01-01T00:40Z', '2026-01-01T01:20Z'],
    { timeZone: 'Asia/Kolkata' },
  ),
  retention(
    'a zone whose day was left out',
    { daily: 3 },
    ['2011-12-29T20:00Z', '2011-12-30T20:00Z', '2011-12-31T20:00Z'],
    { timeZone: 'Pacific/Apia' },
  ),
  retention(
    'monthly at the turn of a month in a zone',
    { monthly: 2 },
    ['2026-01-31T22:30Z', '2026-01-31T23:30Z', '2026-02-28T22:30Z'],
    berlin,
  ),
  retention(
    'yearly at the turn of a year in a zone',
    { yearly: 2 },
    ['2026-12-31T22:30Z', '2026-12-31T23:30Z'],
    berlin,
  ),
];
