import type { DataSource } from '../../db/database.js';
import { read } from '../../db/page.js';
import { MaintenanceJob, type MaintenanceType } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';

export type { MaintenanceType } from '../../entities/index.js';

/** Which work a maintenance job is. @throws not_found, database_unavailable */
export async function maintenanceType(ds: DataSource, jobId: string): Promise<MaintenanceType> {
  const job = await read(() => ds.getRepository(MaintenanceJob).findOneBy({ id: jobId }));
  if (!job) throw new StrataError('not_found', `There is no maintenance job ${jobId}.`);
  return job.type;
}
