import { Queue, Worker } from 'bullmq';
import { commitBackup } from '../../src/db/job/commitBackup.js';
import { acceptBackup } from '../../src/producers/accept/index.js';
import { queuePrefix } from '../../src/queue/catalogue.js';
import { HANDLERS, type Handlers } from '../../src/workers/handlers.js';
import { startWorker } from '../../src/workers/startWorker.js';
import { openFleet, type TestFleet } from '../../test/helpers/fleet.js';
import { publishedFull } from '../../test/helpers/rows.js';
import { type Calls, type CallsOfBoth, countCalls, perJob } from '../calls.js';
import { compete, timed } from '../contest.js';
import type { Row } from '../row.js';
import type { Sizes } from '../sizes.js';

const CHAINS = 50;
const WORKERS = 8;
/** Requests that are under way at a time, on both sides. */
const PRODUCERS = 8;
/** Three tenths of the throughput, as a ratio of times. */
const GOAL = 3.33;

export interface Cost {
  rows: Row[];
  calls: CallsOfBoth;
}

/**
 * What accepting, ordering, leasing and committing cost: jobs whose work is to do nothing, from the first request to the
 * last commit, against as many entries of a bare BullMQ queue with the same options.
 */
export async function costContest(sizes: Sizes): Promise<Cost> {
  const fleet = await openFleet({ backlogLimit: 100_000 });
  try {
    const counted = { ours: [] as Calls[], theirs: [] as Calls[] };
    const sides = { ours: () => runOurs(fleet, sizes.jobs), theirs: () => runTheirs(fleet, sizes.jobs) };
    // The first makes the chains.
    await sides.ours();
    const measured = (side: keyof typeof sides) =>
      timed(async () => {
        counted[side].push(await countCalls(fleet, sides[side]));
      });
    const { ours, theirs } = await compete(sizes, {
      settle: async () => undefined,
      contenders: { ours: () => measured('ours'), theirs: () => measured('theirs') },
    });
    await assertAllCompleted(fleet);
    return {
      rows: [
        {
          what: `${sizes.jobs} backups of ${CHAINS} chains that copy nothing, ${WORKERS} workers, first request to last commit`,
          against: `as many entries of a BullMQ queue, ${WORKERS} workers`,
          ours,
          theirs,
          goal: GOAL,
          bounds:
            'Processor time of statements, in the worker and in MariaDB, one round trip after the other under the chain’s row ' +
            'lock, and three commits that are flushed; the calls are counted below.',
        },
      ],
      calls: { ours: perJob(counted.ours, sizes.jobs), theirs: perJob(counted.theirs, sizes.jobs) },
    };
  } finally {
    await fleet.close();
  }
}

/** The whole way of a job, but for the work: request, intent, queue, lease, commit, next head. */
async function runOurs(fleet: TestFleet, jobs: number): Promise<void> {
  const done = countDown(jobs);
  const handlers: Handlers = {
    ...HANDLERS,
    backup: async ({ deps, held }) => {
      const backup = publishedFull(held.lease.jobId);
      const next = await commitBackup(deps.ds, held.lease, backup);
      done.count();
      return { next, type: backup.backupType, bytes: 0, demotedReason: null };
    },
  };
  const deps = { ...fleet.worker, handlers };
  const workers = Array.from({ length: WORKERS }, () => startWorker(deps, 'backup', 'default', 1));
  await produce(jobs, async (index) => {
    await acceptBackup(fleet.accept, {
      vm_name: `vm-${index % CHAINS}`,
      repository_id: 'main',
      backup_type: 'full',
      disks: [{ disk_id: 0, source: { type: 'file', path: `${fleet.sources}/any.raw`, format: 'raw' } }],
    });
  });
  await done.reached;
  await Promise.all(workers.map((worker) => worker.stop(0)));
}

async function runTheirs(fleet: TestFleet, jobs: number): Promise<void> {
  const done = countDown(jobs);
  const place = {
    connection: fleet.worker.redis,
    prefix: queuePrefix(fleet.suite.queuePrefix, 'bare'),
  };
  const queue = new Queue('bare', place);
  const workers = Array.from(
    { length: WORKERS },
    () => new Worker('bare', async () => done.count(), { ...place, concurrency: 1 }),
  );
  await produce(jobs, async (index) => {
    await queue.add('bare', { v: 1, job_id: String(index) }, ENTRY);
  });
  await done.reached;
  await Promise.all([...workers.map((worker) => worker.close()), queue.close()]);
}

/** As our own entries, which stay visible for a while. */
const ENTRY = { attempts: 1, removeOnComplete: { age: 24 * 3600, count: 1000 } };

/** Runs `add` for each index in order, a few at a time. */
async function produce(jobs: number, add: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const produceSome = async () => {
    while (next < jobs) await add(next++);
  };
  await Promise.all(Array.from({ length: PRODUCERS }, produceSome));
}

function countDown(from: number): { count: () => void; reached: Promise<void> } {
  let left = from;
  let reach: () => void = () => undefined;
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  return {
    reached,
    count: () => {
      left--;
      if (left === 0) reach();
    },
  };
}

async function assertAllCompleted(fleet: TestFleet): Promise<void> {
  const [row] = await fleet.suite.ds.query<{ n: string }[]>(
    `SELECT COUNT(*) AS n FROM backup_jobs WHERE status <> 'completed'`,
  );
  if (Number(row?.n) !== 0) throw new Error(`${row?.n} jobs are not completed.`);
}
