import { ErrorCode, type Job, Queue } from './bullmq.js';
import type { Redis } from 'ioredis';
import type { Clock } from '../shared/clock.js';
import { isStrataError, StrataError } from '../shared/errors.js';
import {
  entryId,
  type JobPayload,
  parsePayload,
  QUEUE_KINDS,
  type QueueKind,
  queueName,
  queuePrefix,
} from './catalogue.js';

/** A job that wants a queue entry; services and stores return these as data. */
export interface QueueDelivery {
  kind: QueueKind;
  jobId: string;
  pool: string;
  delivery: number;
  delayMs: number;
  priority: number;
  /** Before all others that have no priority: it had begun, and its chain has waited long enough. */
  first?: boolean;
}

/** Finished entries stay visible in Bull Board for a while; the database has the history. */
const KEEP_COMPLETED = { age: 24 * 3600, count: 1000 };
const KEEP_FAILED = { age: 7 * 24 * 3600, count: 5000 };

/** An entry that a worker has taken. */
export interface ActiveEntry {
  kind: QueueKind;
  jobId: string;
  delivery: number;
  /** Ends it in its worker's place, whose lock does not count. Nothing if it has ended meanwhile. */
  end(): Promise<void>;
}

/** BullMQ's word for "whoever holds the lock" (removeLock.lua in 6.7). */
const ANY_LOCK = '0';

export interface QueueSet {
  /** Adds the entry; the same entry twice is one entry. */
  deliver(delivery: QueueDelivery): Promise<void>;
  /**
   * True when BullMQ knows an entry for this delivery that will still be worked on. An entry that a worker has had for
   * `stuckMs` without taking the lease does not count: that worker is dead or frozen, and BullMQ notices it late. An
   * entry that is delayed though its delivery is due is brought forward: BullMQ goes by the hosts' clocks, and one of
   * them was set back.
   */
  ensurePending(delivery: QueueDelivery, stuckMs: number): Promise<boolean>;
  /** The entries of the pools that BullMQ says are being worked on; perhaps by workers that are dead. */
  activeEntries(pools: readonly string[]): Promise<ActiveEntry[]>;
  /** All queues of the pools, for Bull Board. */
  queues(pools: readonly string[]): Queue[];
  close(): Promise<void>;
}

/** The only place that adds to a queue. */
export function createQueueSet(redis: Redis, prefix: string, clock: Clock): QueueSet {
  const open = new Map<string, Queue>();
  const queue = (kind: QueueKind, pool: string): Queue => {
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
      const payload: JobPayload = { v: 1, job_id: delivery.jobId, delivery: delivery.delivery };
      try {
        await queue(delivery.kind, delivery.pool).add(delivery.kind, payload, {
          jobId: entryId(delivery.jobId, delivery.delivery),
          attempts: 1,
          delay: delivery.delayMs,
          ...(delivery.priority > 0 ? { priority: delivery.priority } : {}),
          ...(delivery.first ? { lifo: true } : {}),
          removeOnComplete: KEEP_COMPLETED,
          removeOnFail: KEEP_FAILED,
        });
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
    activeEntries: (pools) => activeEntries(queue, pools),
    queues: (pools) => pools.flatMap((pool) => QUEUE_KINDS.map((kind) => queue(kind, pool))),
    close: async () => {
      await Promise.all([...open.values()].map((each) => each.close()));
    },
  };
}

async function activeEntries(
  queue: (kind: QueueKind, pool: string) => Queue,
  pools: readonly string[],
): Promise<ActiveEntry[]> {
  const found: ActiveEntry[] = [];
  for (const pool of pools) {
    for (const kind of QUEUE_KINDS) {
      for (const entry of await queue(kind, pool).getActive()) found.push(...toActiveEntry(kind, entry));
    }
  }
  return found;
}

/** Nothing for an entry that Strata has not put there. */
function toActiveEntry(kind: QueueKind, entry: Job): ActiveEntry[] {
  try {
    const { job_id: jobId, delivery } = parsePayload(entry.data);
    const end = async () => {
      if ((await entry.getState()) === 'active') await entry.moveToCompleted('stale', ANY_LOCK, false);
    };
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
