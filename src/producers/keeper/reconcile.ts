import { allRepositories } from '../../db/stores/repositories.js';
import { isStrataError } from '../../shared/errors.js';
import { acceptReconcile } from '../accept/acceptReconcile.js';
import type { AcceptDeps } from '../accept/deps.js';

export interface ReconcilerOptions {
  /** Milliseconds from the beginning of one round to that of the next, on the monotonic clock. */
  everyMs: number;
  signal: AbortSignal;
}

export interface Reconciler {
  /** Begins a round when it is time and none runs; returns at once, because a sweep must not wait for a slow disk. */
  run: () => Promise<void>;
  /** Settles when the running round, if any, has ended; a stopping process waits for it. */
  settled: () => Promise<void>;
}

/**
 * A chore of the keeper: compares every repository with the catalogue at the keeper's start and from time to time. It
 * changes nothing itself; jobs do.
 */
export function createReconciler(deps: AcceptDeps, { everyMs, signal }: ReconcilerOptions): Reconciler {
  let begunAt = Number.NEGATIVE_INFINITY;
  let round: Promise<void> | undefined;
  return {
    run: async () => {
      if (round || signal.aborted || deps.clock.monotonicMs() - begunAt < everyMs) return;
      begunAt = deps.clock.monotonicMs();
      round = reconcileAll(deps, signal).finally(() => {
        round = undefined;
      });
    },
    settled: async () => round,
  };
}

/** One round; a repository that cannot be looked at from here is told and does not keep the others from their turn. */
async function reconcileAll(deps: AcceptDeps, signal: AbortSignal): Promise<void> {
  try {
    for (const repository of await allRepositories(deps.ds)) {
      if (signal.aborted) return;
      await reconcileOne(deps, repository, signal);
    }
  } catch (error) {
    deps.log.warn({ err: error }, 'the reconciliation failed; the next round tries again');
  }
}

async function reconcileOne(
  deps: AcceptDeps,
  { id, name }: { id: string; name: string },
  signal: AbortSignal,
): Promise<void> {
  try {
    const answer = await acceptReconcile(deps, { repositoryId: id, dryRun: false, signal });
    const { scanned, counts, jobs } = answer;
    const found = Object.keys(counts).length > 0;
    deps.log[found ? 'warn' : 'info'](
      { repository: name, ...scanned, counts, jobs: jobs.length },
      found ? 'catalogue and files differ' : 'catalogue and files agree',
    );
  } catch (error) {
    if (signal.aborted) return;
    const away = isStrataError(error, 'repository_unavailable', 'repository_marker_foreign');
    deps.log.warn({ err: error, repository: name }, away ? 'not compared: not mounted here' : 'not compared');
  }
}
