import { Worker } from '../../queue/bullmq.js';
import { scheduledPolicies, tellOfPolicy } from '../../db/policy/policies.js';
import { queuePrefix } from '../../queue/catalogue.js';
import type { Redis } from '../../queue/connection.js';
import {
  createScheduleSet,
  type Scheduled,
  SCHEDULE_QUEUE,
  scheduleSettings,
} from '../../queue/schedules.js';
import type { AcceptDeps } from '../accept/deps.js';
import { nextTimeOfStored, refusalOf } from './cron.js';
import { runPolicies } from './runPolicies.js';

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

/**
 * Reports policies whose schedule was taken once and would be refused today: they go on as they were read then, and
 * somebody has to write their schedules again. Logged once a process; webhooks are notified once, until the event is forgotten.
 */
export function tellRefusedSchedules(
  deps: Pick<AcceptDeps, 'ds' | 'log'>,
): (policies: readonly Scheduled[]) => Promise<void> {
  const logged = new Map<string, string>();
  return async (policies) => {
    for (const { id, schedule } of policies) {
      const problem = refusalOf(schedule);
      if (problem === undefined || logged.get(id) === schedule) continue;
      await tellOfPolicy(deps.ds, id, 'policy.schedule_refused');
      logged.set(id, schedule);
      deps.log.warn({ policyId: id, schedule, problem }, 'a schedule is to be written again');
    }
  };
}
