import {
  type CadenceChain,
  type CadencePlan,
  type LevelCadence,
  planCadence,
} from '../../../../../src/services/validation/cadence/plan.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const ROUND = HOUR;

/** A validation that the cadence has begun; with a budget it reads at that rate, as the jobs do. */
export interface Begun {
  id: string;
  at: number;
  endsAt: number;
  cost: number;
}

/** Lets a cadence run for some days; nobody looks during `still`. The state is what the catalogue would hold. */
export function simulate(
  chains: readonly CadenceChain[],
  cadence: LevelCadence,
  options: { days: number; still?: [number, number]; onRound?: (plan: CadencePlan) => void },
): Begun[] {
  const state = new Map(chains.map((chain) => [chain.id, { ...chain }]));
  const all: Begun[] = [];
  let open: Begun[] = [];
  let nextMs = 0;
  const [from, to] = options.still ?? [0, 0];
  for (let now = 0; now < options.days * DAY; now += ROUND) {
    for (const { id, at } of open.filter(({ endsAt }) => endsAt <= now)) {
      state.set(id, { ...one(state, id), lastMs: at, open: false });
    }
    open = open.filter(({ endsAt }) => endsAt > now);
    if (now >= from * DAY && now < to * DAY) continue;
    const plan = planCadence(now, [...state.values()], {
      ...cadence,
      nextMs,
      running: open.length,
      roundMs: ROUND,
    });
    ({ nextMs } = plan);
    options.onRound?.(plan);
    for (const id of plan.begin) {
      const chain = one(state, id);
      const { budgetPerHour } = cadence;
      const endsAt = now + (budgetPerHour === undefined ? 0 : (chain.cost / budgetPerHour) * HOUR);
      const begun = { id, at: now, endsAt, cost: chain.cost };
      state.set(id, { ...chain, open: true });
      open.push(begun);
      all.push(begun);
    }
  }
  return all;
}

function one(state: ReadonlyMap<string, CadenceChain>, id: string): CadenceChain {
  const chain = state.get(id);
  if (!chain) throw new Error(`There is no chain ${id}.`);
  return chain;
}
