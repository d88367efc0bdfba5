import type { DataSource } from 'typeorm';
import { BackupJob, MaintenanceJob, RestoreJob } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import type { JobKind } from '../../shared/jobs.js';
import { asking } from '../transaction.js';

/** The row of each kind of job. */
export interface JobRows extends Record<JobKind, object> {
  backup: BackupJob;
  maintenance: MaintenanceJob;
  restore: RestoreJob;
}

const ROWS: { [Kind in JobKind]: (ds: DataSource, id: string) => Promise<JobRows[Kind] | null> } = {
  backup: (ds, id) => ds.getRepository(BackupJob).findOneBy({ id }),
  maintenance: (ds, id) => ds.getRepository(MaintenanceJob).findOneBy({ id }),
  restore: (ds, id) => ds.getRepository(RestoreJob).findOneBy({ id }),
};

/** @throws not_found, database_unavailable */
export async function getJob<Kind extends JobKind>(
  ds: DataSource,
  kind: Kind,
  id: string,
): Promise<JobRows[Kind]> {
  const job = await asking(() => ROWS[kind](ds, id));
  if (!job) throw new StrataError('not_found', `There is no ${kind} job ${id}.`);
  return job;
}
