import type { EntityManager } from '../../db/database.js';
import type { Delivery } from '../../db/jobs/kinds.js';
import { type Position, takePosition } from '../../db/jobs/position.js';
import type { MaintenanceParams, MaintenanceType } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { newId } from '../../shared/ids.js';
import type { AcceptDeps } from './deps.js';

export interface JobAnswer {
  job_id: string;
  status: 'queued' | 'released';
}

/**
 * Adds a maintenance job at the end of a chain's FIFO, and its delivery where nothing is in front of it.
 * @param place a place in front of others, where one was made
 * @throws not_found when there is no such chain
 */
export async function addMaintenance(
  tx: EntityManager,
  deps: Pick<AcceptDeps, 'clock'>,
  job: { chainId: string; type: MaintenanceType; params: MaintenanceParams },
  deliveries: Delivery[],
  place?: Position,
): Promise<JobAnswer> {
  const { chainId, type, params } = job;
  const chains = await tx.query<{ repository_id: string; pool: string }[]>(
    `SELECT v.repository_id, r.pool FROM backup_chains c
     JOIN vm_contexts v ON v.vm_context_id = c.vm_context_id JOIN repositories r ON r.id = v.repository_id WHERE c.id = ?`,
    [chainId],
  );
  const chain = chains[0];
  if (!chain) throw new StrataError('not_found', `There is no chain ${chainId}.`);
  const { seq, status } = place ?? (await takePosition(tx, chainId));
  const id = newId('mnt', deps.clock.now());
  await tx.query(
    `INSERT INTO maintenance_jobs (id, chain_id, seq, status, created_at, repository_id, type, params)
     VALUES (?, ?, ?, ?, UTC_TIMESTAMP(3), ?, ?, ?)`,
    [id, chainId, seq, status, chain.repository_id, type, JSON.stringify(params)],
  );
  if (status === 'released') {
    deliveries.push({
      kind: 'maintenance',
      jobId: id,
      pool: chain.pool,
      delivery: 1,
      delayMs: 0,
      priority: 0,
    });
  }
  return { job_id: id, status };
}
