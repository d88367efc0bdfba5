import { tellOfPolicy } from '../../db/policy/policies.js';
import type { Scheduled } from '../../queue/schedules.js';
import type { AcceptDeps } from '../accept/deps.js';
import { refusalOf } from './cron.js';

/**
 * Tells of policies whose schedule was taken once and would be refused today: they go on as they were read then, and
 * somebody has to write them anew. In the log once for each process, to the webhooks once until it is forgotten there.
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
      deps.log.warn({ policyId: id, schedule, problem }, 'a schedule is to be written anew');
    }
  };
}
