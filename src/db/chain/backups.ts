import { asking } from '../transaction.js';
import type { JobStatus } from '../../shared/jobs.js';
import type { DataSource } from 'typeorm';
import { BackupJob, type BackupType, BackupChain, RestorePoint, VmContext } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { NOTHING, type PageOf, type PageRequest, pageByTime } from '../page.js';
import { contextsNamed, vmNames } from '../vm/vms.js';

export interface NamedBackup {
  backup: BackupJob;
  vmName: string;
}

export interface BackupFilter {
  vmName?: string | undefined;
  vmContextId?: string | undefined;
  repositoryId?: string | undefined;
  diskId?: number | undefined;
  status?: JobStatus | undefined;
  backupType?: BackupType | undefined;
}

/** Backups, newest first. */
export async function listBackups(
  ds: DataSource,
  filter: BackupFilter,
  page: PageRequest,
): Promise<PageOf<NamedBackup>> {
  const query = ds.getRepository(BackupJob).createQueryBuilder('b');
  const equal = {
    vmContextId: filter.vmContextId,
    repositoryId: filter.repositoryId,
    diskId: filter.diskId,
    backupType: filter.backupType,
  };
  for (const [property, value] of Object.entries(equal)) {
    if (value !== undefined) query.andWhere(`b.${property} = :${property}`, { [property]: value });
  }
  if (filter.status !== undefined) {
    // Not `=`: the optimizer of MariaDB 10.11 then walks the whole index of that status down to the page, 3 s in the
    // middle of 1M backups. A range is entered where the page begins.
    query.andWhere('b.status >= :status AND b.status <= :status', { status: filter.status });
    query.orderBy('b.status', 'DESC');
  }
  if (filter.vmName !== undefined) {
    // The VM's name leads to its contexts first, so that the index on the context serves the list.
    const contexts = await contextsNamed(ds, filter.vmName, filter.repositoryId);
    if (contexts.length === 0) return NOTHING;
    query.andWhere('b.vmContextId IN (:...contexts)', { contexts });
  }
  const { rows, next } = await pageByTime(query, page);
  return { rows: await withNames(ds, rows), next };
}

/** @throws not_found */
export async function getBackup(ds: DataSource, id: string): Promise<NamedBackup> {
  const backup = await findBackup(ds, id);
  const [found] = backup ? await withNames(ds, [backup]) : [];
  if (!found) throw new StrataError('not_found', `There is no backup ${id}.`);
  return found;
}

/** @returns null where there is no such backup @throws database_unavailable */
export async function findBackup(ds: DataSource, id: string): Promise<BackupJob | null> {
  return asking(() => ds.getRepository(BackupJob).findOneBy({ id }));
}

/** The backups of a restore point, in the order of disks. */
export async function backupsOfPoint(ds: DataSource, restorePointId: string): Promise<NamedBackup[]> {
  const rows = await asking(() =>
    ds.getRepository(BackupJob).find({ where: { restorePointId }, order: { diskId: 'ASC' } }),
  );
  return withNames(ds, rows);
}

async function withNames(ds: DataSource, backups: readonly BackupJob[]): Promise<NamedBackup[]> {
  const names = await vmNames(
    ds,
    backups.map((backup) => backup.vmContextId),
  );
  return backups.map((backup) => ({ backup, vmName: names.get(backup.vmContextId) ?? '' }));
}

/** The rows that a backup job is about, but for its place and the layers of its chain. */
export interface BackupRows {
  vm: VmContext;
  restorePoint: RestorePoint;
  chain: BackupChain;
}

/** @throws database_unavailable */
export async function rowsOfBackup(
  ds: DataSource,
  { vmContextId, restorePointId, chainId }: Pick<BackupJob, 'vmContextId' | 'restorePointId' | 'chainId'>,
): Promise<BackupRows> {
  return asking(async () => {
    const [vm, restorePoint, chain] = await Promise.all([
      ds.getRepository(VmContext).findOneByOrFail({ vmContextId }),
      ds.getRepository(RestorePoint).findOneByOrFail({ id: restorePointId }),
      ds.getRepository(BackupChain).findOneByOrFail({ id: chainId }),
    ]);
    return { vm, restorePoint, chain };
  });
}
