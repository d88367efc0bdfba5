import type { DataSource, EntityManager } from 'typeorm';
import type { MaintenanceType } from '../../entities/index.js';
import type { OpenState } from '../../shared/jobs.js';
import { MERGING, OPEN } from './kinds.js';
import { affectedRows, inTransaction } from '../transaction.js';

/** The first job of this type on a chain that has not ended. */
export async function findOpenMaintenance(
  tx: EntityManager,
  chainId: string,
  type: MaintenanceType,
): Promise<{ id: string; status: OpenState } | undefined> {
  const rows = await tx.query<{ id: string; status: OpenState }[]>(
    `SELECT id, status FROM maintenance_jobs WHERE chain_id = ? AND type = ? AND status IN ${OPEN} ORDER BY seq LIMIT 1`,
    [chainId, type],
  );
  return rows[0];
}

/** True while a job that merges files is open on one of the chains. */
export async function isMergeOpen(tx: EntityManager, chainIds: readonly string[]): Promise<boolean> {
  if (chainIds.length === 0) return false;
  const rows = await tx.query<unknown[]>(
    `SELECT 1 FROM maintenance_jobs
     WHERE chain_id IN (?) AND type IN ${MERGING} AND status IN ${OPEN} LIMIT 1`,
    [chainIds],
  );
  return rows.length > 0;
}

/**
 * Forgets maintenance jobs that ended `days` days ago, with their journals. A job stays that something still needs: the last
 * one of its type on its chain (what a chain's last validation found is read there), a job of a chain whose file is being switched, and
 * a job of which a webhook is still to be told.
 * @param limit jobs that go at once
 * @returns how many went
 */
export async function forgetMaintenance(ds: DataSource, days: number, limit: number): Promise<number> {
  return inTransaction(ds, async (tx) => {
    const rows = await tx.query<{ id: string }[]>(
      `SELECT m.id FROM maintenance_jobs m JOIN backup_chains c ON c.id = m.chain_id
       WHERE m.status IN ('completed', 'failed', 'cancelled') AND m.created_at < UTC_TIMESTAMP(3) - INTERVAL ? DAY
         AND m.completed_at < UTC_TIMESTAMP(3) - INTERVAL ? DAY AND c.merging_backup_id IS NULL
         AND EXISTS (SELECT 1 FROM maintenance_jobs n WHERE n.chain_id = m.chain_id AND n.type = m.type AND n.seq > m.seq
                       AND n.status IN ('completed', 'failed', 'cancelled'))
         AND m.id NOT IN (SELECT o.subject_id FROM outbox_events o WHERE o.body IS NULL)
       LIMIT ?`,
      [days, days, limit],
    );
    if (rows.length === 0) return 0;
    const ids = rows.map(({ id }) => id);
    await tx.query('DELETE FROM job_steps WHERE job_id IN (?)', [ids]);
    const gone: unknown = await tx.query(
      `DELETE FROM maintenance_jobs WHERE id IN (?) AND status IN ('completed', 'failed', 'cancelled')`,
      [ids],
    );
    return affectedRows(gone);
  });
}
