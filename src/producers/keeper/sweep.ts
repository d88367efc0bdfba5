import type { DataSource } from '../../db/database.js';
import type { Delivery } from '../../db/jobs/kinds.js';
import { redeliverAbandoned, redeliverLost, releasedHeads, releaseHeadless } from '../../db/jobs/sweep.js';
import { repositoriesWithParked, unpark } from '../../db/jobs/slots.js';
import type { Logger } from '../../observability/logger.js';
import type { Metrics } from '../../observability/metrics.js';
import type { QueueSet } from '../../queue/deliver.js';

export interface SweepDeps {
  ds: DataSource;
  queue: QueueSet;
  log: Logger;
  metrics: Metrics;
  /** A worker that has a queue entry for this long without taking the lease is dead or frozen. */
  stuckMs: number;
}

/** Heads looked at in one sweep; the rest has its turn in the next. */
const MOST_HEADS = 2_000;

/**
 * Brings the queue in line with the database: jobs of dead workers are delivered again, heads that BullMQ does not
 * know (a crash between commit and add, a Redis that was emptied or restored) are queued, headless chains get a head.
 */
export async function sweep(deps: SweepDeps): Promise<void> {
  for (const delivery of await redeliverAbandoned(deps.ds)) await add(deps, delivery, 'abandoned');
  for (const delivery of await releaseHeadless(deps.ds)) await add(deps, delivery, 'headless');
  for (const repositoryId of await repositoriesWithParked(deps.ds)) {
    for (const delivery of await unpark(deps.ds, repositoryId)) await add(deps, delivery, 'parked');
  }
  for (const head of await releasedHeads(deps.ds, MOST_HEADS)) {
    if (await deps.queue.isPending(head, deps.stuckMs)) continue;
    // An ended entry blocks its id: the job gets a new delivery number, unless somebody else was quicker.
    const again = await redeliverLost(deps.ds, head);
    if (again) await add(deps, again, 'unqueued');
  }
}

async function add(deps: SweepDeps, delivery: Delivery, what: string): Promise<void> {
  await deps.queue.deliver(delivery);
  deps.metrics.sweeps.inc({ what });
  deps.log.info({ jobId: delivery.jobId, delivery: delivery.delivery, what }, 'queued again');
}
