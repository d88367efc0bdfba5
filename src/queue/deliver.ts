import { ErrorCode, type Job, Queue } from './bullmq.js';
import type { Redis } from 'ioredis';
import type { Clock } from '../shared/clock.js';
import { type Delivery, JOB_KINDS, type JobKind } from '../shared/jobs.js';
import { isStrataError, StrataError } from '../shared/errors.js';
import { entryId, type JobPayload, parsePayload, queueName, queuePrefix } from './catalogue.js';

/** Finished entries stay visible in Bull Board for a while; the database has the history. */
const KEEP_COMPLETED = { age: 24 * 3600, count: 1000 };
const KEEP_FAILED = { age: 7 * 24 * 3600, count: 5000 };

/** An entry that a worker has taken, or that waits for its time. */
export interface HeldEntry {
  kind: JobKind;
  jobId: string;
  delivery: number;
  /** Ends it: one that is taken in its worker's place, whose lock does not count. Nothing if it has gone on meanwhile. */
  end(): Promise<void>;
}

/** Delayed entries that are looked at, those first whose time comes first. */
const MOST_DELAYED = 1_000;

/** BullMQ's word for "whoever holds the lock" (removeLock.lua in 6.7). */
const ANY_LOCK = '0';

export interface QueueSet {
  /** Adds the entry; the same entry twice is one entry. */
  deliver(delivery: Delivery): Promise<void>;
  /**
   * True when BullMQ knows an entry for this delivery that will still be worked on. An entry that a worker has had for
   * `stuckMs` without taking the lease does not count: that worker is dead or frozen, and BullMQ notices it late. An
   * entry that is delayed though its delivery is due is brought forward: BullMQ goes by the hosts' clocks, and one of
   * them was set back.
   */
  ensurePending(delivery: Delivery, stuckMs: number): Promise<boolean>;
  /**
   * The entries of the pools that BullMQ says are being worked on, perhaps by workers that are dead, or wait for their time,
   * which is far away where a host's clock was ahead.
   */
  heldEntries(pools: readonly string[]): Promise<HeldEntry[]>;
  /** All queues of the pools, for Bull Board. */
  queues(pools: readonly string[]): Queue[];
  close(): Promise<void>;
}

/** The only place that adds to a queue. */
export function createQueueSet(redis: Redis, prefix: string, clock: Clock): QueueSet {
  const open = new Map<string, Queue>();
  const queue = (kind: JobKind, pool: string): Queue => {
    const name = queueName(kind, pool);
    let found = open.get(name);
    if (!found) {
      found = new Queue(name, { connection: redis, prefix: queuePrefix(prefix, name) });
      // The connection's owner reports errors; without a listener an 'error' event would end the process.
      found.on('error', () => undefined);
      open.set(name, found);
    }
    return found;
  };
  return {
    deliver: async (delivery) => {
      try {
        await addEntry(queue(delivery.kind, delivery.pool), delivery);
      } catch (error) {
        throw new StrataError('queue_unavailable', 'Redis does not answer.', { cause: error });
      }
    },
    ensurePending: async (delivery, stuckMs) => {
      const entry = await queue(delivery.kind, delivery.pool).getJob(
        entryId(delivery.jobId, delivery.delivery),
      );
      if (!entry) return false;
      const state = await entry.getState();
      if (state === 'active') {
        // A difference either way: a clock that was set back must not make the entry young for ever.
        return Math.abs(clock.now().getTime() - (entry.processedOn ?? 0)) < stuckMs;
      }
      if (state === 'delayed' && delivery.delayMs === 0) await promote(entry);
      return state !== 'unknown' && state !== 'completed' && state !== 'failed';
    },
    heldEntries: (pools) => heldEntries(queue, pools),
    queues: (pools) => pools.flatMap((pool) => JOB_KINDS.map((kind) => queue(kind, pool))),
    close: async () => {
      await Promise.all([...open.values()].map((each) => each.close()));
    },
  };
}

async function addEntry(queue: Queue, delivery: Delivery): Promise<void> {
  const payload: JobPayload = { v: 1, job_id: delivery.jobId, delivery: delivery.delivery };
  const entry = await queue.add(delivery.kind, payload, {
    jobId: entryId(delivery.jobId, delivery.delivery),
    attempts: 1,
    delay: delivery.delayMs,
    ...(delivery.priority > 0 ? { priority: delivery.priority } : {}),
    ...(delivery.first ? { lifo: true } : {}),
    removeOnComplete: KEEP_COMPLETED,
    removeOnFail: KEEP_FAILED,
  });
  if (delivery.note) await entry.log(delivery.note);
}

async function heldEntries(
  queue: (kind: JobKind, pool: string) => Queue,
  pools: readonly string[],
): Promise<HeldEntry[]> {
  const found: HeldEntry[] = [];
  for (const pool of pools) {
    for (const kind of JOB_KINDS) {
      const own = queue(kind, pool);
      for (const entry of await own.getActive()) {
        found.push(
          ...toHeldEntry(kind, entry, async () => {
            if ((await entry.getState()) === 'active') await entry.moveToCompleted('stale', ANY_LOCK, false);
          }),
        );
      }
      for (const entry of await own.getDelayed(0, MOST_DELAYED - 1)) {
        found.push(
          ...toHeldEntry(kind, entry, async () => {
            // One that a worker takes at this moment is locked, and stays.
            await own.remove(entry.id ?? '');
          }),
        );
      }
    }
  }
  return found;
}

/** Nothing for an entry that Strata has not put there. */
function toHeldEntry(kind: JobKind, entry: Job, end: () => Promise<void>): HeldEntry[] {
  try {
    const { job_id: jobId, delivery } = parsePayload(entry.data);
    return [{ kind, jobId, delivery, end }];
  } catch (error) {
    if (isStrataError(error, 'invalid_request')) return [];
    throw error;
  }
}

/** Ends an entry's delay. Whoever was quicker (its time has come, a worker has it) has done the same. */
async function promote(entry: Job): Promise<void> {
  try {
    await entry.promote();
  } catch (error) {
    if ((error as { code?: unknown }).code !== ErrorCode.JobNotInState) throw error;
  }
}
