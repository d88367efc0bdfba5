import { addMaintenanceJob, type NewMaintenance } from '../../db/job/addJob.js';
import type { Delivery } from '../../shared/jobs.js';
import type { JobAccepted } from '../../contract/index.js';
import type { EntityManager } from '../../db/database.js';
import type { Position } from '../../db/job/position.js';
import type { AcceptDeps } from './deps.js';

/**
 * Adds a maintenance job at the end of a chain's FIFO, and its delivery where nothing is in front of it.
 * @param place a place in front of others, where one was made
 * @throws not_found when there is no such chain
 */
export async function addMaintenance(
  tx: EntityManager,
  { clock }: Pick<AcceptDeps, 'clock'>,
  job: Omit<NewMaintenance, 'now'>,
  deliveries: Delivery[],
  place?: Position,
): Promise<JobAccepted> {
  const { id, status, delivery } = await addMaintenanceJob(tx, { ...job, now: clock.now() }, place);
  if (delivery) deliveries.push(delivery);
  return { job_id: id, status };
}
