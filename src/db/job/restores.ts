import { asking } from '../transaction.js';
import { OPEN } from './kinds.js';
import type { JobStatus } from '../../shared/jobs.js';
import { type DataSource, IsNull, MoreThanOrEqual, Not } from '../../entities/orm.js';
import { RestoreJob } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { type PageOf, type PageRequest, pageById, select } from '../page.js';

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
  const row = await asking(() => ds.getRepository(RestoreJob).findOneBy({ id }));
  if (!row) throw new StrataError('not_found', `There is no restore ${id}.`);
  return row;
}

/** Those of the restores that will not be tried again. */
export async function endedRestores(ds: DataSource, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const rows = await select<{ id: string }>(
    ds,
    `SELECT id FROM restore_jobs WHERE id IN (?) AND status NOT IN ${OPEN}`,
    [ids],
  );
  return new Set(rows.map(({ id }) => id));
}

/** Where restores wrote to that were at work at this instant or later, whatever came of them. */
export async function restoredPathsSince(ds: DataSource, instant: Date): Promise<string[]> {
  const begun = { startedAt: Not(IsNull()) };
  const rows = await asking(() =>
    ds.getRepository(RestoreJob).find({
      where: [
        { ...begun, completedAt: IsNull() },
        { ...begun, completedAt: MoreThanOrEqual(instant) },
      ],
      select: { id: true, target: true },
    }),
  );
  return [...new Set(rows.map(({ target }) => target.path))];
}
