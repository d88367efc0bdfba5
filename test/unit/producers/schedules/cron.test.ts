import { expect } from 'chai';
import { checkTimeZone, nextTime } from '../../../../src/producers/schedules/cron.js';
import { codeOf } from '../../../helpers/codeOf.js';

describe('The next time of a schedule', () => {
  const next = (schedule: string, zone: string, after: string) =>
    nextTime(schedule, zone, new Date(after)).toISOString();

  it('is after the instant and never at it', () => {
    expect(next('30 2 * * *', 'UTC', '2026-01-01T02:29:59Z')).to.equal('2026-01-01T02:30:00.000Z');
    expect(next('30 2 * * *', 'UTC', '2026-01-01T02:30:00Z')).to.equal('2026-01-02T02:30:00.000Z');
  });

  it('is by the wall clock of its time zone, in summer and in winter', () => {
    expect(next('30 2 * * *', 'Europe/Berlin', '2026-01-01T00:00Z')).to.equal('2026-01-01T01:30:00.000Z');
    expect(next('30 2 * * *', 'Europe/Berlin', '2026-07-01T00:00Z')).to.equal('2026-07-01T00:30:00.000Z');
  });

  it('comes once on the day on which 02:30 does not exist, and once where it comes twice', () => {
    const times = (after: string, until: string) => {
      const all: string[] = [];
      let at = new Date(after);
      for (;;) {
        at = nextTime('30 2 * * *', 'Europe/Berlin', at);
        if (at >= new Date(until)) return all;
        all.push(at.toISOString());
      }
    };
    expect(times('2026-03-27T12:00Z', '2026-03-30T12:00Z')).to.have.length(3);
    expect(times('2026-10-23T12:00Z', '2026-10-26T12:00Z')).to.have.length(3);
  });

  it('is refused for what is no schedule, names no day, or has seconds', async () => {
    for (const bad of ['', '* * *', '61 * * * *', '0 0 31 2 *', 'every day', '*/5 * * * * *', '@daily']) {
      const code = await codeOf(Promise.resolve().then(() => nextTime(bad, 'UTC', new Date(0))));
      expect(code, bad).to.equal('invalid_request');
    }
    expect(await codeOf(Promise.resolve().then(() => checkTimeZone('Mars/Olympus')))).to.equal(
      'invalid_request',
    );
  });
});
