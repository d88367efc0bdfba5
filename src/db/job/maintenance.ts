import type { DataSource, EntityManager } from 'typeorm';
import { MaintenanceJob, type MaintenanceType } from '../../entities/index.js';
import type { OpenState } from '../../shared/jobs.js';
import { MERGING, OPEN } from './kinds.js';
import { StrataError } from '../../shared/errors.js';
import { asking } from '../transaction.js';

/** @throws not_found, database_unavailable */
export async function getMaintenanceJob(ds: DataSource, id: string): Promise<MaintenanceJob> {
  const job = await asking(() => ds.getRepository(MaintenanceJob).findOneBy({ id }));
  if (!job) throw new StrataError('not_found', `There is no maintenance job ${id}.`);
  return job;
}

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
