import { basename } from 'node:path';
import type { DataSource } from '../../db/database.js';
import { BackupChain, BackupJob, Repository, RestorePoint, VmContext } from '../../entities/index.js';
import { asking } from '../../db/transaction.js';
import { StrataError } from '../../shared/errors.js';
import type { ParentFacts } from './plan.js';

/** One backup of a lineage, as the catalogue knows it. */
export interface Layer extends ParentFacts {
  parentId: string | null;
  /** The instant of its data. */
  createdAt: Date;
  /** Image, relative to the repository's root. */
  path: string;
  /** It is damaged in ranges that are known, and as a whole it is what it was. */
  damageLocated: boolean;
  /** No restore point any more: it still carries those above it, and nothing new is put upon it. */
  expired: boolean;
}

/** All that the catalogue says about a job, read under the lease. */
export interface BackupContext {
  job: BackupJob;
  repository: Repository;
  vm: VmContext;
  restorePoint: RestorePoint;
  chain: BackupChain;
  /** The latest backup and what is below it, topmost first; empty until a backup has completed. */
  lineage: Layer[];
  /** The latest backup stands on one that is not there: nothing can be built upon it. */
  lineageBroken: boolean;
  segmentFull: Layer | null;
  /** Names of files that backups of the chain have or had: none is given twice, even where its file is gone (decision 14). */
  takenNames: string[];
}

/** Reads the job and the chain as they are now. */
export async function loadContext(ds: DataSource, jobId: string): Promise<BackupContext> {
  return asking(async () => {
    const job = await ds.getRepository(BackupJob).findOneBy({ id: jobId });
    if (!job) throw new StrataError('not_found', `There is no backup ${jobId}.`);
    const [repository, vm, restorePoint, chain] = await Promise.all([
      ds.getRepository(Repository).findOneByOrFail({ id: job.repositoryId }),
      ds.getRepository(VmContext).findOneByOrFail({ vmContextId: job.vmContextId }),
      ds.getRepository(RestorePoint).findOneByOrFail({ id: job.restorePointId }),
      ds.getRepository(BackupChain).findOneByOrFail({ id: job.chainId }),
    ]);
    const { latestBackupId, fullBackupId } = chain;
    const rows = await loadRows(ds, job.chainId);
    const layers = latestBackupId === null ? [] : toLayers(rows);
    const lineage = latestBackupId === null ? [] : lineageOf(layers, latestBackupId);
    const segmentFull = lineage?.find((layer) => layer.id === fullBackupId && !layer.expired) ?? null;
    return {
      job,
      repository,
      vm,
      restorePoint,
      chain,
      lineage: lineage ?? [],
      lineageBroken: lineage === undefined,
      segmentFull,
      takenNames: rows.map((row) => basename(row.repositoryPath ?? '')),
    };
  });
}

/** Every backup of a chain that has or had a file. */
async function loadRows(ds: DataSource, chainId: string): Promise<BackupJob[]> {
  return ds.getRepository(BackupJob).find({
    where: [
      { chainId, status: 'completed' },
      { chainId, status: 'expired' },
    ],
    select: {
      id: true,
      status: true,
      fileRemovedAt: true,
      parentBackupId: true,
      createdAt: true,
      repositoryPath: true,
      health: true,
      damageLocated: true,
      contentWrongAt: true,
      changeId: true,
      virtualSize: true,
      sizeChanges: true,
    },
  });
}

function toLayers(rows: readonly BackupJob[]): Layer[] {
  const layers = rows.filter((row) => row.fileRemovedAt === null);
  return layers.map((row) => ({
    id: row.id,
    parentId: row.parentBackupId,
    createdAt: row.createdAt,
    path: row.repositoryPath ?? '',
    expired: row.status === 'expired',
    // What a restore has proved weighs more than what a quick check did not see.
    health: row.contentWrongAt === null ? row.health : 'damaged',
    damageLocated: row.contentWrongAt === null && row.damageLocated,
    changeId: row.changeId,
    virtualSize: row.virtualSize ?? 0,
    sizeChanges: row.sizeChanges,
  }));
}

/**
 * A backup and all that it stands on, topmost first, down to its full. Walked here and not by a recursive query:
 * databases end those after 1,000 steps, MariaDB even without an error.
 * @returns undefined when the way down leads to a backup that has no file, or in a circle
 */
export function lineageOf(layers: readonly Layer[], backupId: string): Layer[] | undefined {
  const byId = new Map(layers.map((layer) => [layer.id, layer]));
  const lineage: Layer[] = [];
  for (let id: string | null = backupId; id !== null; ) {
    const layer = byId.get(id);
    if (!layer) return undefined;
    byId.delete(id);
    lineage.push(layer);
    id = layer.parentId;
  }
  return lineage;
}
