import { type Delivery, JOB_KINDS } from '../../shared/jobs.js';
import { expireAwaiting } from '../../db/job/awaitExtents.js';
import { repositoriesWithParked, unpark } from '../../db/job/slots.js';
import {
  type HeadCursor,
  redeliverAbandoned,
  redeliverLost,
  releasedHeads,
  releaseHeadless,
  type RunningJob,
  runningJobs,
} from '../../db/job/sweep.js';
import { databaseNow } from '../../db/job/changes.js';
import type { Clock } from '../../shared/clock.js';
import { createExpiryWatch, type ExpiryWatch } from '../../shared/expiryWatch.js';
import { createStaleEnder, type StaleDeps } from './stale.js';

export interface SweepDeps extends StaleDeps {
  clock: Clock;
  /** The lease of this fleet: a worker that has a queue entry for this long without taking one is dead or frozen. */
  stuckMs: number;
}

/** Workers that may die at a job before it has to stand behind the others. */
const DEATHS_IN_FRONT = 2;
/** Heads of a kind that are looked at in one round; the next round goes on behind them. */
const MOST_HEADS = 2_000;

/**
 * Brings the queue in line with the database, a round with every call: jobs of dead workers are delivered again, backups
 * whose change list does not come are ended, headless chains get a head, parked jobs their slot, heads that BullMQ does not know (a crash between commit and add, a Redis
 * that was emptied or restored) are queued, and entries of dead workers are ended.
 */
export function createSweeper(deps: SweepDeps): () => Promise<void> {
  const cursors = new Map<Delivery['kind'], HeadCursor | undefined>();
  const endStale = createStaleEnder(deps);
  const leases = createExpiryWatch(deps.clock, deps.stuckMs);
  return async () => {
    for (const job of await abandonedJobs(deps, leases)) {
      const delivery = await redeliverAbandoned(deps.ds, job);
      // It had its turn already: behind hundreds of others its chain would stand still for minutes. But not for ever, or a
      // job at which workers die would always meet the next one first.
      if (delivery) await add(deps, { ...delivery, first: job.deaths < DEATHS_IN_FRONT }, 'abandoned');
    }
    for (const delivery of await expireAwaiting(deps.ds)) await add(deps, delivery, 'released');
    for (const delivery of await releaseHeadless(deps.ds)) await add(deps, delivery, 'headless');
    for (const repositoryId of await repositoriesWithParked(deps.ds)) {
      for (const delivery of await unpark(deps.ds, repositoryId)) await add(deps, delivery, 'parked');
    }
    for (const kind of JOB_KINDS) {
      const { heads, next } = await releasedHeads(deps.ds, kind, MOST_HEADS, cursors.get(kind));
      for (const head of heads) await addIfLost(deps, head);
      cursors.set(kind, next);
    }
    await endStale();
  };
}

/** Running jobs whose lease has run out, because their worker is dead or frozen. */
async function abandonedJobs(deps: SweepDeps, leases: ExpiryWatch): Promise<RunningJob[]> {
  const jobs = await runningJobs(deps.ds);
  const seen = jobs.map(({ chainId, fence, leaseUntil, leftMs }) => ({
    key: chainId,
    token: `${fence} ${leaseUntil?.getTime()}`,
    leftMs,
  }));
  const ranOut = leases.look(seen, await databaseNow(deps.ds));
  return jobs.filter(({ chainId }) => ranOut.has(chainId));
}

async function addIfLost(deps: SweepDeps, head: Delivery): Promise<void> {
  if (await deps.queue.ensurePending(head, deps.stuckMs)) return;
  // An ended entry blocks its id: the job gets a new delivery number, unless somebody else was quicker.
  const again = await redeliverLost(deps.ds, head);
  if (again) await add(deps, again, 'unqueued');
}

async function add(deps: SweepDeps, delivery: Delivery, what: string): Promise<void> {
  await deps.queue.deliver(delivery);
  deps.metrics.sweeps.inc({ what });
  deps.log.info({ jobId: delivery.jobId, delivery: delivery.delivery, what }, 'queued again');
}
