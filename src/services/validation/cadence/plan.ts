/** A chain as the cadence sees it, for one level. Times are ms since the epoch. */
export interface CadenceChain {
  id: string;
  /** What its validation takes: bytes of a deep one, 1 of a quick one. Above 0. */
  cost: number;
  /** When the last validation of this level was accepted that came to its end; null: there was none. */
  lastMs: number | null;
  /** When its oldest backup had completed. */
  sinceMs: number;
  /** When a validation of it last failed or was cancelled; null: none did. */
  triedMs: number | null;
  /** One is under way or waits. */
  open: boolean;
}

/** What a repository says about one level. */
export interface LevelCadence {
  /** Every chain is validated once in so long, in ms; 0: never. */
  everyMs: number;
  /** The most that may be begun in an hour, in the unit of the costs; undefined: no limit. */
  budgetPerHour?: number | undefined;
  /** So many validations may be open at a time that the cadence has begun, and so many are. */
  atATime: number;
  running: number;
  /** Nothing begins before: what was begun has not been paid for with time. 0: nothing was. */
  nextMs: number;
  /** Between two looks: what could have begun since the last one begins now. */
  roundMs: number;
}

export interface CadencePlan {
  /** Chains to validate now, the one first that was not for longest. */
  begin: string[];
  /** `nextMs` when they have begun. */
  nextMs: number;
  /** Chains that were not validated for longer than `everyMs`. */
  overdue: number;
  /** For how long the one was not that waits longest, in ms; 0 without chains. */
  oldestMs: number;
}

/** Each chain has its turn once in this part of the period: what holds a turn up does not make it late. */
const ROUND_TRIP = 0.9;
/** But not sooner than this, where few are left to do. */
const EARLIEST = 0.5;
/** A chain that was never validated is left alone for so long. */
const FIRST_AFTER_MS = 3_600_000;
/** After a failure it is due again when this part of the period has passed: the others have their turn first. */
export const AGAIN_AFTER = 0.1;
/** While something is overdue, so many times what the period needs is begun. More would be a storm after each downtime. */
const HASTE = 2;
const HOUR_MS = 3_600_000;

/**
 * Decides which chains are validated now. Pure. Whatever is begun is paid for with time at an even pace: a chain that takes
 * twice as much is followed by twice the pause, and one that takes more than the budget of an hour by more than an hour. Time
 * in which nothing was begun is not saved up.
 */
export function planCadence(
  nowMs: number,
  chains: readonly CadenceChain[],
  cadence: LevelCadence,
): CadencePlan {
  const { everyMs, nextMs, roundMs, atATime, running } = cadence;
  if (everyMs === 0 || chains.length === 0) return { begin: [], nextMs, overdue: 0, oldestMs: 0 };
  const known = chains.map((chain) => believe(chain, nowMs));
  const isOverdue = (chain: CadenceChain) => nowMs - waitsSince(chain) > everyMs;
  const due = known
    .filter((chain) => !chain.open && dueAt(chain, everyMs) <= nowMs)
    .sort((a, b) => waitsSince(a) - waitsSince(b) || (a.id < b.id ? -1 : 1));
  const perMs = paceOf(chains, cadence, due.some(isOverdue));
  const begin: string[] = [];
  const longestPause = chains.reduce((most, { cost }) => Math.max(most, cost), 0) / perMs;
  let next = Math.max(nextMs > nowMs + longestPause ? 0 : nextMs, nowMs - roundMs);
  for (const { id, cost } of due) {
    if (next > nowMs || running + begin.length >= atATime) break;
    begin.push(id);
    next += cost / perMs;
  }
  return {
    begin,
    nextMs: begin.length > 0 ? next : nextMs,
    overdue: known.filter(isOverdue).length,
    oldestMs: known.reduce((most, chain) => Math.max(most, nowMs - waitsSince(chain)), 0),
  };
}

/** What lies in the future was written while the clock was wrong: it must not put a validation off for years. */
function believe(chain: CadenceChain, nowMs: number): CadenceChain {
  const past = (ms: number | null) => (ms !== null && ms > nowMs ? null : ms);
  return {
    ...chain,
    lastMs: past(chain.lastMs),
    triedMs: past(chain.triedMs),
    sinceMs: Math.min(chain.sinceMs, nowMs),
  };
}

function waitsSince({ lastMs, sinceMs }: CadenceChain): number {
  return lastMs ?? sinceMs;
}

function dueAt({ lastMs, sinceMs, triedMs }: CadenceChain, everyMs: number): number {
  const at = lastMs === null ? sinceMs + FIRST_AFTER_MS : lastMs + EARLIEST * everyMs;
  return triedMs === null ? at : Math.max(at, triedMs + AGAIN_AFTER * everyMs);
}

/** Costs per ms. */
function paceOf(
  chains: readonly CadenceChain[],
  { everyMs, budgetPerHour = Number.POSITIVE_INFINITY }: LevelCadence,
  hurry: boolean,
): number {
  const total = chains.reduce((sum, { cost }) => sum + cost, 0);
  return Math.min(((hurry ? HASTE : 1 / ROUND_TRIP) * total) / everyMs, budgetPerHour / HOUR_MS);
}
