import { expect } from 'chai';
import { type Effect, nextTurn, type Turn } from '../../../src/db/job/order.js';
import { createRandom } from '../../helpers/random.js';

/** A job that can run now. */
const ready = (effect: Effect): Turn => ({ effect, waits: false, dueInMs: 0 });
const waiting = (effect: Effect, dueInMs: number | null = 15_000): Turn => ({ effect, waits: true, dueInMs });
/** Place of the job that has the next turn. */
const turn = (...jobs: Turn[]) => {
  const next = nextTurn(jobs);
  return next && jobs.indexOf(next);
};

describe('The next turn of a chain', () => {
  it('is the first job’s, whatever it does, while it can run', () => {
    for (const effect of ['reads', 'adds', 'changes'] as const)
      expect(turn(ready(effect), ready('reads'), ready('adds'))).to.equal(0);
    expect(turn()).to.equal(undefined);
  });

  it('is a read’s, where all in front of it cannot run', () => {
    expect(turn(waiting('adds'), ready('reads'))).to.equal(1);
    expect(
      turn(waiting('changes'), ready('adds'), ready('changes'), ready('reads'), ready('reads')),
    ).to.equal(3);
    expect(turn(waiting('adds', null), ready('reads')), 'its change list is to come').to.equal(1);
  });

  it('is never that of a merge or a backup which would pass a backup or a merge', () => {
    expect(turn(waiting('adds'), ready('adds'), ready('changes'))).to.equal(0);
    expect(turn(waiting('changes'), ready('adds'))).to.equal(0);
    expect(turn(waiting('adds', null), ready('adds')), 'no time brings it').to.equal(undefined);
  });

  it('is a backup’s, and not a merge’s, where only reads that cannot run are in front', () => {
    expect(turn(waiting('reads'), ready('adds'))).to.equal(1);
    expect(turn(waiting('reads'), ready('changes'), ready('adds'))).to.equal(0);
  });

  it('is the turn of the job that is tried again first, where none can run', () => {
    expect(turn(waiting('adds', 9_000), waiting('reads', 4_000), waiting('reads', 6_000))).to.equal(1);
    expect(turn(waiting('adds', 3_000), waiting('reads', 4_000))).to.equal(0);
  });

  it('keeps the order of what changes a chain, and no read behind what cannot run, in random queues', () => {
    const random = createRandom(17);
    for (let round = 0; round < 5_000; round++) {
      const jobs: Turn[] = Array.from({ length: random.integer(0, 7) }, () => {
        const effect = random.pick<Effect>(['reads', 'adds', 'changes']);
        return random.integer(0, 1) ? ready(effect) : waiting(effect, random.pick([null, 0, 5_000, 10_000]));
      });
      const at = turn(...jobs);
      const next = at === undefined ? undefined : jobs[at];
      const front = jobs.slice(0, at ?? 0);
      const text = JSON.stringify({ jobs, at });
      if (!next || next.waits)
        expect(
          jobs.some((job) => job.effect === 'reads' && !job.waits),
          text,
        ).to.equal(false);
      if (!next) continue;
      // Nobody is passed who could run in his place.
      if (!next.waits)
        expect(
          front.every((job, index) => job.waits || index > 0),
          text,
        ).to.equal(true);
      if (next.effect === 'changes') expect(front, text).to.have.length(0);
      if (next.effect === 'adds')
        expect(
          front.every(({ effect }) => effect === 'reads'),
          text,
        ).to.equal(true);
      expect(
        front.filter((job, index) => !job.waits && (job.effect === 'reads' || index === 0)),
        text,
      ).to.have.length(0);
    }
  });
});
