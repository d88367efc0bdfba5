import { expect } from 'chai';
import type { CadenceChain } from '../../../../../src/services/validation/cadence/plan.js';
import { createRandom, type Random } from '../../../../helpers/random.js';
import { type Begun, simulate } from './simulate.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const GIB = 1024 ** 3;
const PERIOD_DAYS = 30;
const DAYS = 75;
const SEEDS = 12;
/** Of the period, in which each chain has its turn once. */
const ROUND_TRIP = 0.9;

/** New chains of very different sizes: most are small, and some take a good part of the whole. */
function chainsOf(random: Random): CadenceChain[] {
  return Array.from({ length: random.integer(2, 120) }, (_, index) => ({
    id: `chn_${index}`,
    cost: random.integer(1, 40) ** random.integer(1, 3) * GIB,
    lastMs: null,
    sinceMs: 0,
    triedMs: null,
    open: false,
  }));
}

interface Run {
  seed: number;
  chains: CadenceChain[];
  begun: Begun[];
  /** Bytes per ms, in the mean. */
  pace: number;
  largest: number;
  budgetPerHour: number | undefined;
}

function run(seed: number): Run {
  const random = createRandom(seed);
  const chains = chainsOf(random);
  const total = chains.reduce((sum, { cost }) => sum + cost, 0);
  const pace = total / (ROUND_TRIP * PERIOD_DAYS * DAY);
  // One that just suffices, a wide one, or none.
  const factor = random.pick([1.05, 4, 0]);
  const budgetPerHour = factor === 0 ? undefined : factor * pace * HOUR;
  const cadence = {
    everyMs: PERIOD_DAYS * DAY,
    budgetPerHour,
    atATime: 1,
    running: 0,
    nextMs: 0,
    roundMs: 0,
  };
  const begun = simulate(chains, cadence, { days: DAYS });
  return { seed, chains, begun, pace, largest: Math.max(...chains.map(({ cost }) => cost)), budgetPerHour };
}

describe('75 days of deep validations, whatever chains there are,', () => {
  let runs: Run[];
  before(() => {
    runs = Array.from({ length: SEEDS }, (_, seed) => run(seed + 1));
  });

  it('read everything at least once in each 30 days', () => {
    for (const { seed, chains, begun } of runs) {
      for (const { id } of chains) {
        const read = begun.filter((each) => each.id === id).map(({ at }) => at);
        const times = [0, ...read, DAYS * DAY];
        const longest = Math.max(...times.slice(1).map((at, i) => at - (times[i] ?? 0)));
        expect(longest, `${id} of seed ${seed}`).to.be.at.most(PERIOD_DAYS * DAY);
      }
    }
  });

  it('read as much in one stretch of the time as in another, to the size of a chain', () => {
    for (const { seed, begun, pace, largest } of runs) {
      for (const { at } of begun) {
        const within = begun.filter((each) => each.at >= at && each.at < at + 3 * DAY);
        const bytes = within.reduce((sum, { cost }) => sum + cost, 0);
        expect(bytes, `seed ${seed}, from hour ${at / HOUR}`).to.be.at.most(
          pace * (3 * DAY + 2 * HOUR) + largest,
        );
      }
      const pauses = begun.slice(1).map(({ at }, i) => at - (begun[i]?.at ?? 0));
      expect(Math.max(...pauses), `seed ${seed}`).to.be.at.most(largest / pace + 2 * HOUR);
    }
  });

  it('read no more in any hour than the budget', () => {
    for (const { seed, begun, budgetPerHour } of runs) {
      if (budgetPerHour === undefined) continue;
      for (const { at } of begun) {
        const bytes = begun.reduce((sum, each) => sum + readWithin(each, at, at + HOUR), 0);
        expect(bytes, `seed ${seed}, from hour ${at / HOUR}`).to.be.at.most(budgetPerHour * 1.000001);
      }
    }
  });
});

function readWithin({ at, endsAt, cost }: Begun, from: number, to: number): number {
  const overlap = Math.max(0, Math.min(endsAt, to) - Math.max(at, from));
  return endsAt === at ? 0 : (cost * overlap) / (endsAt - at);
}
