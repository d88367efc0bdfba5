// One file for each chore of the keeper; src/main/keeper.ts says how often each has its turn.
import type { JobKind } from '../../shared/jobs.js';
import { notePools, unservedPools } from '../../db/repository/pools.js';
import type { Metrics } from '../../observability/metrics.js';
import type { AcceptDeps } from '../accept/deps.js';

/** A fleet that is restarted has no workers for a while; after this it counts. */
const GRACE_SECONDS = 120;

/**
 * A chore of the keeper: sees which pools of repositories no live worker serves. Jobs of such a pool wait for ever, and nothing
 * fails: so it is reported (event, log, metric).
 */
export function createPoolWatch(
  { ds, log, metrics }: Pick<AcceptDeps, 'ds' | 'log'> & { metrics: Pick<Metrics, 'unservedQueues'> },
  graceSeconds = GRACE_SECONDS,
): () => Promise<void> {
  let shown: { pool: string; kind: JobKind }[] = [];
  return async () => {
    const unserved = await unservedPools(ds);
    const now = unserved.flatMap(({ pool, kinds }) => kinds.map((kind) => ({ pool, kind })));
    for (const labels of shown) metrics.unservedQueues.remove(labels);
    for (const labels of now) metrics.unservedQueues.set(labels, 1);
    shown = now;
    const { told, recovered } = await notePools(
      ds,
      unserved.map(({ pool }) => pool),
      graceSeconds,
    );
    for (const { pool, kinds } of unserved.filter((each) => told.includes(each.pool)))
      log.warn({ pool, kinds }, 'no live worker serves the pool: its jobs wait (STRATA_POOLS)');
    for (const pool of recovered) log.info({ pool }, 'workers serve the pool again');
  };
}
