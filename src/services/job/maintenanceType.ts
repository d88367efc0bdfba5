// A file of its own because workers, who choose the service of a job by its type, do not import the database's code.
import type { DataSource } from '../../db/database.js';
import { getJob } from '../../db/job/getJob.js';
import type { MaintenanceType } from '../../entities/index.js';

export type { MaintenanceType } from '../../entities/index.js';

/** Which work a maintenance job is. @throws not_found, database_unavailable */
export async function maintenanceType(ds: DataSource, jobId: string): Promise<MaintenanceType> {
  return (await getJob(ds, 'maintenance', jobId)).type;
}
