import { Worker } from '../../queue/bullmq.js';
import { scheduledPolicies } from '../../db/policy/policies.js';
import { queuePrefix } from '../../queue/catalogue.js';
import type { Redis } from '../../queue/connection.js';
import { createScheduleSet, SCHEDULE_QUEUE, scheduleSettings } from '../../queue/schedules.js';
import type { AcceptDeps } from '../accept/deps.js';
import { nextTimeOfStored } from './cron.js';
import { runPolicies } from './runPolicies.js';
import { tellRefusedSchedules } from './tellRefused.js';

export interface SchedulesOptions {
  /** A connection of its own for the worker. */
  redis: Redis;
  redisPrefix: string;
}

export interface Schedules {
  /** A chore of the keeper that leads: one round, and BullMQ's schedulers in line with the policies. */
  run: () => Promise<void>;
  stop: () => Promise<void>;
}

/**
 * Runs policies when they are due. BullMQ's schedulers wake a keeper at the moment; the keeper that leads looks with every
 * sweep as well, so that nothing is missed while Redis is away or was emptied.
 */
export function startSchedules(deps: AcceptDeps, { redis, redisPrefix }: SchedulesOptions): Schedules {
  const schedules = createScheduleSet(redis, redisPrefix, nextTimeOfStored);
  const tell = tellRefusedSchedules(deps);
  const worker = new Worker(SCHEDULE_QUEUE, () => runPolicies(deps), {
    connection: redis,
    prefix: queuePrefix(redisPrefix, SCHEDULE_QUEUE),
    settings: scheduleSettings(nextTimeOfStored),
  });
  worker.on('error', (error) =>
    deps.log.warn({ err: error, queue: SCHEDULE_QUEUE }, 'the queue reports an error'),
  );
  return {
    run: async () => {
      await runPolicies(deps);
      const policies = await scheduledPolicies(deps.ds);
      await tell(policies);
      await schedules.sync(policies);
    },
    stop: async () => {
      await worker.close();
      await schedules.close();
    },
  };
}
