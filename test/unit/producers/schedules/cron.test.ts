import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import {
  checkTimeZone,
  nextTime,
  nextTimeOfStored,
  refusalOf,
} from '../../../../src/producers/schedules/cron.js';
import { codeOf } from '../../../helpers/codeOf.js';

const next = (schedule: string, zone: string, after: string) =>
  nextTime(schedule, zone, new Date(after)).toISOString();

const times = (schedule: string, zone: string, after: string, until: string) => {
  const all: string[] = [];
  let at = new Date(after);
  for (;;) {
    at = nextTime(schedule, zone, at);
    if (at >= new Date(until)) return all;
    all.push(at.toISOString().slice(0, 16));
  }
};

describe('The next time of a schedule', () => {
  it('is after the instant and never at it', () => {
    expect(next('30 2 * * *', 'UTC', '2026-01-01T02:29:59Z')).to.equal('2026-01-01T02:30:00.000Z');
    expect(next('30 2 * * *', 'UTC', '2026-01-01T02:30:00Z')).to.equal('2026-01-02T02:30:00.000Z');
    expect(next('30 2 * * *', 'UTC', '2026-01-01T02:30:00.001Z')).to.equal('2026-01-02T02:30:00.000Z');
  });

  it('is by the wall clock of its time zone, in summer and in winter', () => {
    expect(next('30 2 * * *', 'Europe/Berlin', '2026-01-01T00:00Z')).to.equal('2026-01-01T01:30:00.000Z');
    expect(next('30 2 * * *', 'Europe/Berlin', '2026-07-01T00:00Z')).to.equal('2026-07-01T00:30:00.000Z');
  });

  it('comes once on the day on which 02:30 does not exist, and once where it comes twice', () => {
    expect(times('30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', '2026-03-30T12:00Z')).to.deep.equal([
      '2026-03-29T01:00',
      '2026-03-30T00:30',
    ]);
    expect(times('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00Z', '2026-10-26T12:00Z')).to.deep.equal([
      '2026-10-25T00:30',
      '2026-10-26T01:30',
    ]);
  });

  it('is not lost on a day whose midnight does not exist', () => {
    expect(times('0 0 * * *', 'America/Havana', '2026-03-07T12:00Z', '2026-03-09T12:00Z')).to.deep.equal([
      '2026-03-08T05:00',
      '2026-03-09T04:00',
    ]);
    expect(next('0 12 30 12 *', 'Pacific/Apia', '2011-06-01T00:00Z')).to.equal('2011-12-30T10:00:00.000Z');
  });

  it('of every hour is in both hours that autumn shows, and in none that spring leaves out', () => {
    expect(times('15 * * * *', 'Europe/Berlin', '2026-10-24T23:30Z', '2026-10-25T02:30Z')).to.deep.equal([
      '2026-10-25T00:15',
      '2026-10-25T01:15',
      '2026-10-25T02:15',
    ]);
    expect(times('15 * * * *', 'Europe/Berlin', '2026-03-28T23:30Z', '2026-03-29T02:30Z')).to.deep.equal([
      '2026-03-29T00:15',
      '2026-03-29T01:15',
      '2026-03-29T02:15',
    ]);
  });

  it('is eight years away at most', () => {
    expect(next('0 0 29 2 *', 'Europe/Berlin', '2096-03-01T00:00Z')).to.equal('2104-02-28T23:00:00.000Z');
  });
});

