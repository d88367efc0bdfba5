import { type Delivery } from '../../shared/jobs.js';
import type { EntityManager } from 'typeorm';
import type { MaintenanceParams, MaintenanceType } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { newId } from '../../shared/ids.js';
import { type Position, takePosition } from './position.js';

/** Of work that nobody waits for: behind every backup (0 to 1000) for a slot, and behind the maintenance that somebody asked for. */
export const UNASKED_PRIORITY = 1001;

export interface NewMaintenance {
  chainId: string;
  type: MaintenanceType;
  params: MaintenanceParams;
  /** 0, the default, is first. */
  priority?: number;
  /** Bandwidth limit of the job's own. */
  maxBytesPerSecond?: number | null;
  /** Names the id only. */
  now: Date;
}

/** A job that was added. `delivery` is owed after the commit where nothing is in front of it. */
export interface AddedMaintenance {
  id: string;
  status: Position['status'];
  delivery: Delivery | undefined;
}

/**
 * Adds a maintenance job at the end of a chain's FIFO.
 * @param place a place in front of others, where one was made
 * @throws not_found when there is no such chain
 */
export async function insertMaintenance(
  tx: EntityManager,
  job: NewMaintenance,
  place?: Position,
): Promise<AddedMaintenance> {
  const { chainId, type, params, priority = 0, maxBytesPerSecond = null } = job;
  const chains = await tx.query<{ repository_id: string; pool: string }[]>(
    `SELECT v.repository_id, r.pool FROM backup_chains c
     JOIN vm_contexts v ON v.vm_context_id = c.vm_context_id JOIN repositories r ON r.id = v.repository_id WHERE c.id = ?`,
    [chainId],
  );
  const chain = chains[0];
  if (!chain) throw new StrataError('not_found', `There is no chain ${chainId}.`);
  const effect = type === 'validate' ? 'reads' : 'changes';
  const { seq, status, passed } = place ?? (await takePosition(tx, chainId, { effect }));
  const id = newId('mnt', job.now);
  await tx.query(
    `INSERT INTO maintenance_jobs (id, chain_id, seq, status, priority, max_bytes_per_second, created_at, repository_id, type, params)
     VALUES (?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(3), ?, ?, ?)`,
    [
      id,
      chainId,
      seq,
      status,
      priority,
      maxBytesPerSecond,
      chain.repository_id,
      type,
      JSON.stringify(params),
    ],
  );
  if (status !== 'released') return { id, status, delivery: undefined };
  const delivery = { kind: 'maintenance', jobId: id, pool: chain.pool, delivery: 1, delayMs: 0 } as const;
  return { id, status, delivery: { ...delivery, priority, ...(passed ? { note: passed } : {}) } };
}
