import { expect } from 'chai';
import {
  type CadenceChain,
  type LevelCadence,
  planCadence,
} from '../../../../../src/services/validation/cadence/plan.js';
import { type Begun, simulate } from './simulate.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const GIB = 1024 ** 3;
const NOW = 100 * DAY;

const chain = (id: string, facts: Partial<CadenceChain> = {}): CadenceChain => ({
  id,
  cost: 1,
  lastMs: null,
  sinceMs: 0,
  triedMs: null,
  open: false,
  ...facts,
});
const cadence = (facts: Partial<LevelCadence> = {}): LevelCadence => ({
  everyMs: 30 * DAY,
  atATime: 1,
  running: 0,
  nextMs: 0,
  roundMs: 60_000,
  ...facts,
});
/** Chains of 1 to 60 GiB, in no order. */
const many = (count: number): CadenceChain[] =>
  Array.from({ length: count }, (_, index) =>
    chain(`chn_${index}`, { cost: (1 + ((index * 37) % 60)) * GIB }),
  );
/** How many began in each five days. */
const inFives = (begun: readonly Begun[], from: number, to: number): number[] =>
  Array.from({ length: (to - from) / 5 }, (_, five) => {
    const first = (from + 5 * five) * DAY;
    return begun.filter(({ at }) => at >= first && at < first + 5 * DAY).length;
  });

