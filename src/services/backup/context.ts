import type { DataSource } from '../../db/database.js';
import {
  BackupChain,
  BackupJob,
  type Health,
  Repository,
  RestorePoint,
  VmContext,
} from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import type { ParentFacts } from './plan.js';

/** One backup of a lineage, as the catalogue knows it. */
export interface Layer extends ParentFacts {
  parentId: string | null;
  /** Image, relative to the repository's root. */
  path: string;
}

/** All that the catalogue says about a job, read under the lease. */
export interface BackupContext {
  job: BackupJob;
  repository: Repository;
  vm: VmContext;
  restorePoint: RestorePoint;
  /** The latest backup and what is below it, topmost first; empty until a backup has completed. */
  lineage: Layer[];
  segmentFull: Layer | null;
}

/** Reads the job and the chain as they are now. */
export async function loadContext(ds: DataSource, jobId: string): Promise<BackupContext> {
  const job = await ds.getRepository(BackupJob).findOneBy({ id: jobId });
  if (!job) throw new StrataError('not_found', `There is no backup ${jobId}.`);
  const [repository, vm, restorePoint, chain] = await Promise.all([
    ds.getRepository(Repository).findOneByOrFail({ id: job.repositoryId }),
    ds.getRepository(VmContext).findOneByOrFail({ vmContextId: job.vmContextId }),
    ds.getRepository(RestorePoint).findOneByOrFail({ id: job.restorePointId }),
    ds.getRepository(BackupChain).findOneByOrFail({ id: job.chainId }),
  ]);
  const lineage = chain.latestBackupId === null ? [] : await loadLineage(ds, chain.latestBackupId);
  const segmentFull = lineage.find((layer) => layer.id === chain.fullBackupId) ?? null;
  return { job, repository, vm, restorePoint, lineage, segmentFull };
}

interface LineageRow {
  id: string;
  parent_backup_id: string | null;
  repository_path: string;
  health: Health;
  change_id: string | null;
  virtual_size: string;
  status: string;
}

/**
 * A backup and all that it stands on, topmost first, down to its full.
 * @throws chain_broken when a backup of the lineage is not completed or its full is missing
 */
export async function loadLineage(ds: DataSource, backupId: string): Promise<Layer[]> {
  const rows = await ds.query<LineageRow[]>(
    `WITH RECURSIVE lineage AS (
       SELECT id, parent_backup_id, repository_path, health, change_id, virtual_size, status, 0 AS depth
       FROM backup_jobs WHERE id = ?
       UNION ALL
       SELECT b.id, b.parent_backup_id, b.repository_path, b.health, b.change_id, b.virtual_size, b.status, l.depth + 1
       FROM backup_jobs b JOIN lineage l ON b.id = l.parent_backup_id
     ) SELECT * FROM lineage ORDER BY depth`,
    [backupId],
  );
  const broken = rows.find((row) => row.status !== 'completed');
  if (broken)
    throw new StrataError('chain_broken', `Backup ${broken.id} is in the chain, but it is ${broken.status}.`);
  if (rows.at(-1)?.parent_backup_id !== null)
    throw new StrataError('chain_broken', `Backup ${backupId} leads to no full.`);
  return rows.map((row) => ({
    id: row.id,
    parentId: row.parent_backup_id,
    path: row.repository_path,
    health: row.health,
    changeId: row.change_id,
    virtualSize: Number(row.virtual_size),
  }));
}
