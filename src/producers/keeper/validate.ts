import { UNASKED_PRIORITY } from '../../db/job/addJob.js';
import type { Delivery } from '../../shared/jobs.js';
import { findOpenValidation } from '../../db/job/openValidation.js';
import { lockChain } from '../../db/job/position.js';
import { claimCadence, readCadences, type RepositoryCadence } from '../../db/chain/cadence.js';
import type { ValidationLevel } from '../../entities/index.js';
import type { Metrics } from '../../observability/metrics.js';
import { planRepositoryCadence, ROUND_MS } from '../../services/validation/index.js';
import { isStrataError } from '../../shared/errors.js';
import { addMaintenance } from '../accept/addMaintenance.js';
import type { AcceptDeps } from '../accept/deps.js';
import { acceptOnce } from '../accept/once.js';
import { type BackgroundChore, inBackground } from './inBackground.js';

type Deps = AcceptDeps & { metrics: Pick<Metrics, 'overdueChains' | 'unvalidatedSeconds'> };

const LEVELS: readonly ValidationLevel[] = ['quick', 'deep'];
const SECONDS_AN_HOUR = 3600;

/**
 * A chore of the keeper: begins the validations that the repositories' cadences want now, and reports what is overdue. What
 * was begun, and until when nothing more begins, is in the database, so that any keeper goes on where the one before was.
 */
export function createValidator(deps: Deps, options: { signal: AbortSignal }): BackgroundChore {
  const { signal } = options;
  return inBackground(deps, { name: 'validation', everyMs: ROUND_MS, signal }, () =>
    validateDue(deps, signal),
  );
}

/** One round. */
export async function validateDue(deps: Deps, signal: AbortSignal): Promise<void> {
  const { metrics } = deps;
  metrics.overdueChains.reset();
  metrics.unvalidatedSeconds.reset();
  for (const repository of await readCadences(deps.ds)) {
    const plan = await planRepositoryCadence(deps.ds, repository);
    for (const level of LEVELS) {
      const due = plan[level];
      if (due === null) continue;
      if (signal.aborted) return;
      const { begin, nextMs, overdue, oldestMs } = due;
      const labels = { repository: repository.name, level };
      metrics.overdueChains.set(labels, overdue);
      metrics.unvalidatedSeconds.set(labels, oldestMs / 1000);
      if (begin.length === 0) continue;
      if (!(await claimCadence(deps.ds, repository, level, new Date(Math.ceil(nextMs))))) continue;
      for (const chainId of begin) await beginOne(deps, repository, chainId, level);
      deps.log.info({ ...labels, chains: begin.length, overdue }, 'validations are due');
    }
  }
}

/** A chain that has gone since, or of which one has become open, is left out; its turn is lost and comes again. */
async function beginOne(
  deps: AcceptDeps,
  { bytesPerHour }: RepositoryCadence,
  chainId: string,
  level: ValidationLevel,
): Promise<void> {
  const params = { level, scheduled: true } as const;
  const limited = level === 'deep' && bytesPerHour !== null;
  try {
    await acceptOnce(deps, undefined, async (tx) => {
      const deliveries: Delivery[] = [];
      await lockChain(tx, chainId);
      if (await findOpenValidation(tx, chainId, params)) return { answer: {}, deliveries };
      const job = {
        chainId,
        type: 'validate' as const,
        params,
        priority: UNASKED_PRIORITY,
        // So slowly that no hour has more than its budget, however large the chain is.
        maxBytesPerSecond: limited ? Math.floor(bytesPerHour / SECONDS_AN_HOUR) : null,
      };
      return { answer: await addMaintenance(tx, deps, job, deliveries), deliveries };
    });
  } catch (error) {
    if (!isStrataError(error, 'not_found')) throw error;
  }
}
