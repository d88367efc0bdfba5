import type { DataSource } from 'typeorm';
import { MaintenanceJob } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { asking } from '../transaction.js';

/** @throws not_found, database_unavailable */
export async function getMaintenanceJob(ds: DataSource, id: string): Promise<MaintenanceJob> {
  const job = await asking(() => ds.getRepository(MaintenanceJob).findOneBy({ id }));
  if (!job) throw new StrataError('not_found', `There is no maintenance job ${id}.`);
  return job;
}
