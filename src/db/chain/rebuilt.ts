import type { EntityManager } from 'typeorm';
import { BackupJob, type Health, type RequestedType } from '../../entities/index.js';

// Rows that a rebuild makes of what it finds in files. Rows that are there already stay as they are.

/** Rows in one statement. */
const ROWS_AT_ONCE = 200;

/** A VM's disk with its chain, as manifests name them. */
export interface RebuiltPlace {
  repositoryId: string;
  vmContextId: string;
  vmName: string;
  upstreamId: string;
  diskId: number;
  /** Bytes. */
  virtualSize: number;
  chainId: string;
  createdAt: Date;
}

/** Adds VM, disk and chain, as far as they are not there. */
export async function addRebuiltPlace(tx: EntityManager, place: RebuiltPlace): Promise<void> {
  const { repositoryId, vmContextId, vmName, upstreamId, diskId, virtualSize, chainId, createdAt } = place;
  await tx.query(
    `INSERT IGNORE INTO vm_contexts (vm_context_id, vm_name, upstream_id, repository_id, created_at) VALUES (?, ?, ?, ?, ?)`,
    [vmContextId, vmName, upstreamId, repositoryId, createdAt],
  );
  await tx.query('INSERT IGNORE INTO vm_disks (vm_context_id, disk_id, virtual_size) VALUES (?, ?, ?)', [
    vmContextId,
    diskId,
    virtualSize,
  ]);
  await tx.query('INSERT IGNORE INTO backup_chains (id, vm_context_id, disk_id) VALUES (?, ?, ?)', [
    chainId,
    vmContextId,
    diskId,
  ]);
}

/** A restore point of which files were found. */
export interface RebuiltPoint {
  id: string;
  vmContextId: string;
  repositoryId: string;
  type: RequestedType;
  /** How many disks it lacks. */
  missingDisks: number;
  createdAt: Date;
  completedAt: Date;
}

export async function addRebuiltPoint(tx: EntityManager, point: RebuiltPoint): Promise<void> {
  await tx.query(
    `INSERT IGNORE INTO restore_points (id, vm_context_id, repository_id, type, status, missing_disks, created_at, completed_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    [
      point.id,
      point.vmContextId,
      point.repositoryId,
      point.type,
      point.missingDisks > 0 ? 'completed_with_warnings' : 'completed',
      point.missingDisks,
      point.createdAt,
      point.completedAt,
    ],
  );
}

/** Adds backups, each behind what it stands on. */
export async function addRebuiltBackups(
  tx: EntityManager,
  rows: readonly Partial<Omit<BackupJob, 'chain' | 'restorePoint' | 'repository' | 'parentBackup'>>[],
): Promise<void> {
  for (let from = 0; from < rows.length; from += ROWS_AT_ONCE)
    await tx.insert(BackupJob, rows.slice(from, from + ROWS_AT_ONCE));
}

/** What a chain is with the backups that were found. */
export interface RebuiltHead {
  latestBackupId: string | null;
  fullBackupId: string | null;
  /** Restore points, and those since the full. */
  points: number;
  sinceFull: number;
  /** Of all files. */
  bytes: number;
  lastSeq: number;
  /** Above every fence that was ever given out. */
  fence: number;
  health: Health;
  /** The backup whose file was being switched; null leaves the one that is noted. */
  mergingBackupId: string | null;
}

export async function writeRebuiltHead(tx: EntityManager, chainId: string, head: RebuiltHead): Promise<void> {
  await tx.query(
    `UPDATE backup_chains SET latest_backup_id = ?, full_backup_id = ?, total_backups = ?, total_size_bytes = ?,
            backups_since_full = ?, full_at = (SELECT b.created_at FROM backup_jobs b WHERE b.id = ?),
            last_seq = GREATEST(last_seq, ?), fence = ?, committed = ?, health = ?,
            merging_backup_id = COALESCE(?, merging_backup_id) WHERE id = ?`,
    [
      head.latestBackupId,
      head.fullBackupId,
      head.points,
      head.bytes,
      head.sinceFull,
      head.fullBackupId,
      head.lastSeq,
      head.fence,
      head.fence,
      head.health,
      head.mergingBackupId,
      chainId,
    ],
  );
}
