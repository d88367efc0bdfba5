import type { DataSource } from '../../../db/database.js';
import {
  type RepositoryCadence,
  type ValidatedChain,
  type ValidationAttempt,
  validatedChains,
  validationAttempts,
} from '../../../db/chain/cadence.js';
import type { ValidationLevel } from '../../../entities/index.js';
import { AGAIN_AFTER, type CadenceChain, type CadencePlan, type LevelCadence, planCadence } from './plan.js';

/** How often a keeper looks. */
export const ROUND_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Quick ones take a second each; what a repository has of them at a time is done within a round. */
const QUICK_AT_A_TIME = 50;
/** One after the other: what one reads an hour is what all of them read. */
const DEEP_AT_A_TIME = 1;
/** What is due in a repository, by level; null where the level is switched off. */
export type RepositoryPlan = Record<ValidationLevel, CadencePlan | null>;

/** Reads what the catalogue knows of a repository's chains and decides which are validated now; changes nothing. */
export async function planRepositoryCadence(
  ds: DataSource,
  repository: RepositoryCadence,
): Promise<RepositoryPlan> {
  const longestMs = Math.max(periodOf(repository, 'quick'), periodOf(repository, 'deep'));
  if (longestMs === 0) return { quick: null, deep: null };
  const chains = await validatedChains(ds, repository.id);
  const days = Math.ceil((AGAIN_AFTER * longestMs) / DAY_MS);
  const attempts = byChain(await validationAttempts(ds, repository.id, days));
  const plan = (level: ValidationLevel) => {
    const cadence = levelOf(repository, level, attempts);
    const states = chains.map((chain) => asCadenceChain(chain, level, attempts.get(chain.id) ?? []));
    return cadence.everyMs === 0 ? null : planCadence(repository.now.getTime(), states, cadence);
  };
  return { quick: plan('quick'), deep: plan('deep') };
}

type Attempts = ReadonlyMap<string, readonly ValidationAttempt[]>;

function byChain(attempts: readonly ValidationAttempt[]): Attempts {
  const found = new Map<string, ValidationAttempt[]>();
  for (const attempt of attempts) {
    const own = found.get(attempt.chainId);
    if (own) own.push(attempt);
    else found.set(attempt.chainId, [attempt]);
  }
  return found;
}

function asCadenceChain(
  { id, sizeBytes, quickAt, deepAt, since }: ValidatedChain,
  level: ValidationLevel,
  attempts: readonly ValidationAttempt[],
): CadenceChain {
  // A deep one does what a quick one does.
  const own = attempts.filter((each) => level === 'quick' || each.level === 'deep');
  const tried = own.flatMap(({ endedAt }) => (endedAt === null ? [] : [endedAt.getTime()]));
  return {
    id,
    cost: level === 'quick' ? 1 : Math.max(1, sizeBytes),
    lastMs: (level === 'quick' ? quickAt : deepAt)?.getTime() ?? null,
    sinceMs: since.getTime(),
    triedMs: tried.length === 0 ? null : Math.max(...tried),
    open: own.some(({ endedAt }) => endedAt === null),
  };
}

function levelOf(repository: RepositoryCadence, level: ValidationLevel, attempts: Attempts): LevelCadence {
  const running = [...attempts.values()]
    .flat()
    .filter((each) => each.scheduled && each.level === level && each.endedAt === null).length;
  const common = { everyMs: periodOf(repository, level), running, roundMs: ROUND_MS };
  if (level === 'quick') {
    const nextMs = repository.quickNextAt?.getTime() ?? 0;
    return { ...common, atATime: QUICK_AT_A_TIME, nextMs };
  }
  return {
    ...common,
    budgetPerHour: repository.bytesPerHour ?? undefined,
    atATime: DEEP_AT_A_TIME,
    nextMs: repository.deepNextAt?.getTime() ?? 0,
  };
}

function periodOf({ quickHours, deepDays }: RepositoryCadence, level: ValidationLevel): number {
  return level === 'quick' ? quickHours * HOUR_MS : deepDays * DAY_MS;
}
