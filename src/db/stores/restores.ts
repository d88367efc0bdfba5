import type { DataSource } from 'typeorm';
import { type JobStatus, RestoreJob } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { type PageOf, type PageRequest, pageById, read } from './page.js';

/** Restores, newest first by their ids, whose beginning is the time. */
export async function listRestores(
  ds: DataSource,
  filter: { backupId?: string | undefined; status?: JobStatus | undefined },
  page: PageRequest,
): Promise<PageOf<RestoreJob>> {
  const query = ds.getRepository(RestoreJob).createQueryBuilder('j');
  const { backupId, status } = filter;
  if (backupId !== undefined) query.andWhere('j.backupId = :backupId', { backupId });
  if (status !== undefined) query.andWhere('j.status = :status', { status });
  return pageById(query, 'j.id', page, (row) => row.id, 'DESC');
}

/** @throws not_found */
export async function getRestore(ds: DataSource, id: string): Promise<RestoreJob> {
  const row = await read(() => ds.getRepository(RestoreJob).findOneBy({ id }));
  if (!row) throw new StrataError('not_found', `There is no restore ${id}.`);
  return row;
}
