import { JOB_KINDS } from '../../shared/jobs.js';
import type { DataSource } from '../../db/database.js';
import { openDeliveries } from '../../db/job/sweep.js';
import { listPools } from '../../db/repository/repositories.js';
import type { Logger } from '../../observability/logger.js';
import type { Metrics } from '../../observability/metrics.js';
import { entryId } from '../../queue/catalogue.js';
import type { HeldEntry, QueueSet } from '../../queue/deliver.js';

export interface StaleDeps {
  ds: DataSource;
  queue: QueueSet;
  log: Logger;
  metrics: Metrics;
}

/**
 * Ends queue entries that a worker has taken, or put off, and that no open job stands behind any more: the job has ended, or
 * has been delivered again, because that worker is dead or frozen. BullMQ itself would show them as active until its lock has
 * run out, or as delayed until their time has come. A worker that is alive ends its own within moments of the commit, so that only what two rounds find is ended.
 */
export function createStaleEnder({ ds, queue, log, metrics }: StaleDeps): () => Promise<void> {
  let before = new Set<string>();
  return async () => {
    const entries = await queue.heldEntries(await listPools(ds));
    const stale: HeldEntry[] = [];
    for (const kind of JOB_KINDS) {
      const own = entries.filter((entry) => entry.kind === kind);
      const open = await openDeliveries(
        ds,
        kind,
        own.map(({ jobId }) => jobId),
      );
      stale.push(...own.filter(({ jobId, delivery }) => open.get(jobId) !== delivery));
    }
    for (const entry of stale.filter(({ jobId, delivery }) => before.has(entryId(jobId, delivery)))) {
      await entry.end();
      metrics.sweeps.inc({ what: 'stale' });
      log.info(
        { jobId: entry.jobId, delivery: entry.delivery },
        'ended a queue entry that no job stands behind',
      );
    }
    before = new Set(stale.map(({ jobId, delivery }) => entryId(jobId, delivery)));
  };
}