describe('the cadence of validations', () => {
  it('begins nothing where it is switched off, where there is nothing, and before its time', () => {
    const chains = [chain('a')];
    expect(planCadence(NOW, chains, cadence({ everyMs: 0 }))).to.deep.equal({
      begin: [],
      nextMs: 0,
      overdue: 0,
      oldestMs: 0,
    });
    expect(planCadence(NOW, [], cadence()).begin).to.deep.equal([]);
    expect(planCadence(NOW, chains, cadence({ nextMs: NOW + 1 })).begin).to.deep.equal([]);
    expect(planCadence(NOW, chains, cadence({ running: 1 })).begin).to.deep.equal([]);
    expect(planCadence(NOW, [chain('a', { open: true })], cadence()).begin).to.deep.equal([]);
    expect(planCadence(NOW, [chain('a', { lastMs: NOW - 14 * DAY })], cadence()).begin).to.deep.equal([]);
    expect(planCadence(NOW, [chain('a', { sinceMs: NOW - HOUR / 2 })], cadence()).begin).to.deep.equal([]);
  });

  it('takes the longest due first, and as many as the time since the last look has room for', () => {
    const chains = [40, 80, 60].map((days) => chain(`${days} days`, { lastMs: NOW - days * DAY }));
    const first = planCadence(NOW, chains, cadence({ atATime: 9 }));
    expect(first.begin).to.deep.equal(['80 days']);
    // Three chains in 30 days, begun twice as fast: one in five days.
    expect(first.nextMs).to.be.closeTo(NOW + 5 * DAY, 60_000);
    const quick = cadence({ everyMs: HOUR, atATime: 9, roundMs: HOUR / 2 });
    expect(planCadence(NOW, chains, quick).begin).to.deep.equal(['80 days', '60 days', '40 days']);
    expect(planCadence(NOW, chains, { ...quick, atATime: 2 }).begin).to.deep.equal(['80 days', '60 days']);
  });

  it('says what is overdue, and for how long', () => {
    const chains = [29, 31, 45].map((days) => chain(`${days}`, { lastMs: NOW - days * DAY }));
    const plan = planCadence(
      NOW,
      [...chains, chain('new', { sinceMs: NOW - 40 * DAY })],
      cadence({ running: 1 }),
    );
    expect(plan).to.deep.include({ begin: [], overdue: 3, oldestMs: 45 * DAY });
  });

  it('is spread evenly over the period, also where all chains have come at once', () => {
    const begun = simulate(many(50), cadence({ everyMs: 30 * DAY }), { days: 90 });
    // 50 in 27 days (due when nine tenths have passed) are 9.3 in five days.
    const fives = inFives(begun, 30, 90);
    expect(Math.max(...fives), fives.join()).to.be.at.most(16);
    expect(Math.min(...fives), fives.join()).to.be.at.least(4);
    for (const gap of gapsOf(begun)) expect(gap).to.be.at.most(30 * DAY);
  });

  it('never reads more in any hour than its budget, also of a chain that is larger than that', () => {
    const budgetPerHour = 20 * GIB;
    const chains = [...many(40), chain('huge', { cost: 300 * GIB })];
    const begun = simulate(chains, cadence({ everyMs: 30 * DAY, budgetPerHour }), { days: 40 });
    for (const { at } of begun) {
      const read = begun.reduce((sum, each) => sum + bytesWithin(each, at, at + HOUR), 0);
      expect(read).to.be.at.most(budgetPerHour * 1.000001);
    }
    const huge = begun.filter(({ id }) => id === 'huge');
    expect(huge.length).to.be.within(1, 2);
    expect(huge[0]?.endsAt).to.equal((huge[0]?.at ?? 0) + 15 * HOUR);
    expect(new Set(begun.map(({ id }) => id)).size).to.equal(41);
  });

  it('with a budget that is too small goes on within it, and tells that it is late', () => {
    const chains = many(50);
    const total = chains.reduce((sum, { cost }) => sum + cost, 0);
    const budgetPerHour = total / (60 * 24);
    const late: number[] = [];
    simulate(chains, cadence({ budgetPerHour }), { days: 60, onRound: ({ overdue }) => late.push(overdue) });
    expect(Math.max(...late)).to.be.within(10, 50);
  });

  it('catches up after weeks of standstill at twice the pace, without a storm, and is even again', () => {
    const begun = simulate(many(50), cadence(), { days: 120, still: [40, 60] });
    // Twice 50 in 30 days are 16.7 in five days.
    const fives = inFives(begun, 60, 120);
    expect(Math.max(...fives), fives.join()).to.be.at.most(22);
    expect(fives[0], fives.join()).to.be.at.least(10);
    expect(Math.min(...fives.slice(6)), fives.join()).to.be.at.least(4);
    for (const gap of gapsOf(begun.filter(({ at }) => at >= 60 * DAY))) expect(gap).to.be.at.most(31 * DAY);
  });

  it('tries a chain again that failed, when others have had their turn', () => {
    const chains = [chain('fails', { triedMs: NOW - HOUR }), chain('works')];
    expect(planCadence(NOW, chains, cadence()).begin).to.deep.equal(['works']);
    const later = [chain('fails', { triedMs: NOW - 4 * DAY }), chain('works', { lastMs: NOW })];
    expect(planCadence(NOW, later, cadence()).begin).to.deep.equal(['fails']);
  });

  it('is not put off by what was written while the clock was wrong', () => {
    const wrong = chain('a', { lastMs: NOW + 9_999 * DAY, triedMs: NOW + 9_999 * DAY });
    const plan = planCadence(NOW, [wrong], cadence({ nextMs: NOW + 9_999 * DAY }));
    expect(plan.begin).to.deep.equal(['a']);
    expect(plan.nextMs).to.be.at.most(NOW + 30 * DAY);
  });
});

/** Times between two validations of a chain. */
function gapsOf(begun: readonly Begun[]): number[] {
  const last = new Map<string, number>();
  return begun.flatMap(({ id, at }) => {
    const before = last.get(id);
    last.set(id, at);
    return before === undefined ? [] : [at - before];
  });
}

function bytesWithin({ at, endsAt, cost }: Begun, from: number, to: number): number {
  const overlap = Math.max(0, Math.min(endsAt, to) - Math.max(at, from));
  return endsAt === at ? 0 : (cost * overlap) / (endsAt - at);
}
