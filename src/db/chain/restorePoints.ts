import { asking } from '../transaction.js';
import type { DataSource, EntityManager } from 'typeorm';
import { type PointNote, type RequestedType, RestorePoint } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { type PageOf, type PageRequest, pageById, pageByTime } from '../page.js';
import { vmNames } from '../vm/vms.js';

export interface NamedPoint {
  point: RestorePoint;
  vmName: string;
}

/** Restore points, newest first: by time for one VM, by id (whose beginning is the time) for all of them. */
export async function listRestorePoints(
  ds: DataSource,
  filter: { vmContextId?: string | undefined },
  page: PageRequest,
): Promise<PageOf<NamedPoint>> {
  const query = ds.getRepository(RestorePoint).createQueryBuilder('p');
  const { vmContextId } = filter;
  if (vmContextId !== undefined) query.andWhere('p.vmContextId = :vmContextId', { vmContextId });
  const { rows, next } =
    vmContextId === undefined
      ? await pageById(query, 'p.id', page, (row) => row.id, 'DESC')
      : await pageByTime(query, page);
  return { rows: await withNames(ds, rows), next };
}

/** @returns null where there is no such restore point @throws database_unavailable */
export async function findRestorePoint(ds: DataSource, id: string): Promise<RestorePoint | null> {
  return asking(() => ds.getRepository(RestorePoint).findOneBy({ id }));
}

/** @throws not_found */
export async function getRestorePoint(ds: DataSource, id: string): Promise<NamedPoint> {
  const point = await findRestorePoint(ds, id);
  const [found] = point ? await withNames(ds, [point]) : [];
  if (!found) throw new StrataError('not_found', `There is no restore point ${id}.`);
  return found;
}

async function withNames(ds: DataSource, points: readonly RestorePoint[]): Promise<NamedPoint[]> {
  const names = await vmNames(
    ds,
    points.map((point) => point.vmContextId),
  );
  return points.map((point) => ({ point, vmName: names.get(point.vmContextId) ?? '' }));
}

/** A restore point whose backups are still to be made. */
export interface NewPoint {
  id: string;
  vmContextId: string;
  repositoryId: string;
  type: RequestedType;
  /** How many disks of the VM it leaves out. */
  missingDisks: number;
  notes: readonly PointNote[];
}

export async function addRestorePoint(tx: EntityManager, point: NewPoint): Promise<void> {
  await tx.query(
    `INSERT INTO restore_points (id, vm_context_id, repository_id, type, status, missing_disks, notes, created_at)
     VALUES (?, ?, ?, ?, 'pending', ?, ?, UTC_TIMESTAMP(3))`,
    [
      point.id,
      point.vmContextId,
      point.repositoryId,
      point.type,
      point.missingDisks,
      point.notes.length > 0 ? JSON.stringify(point.notes) : null,
    ],
  );
}
