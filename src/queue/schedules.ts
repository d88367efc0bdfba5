import { type AdvancedOptions, Queue } from './bullmq.js';
import { StrataError } from '../shared/errors.js';
import type { Redis } from './connection.js';
import { queuePrefix } from './catalogue.js';

/** The queue whose entries BullMQ's job schedulers make, one scheduler per policy. */
export const SCHEDULE_QUEUE = 'schedules';

export interface Scheduled {
  /** Id of the policy; the scheduler has the same. */
  id: string;
  /** Five fields of cron. */
  schedule: string;
  timeZone: string;
}

export interface ScheduleSet {
  /**
   * Makes the schedulers those of `wanted`, no more and no less. The database says what is due; a scheduler only sees to it
   * that somebody looks at the right moment, and shows in Bull Board when that is.
   */
  sync(wanted: readonly Scheduled[]): Promise<void>;
  /** For Bull Board. */
  queue: Queue;
  close(): Promise<void>;
}

/** What one page of `getJobSchedulers` holds. */
const PAGE = 1000;

/** Says when a schedule occurs next; null where it does not any more. */
export type NextOf = (schedule: string, timeZone: string, after: Date) => Date | null;

/**
 * How BullMQ finds the next time of a scheduler, in place of its own reading of cron: a queue and the worker that goes on
 * with its schedulers have the same.
 */
export function scheduleSettings(nextOf: NextOf): AdvancedOptions {
  return {
    repeatStrategy: (now, { pattern, tz }) =>
      nextOf(pattern ?? '', tz ?? 'UTC', new Date(now))?.getTime() ?? undefined,
  };
}

export function createScheduleSet(redis: Redis, prefix: string, nextOf: NextOf): ScheduleSet {
  const queue = new Queue(SCHEDULE_QUEUE, {
    connection: redis,
    prefix: queuePrefix(prefix, SCHEDULE_QUEUE),
    settings: scheduleSettings(nextOf),
  });
  queue.on('error', () => undefined);
  return {
    queue,
    sync: async (wanted) => {
      try {
        await bringInLine(queue, wanted);
      } catch (error) {
        throw new StrataError('queue_unavailable', 'Redis does not answer.', { cause: error });
      }
    },
    close: () => queue.close(),
  };
}

async function bringInLine(queue: Queue, wanted: readonly Scheduled[]): Promise<void> {
  const there = new Map<string, string>();
  for (let from = 0; ; from += PAGE) {
    const page = await queue.getJobSchedulers(from, from + PAGE - 1);
    for (const { key, pattern, tz } of page) there.set(key, `${pattern} ${tz}`);
    if (page.length < PAGE) break;
  }
  for (const { id, schedule, timeZone } of wanted) {
    if (there.get(id) !== `${schedule} ${timeZone}`) {
      const data = { v: 1, policy_id: id };
      const opts = { removeOnComplete: 100, removeOnFail: 100 };
      await queue.upsertJobScheduler(id, { pattern: schedule, tz: timeZone }, { name: 'policy', data, opts });
    }
    there.delete(id);
  }
  for (const id of there.keys()) await queue.removeJobScheduler(id);
}