describe('A schedule', () => {
  /** Refused, and what is said of it. */
  const REFUSED: [string, RegExp][] = [
    ['', /it has no fields; five are needed: minute, hour, day of month, month, day of week\./],
    ['* * *', /it has 3 fields; five are needed/],
    ['30 2 * *', /it has 4 fields; five are needed/],
    ['*/5 * * * * *', /it has 6 fields; five are needed: .* There are no seconds/],
    ['every day', /it has 2 fields/],
    ['every day of the week', /the minute "every" is none of: \*, 0 to 59, a-b/],
    ['@daily', /@daily is written "0 0 \* \* \*"/],
    ['61 * * * *', /the minute "61" is not within 0 to 59/],
    ['0 24 * * *', /the hour "24" is not within 0 to 23/],
    ['0 0 0 * *', /the day of month "0" is not within 1 to 31/],
    ['0 0 1 13 *', /the month "13" is not within 1 to 12/],
    ['0 0 * * 8', /the day of week "8" is not within 0 to 7/],
    ['H H * * *', /the minute "H" is not known here: write a number, and let the jitter spread the VMs/],
    ['H/3 * * * *', /the minute "H\/3" is not known here/],
    ['H(0-29) 2 * * *', /the minute "H\(0-29\)" is not known here/],
    ['0 0 ? * 1', /the day of month "\?" is not known here: write \*/],
    ['0 0 L * *', /the day of month "L" is not known here: there are no last, nearest and n-th days/],
    ['0 0 15W * *', /"15W" is not known here/],
    ['0 0 * * 5L', /the day of week "5L" is not known here/],
    ['0 0 * * mon#1', /the day of week "mon#1" is not known here/],
    ['*/90 * * * *', /the minute "\*\/90" has a step that leaves one value only: write 0/],
    ['0 */24 * * *', /the hour "\*\/24" has a step that leaves one value only/],
    ['*/0 * * * *', /has a step that is no whole number from 1/],
    ['*/x * * * *', /has a step that is no whole number from 1/],
    ['5/15 * * * *', /the minute "5\/15" has a step without a range: write 5-59\/15/],
    ['0 22-2 * * *', /the hour "22-2" goes backwards: write 22-23,0-2/],
    ['0 0 * * fri-mon', /the day of week "fri-mon" goes backwards: write fri-sat,sun-mon/],
    ['0 0 * nov-jan *', /the month "nov-jan" goes backwards: write nov-dec,jan/],
    ['1,,2 * * * *', /the minute has an empty place in its list/],
    ['1-2-3 * * * *', /the minute "1-2-3" is none of/],
    ['1.5 * * * *', /the minute "1.5" is none of/],
    ['-1 * * * *', /the minute "-1" is none of/],
    ['0 0 * * monday', /the day of week "monday" is none of: \*, 0 to 7 or sun to sat/],
    ['0\n0 * * *', /it has 4 fields/],
    ['0 0 30 2 *', /no month that it names has a day 30, so it would never run/],
    ['0 0 31 4,6,9,11 *', /no month that it names has a day 31/],
    ['٣ * * * *', /the minute "٣" is none of/],
  ];
  for (const [text, why] of REFUSED) {
    it(`${JSON.stringify(text)} is refused with its field and the remedy`, async () => {
      const refused = () => nextTime(text, 'Europe/Berlin', new Date(0));
      expect(await codeOf(Promise.resolve().then(refused))).to.equal('invalid_request');
      expect(refused).to.throw(why);
    });
  }

  it('that never occurs is refused within 50 ms', () => {
    const began = performance.now();
    for (const text of ['0 0 30 2 *', '0 0 31 4,6 *', '*/5 * 31 2,4 *'])
      expect(refusalOf(text)).to.be.a('string');
    expect(performance.now() - began).to.be.lessThan(50);
  });

  it('is refused for a time zone that is none', async () => {
    const check = () => checkTimeZone('Mars/Olympus');
    expect(await codeOf(Promise.resolve().then(check))).to.equal('invalid_request');
  });

  it('that is stored goes on as it was read before, and never draws another time', () => {
    const after = new Date('2026-05-01T12:00Z');
    for (const text of ['H H * * *', '*/90 * * * *', '0 0 ? * 1', '0 0 L * *', '5/15 * * * *']) {
      expect(refusalOf(text), text).to.be.a('string');
      const drawn = new Set(
        Array.from({ length: 20 }, () => nextTimeOfStored(text, 'Europe/Berlin', after)?.toISOString()),
      );
      expect([...drawn], text).to.have.length(1);
      expect([...drawn][0], text).to.be.a('string');
    }
    expect(nextTimeOfStored('nothing of the kind', 'UTC', after)).to.equal(null);
  });
});

describe('The examples of docs/policies.md', () => {
  const page = readFileSync('docs/policies.md', 'utf8');
  const rows = [...page.matchAll(/^\| `([^`]+)` \| ([\w/]+) \| (\S+Z) \| (.+?) \| .* \|$/gm)];

  it('are there', () => expect(rows.length).to.be.greaterThan(12));
  for (const [, schedule = '', zone = '', after = '', expected = ''] of rows) {
    it(`hold for ${schedule} in ${zone} after ${after}`, () => {
      const wanted = expected.split(', ');
      let at = new Date(after);
      const found = wanted.map(() => {
        at = nextTime(schedule, zone, at);
        return at.toISOString().replace(':00.000Z', 'Z');
      });
      expect(found).to.deep.equal(wanted);
    });
  }
});
