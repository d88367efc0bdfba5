import type { DataSource, EntityManager } from 'typeorm';
import type { BackupType } from '../../entities/index.js';
import { expectOneRow, inTransaction } from '../transaction.js';
import { closeJob } from './close.js';
import type { Delivery } from './kinds.js';
import { type ChainLease, leaseLost } from './lease.js';
import { releaseHead } from './position.js';
import { commitFence, leaveRunning } from './settle.js';

/** What a published file is, as its row says. */
export interface PublishedBackup {
  backupType: BackupType;
  demotedReason: string | null;
  parentBackupId: string | null;
  /** Relative to the repository's root. */
  repositoryPath: string;
  virtualSize: number;
  sizeBytes: number;
  bytesTransferred: number;
  contentId: string;
}

/**
 * The fenced commit of a backup: the job is completed, the chain advances, the next job is released. Its file is
 * under its final name and flushed before this is called (invariant 1).
 * @throws lease_lost when the fence has moved on; then nothing is changed
 */
export async function commitBackup(
  ds: DataSource,
  lease: ChainLease,
  backup: PublishedBackup,
): Promise<Delivery | undefined> {
  return inTransaction(ds, async (tx) => {
    await commitFence(tx, lease);
    await leaveRunning(
      tx,
      lease,
      `status = 'completed', backup_type = ?, demoted_reason = ?, parent_backup_id = ?, successor_of = ?,
       repository_path = ?, virtual_size = ?, size_bytes = ?, bytes_transferred = ?, content_id = ?,
       health = 'ok', error_code = NULL, error_detail = NULL, completed_at = UTC_TIMESTAMP(3)`,
      [
        backup.backupType,
        backup.demotedReason,
        backup.parentBackupId,
        backup.backupType === 'incremental' ? backup.parentBackupId : null,
        backup.repositoryPath,
        backup.virtualSize,
        backup.sizeBytes,
        backup.bytesTransferred,
        backup.contentId,
      ],
    );
    await advanceChain(tx, lease, backup);
    await closeJob(tx, 'backup', lease.jobId, 'completed');
    return releaseHead(tx, lease.chainId);
  });
}

/** The chain's latest backup, segment and totals, and the disk's size. */
async function advanceChain(tx: EntityManager, lease: ChainLease, backup: PublishedBackup): Promise<void> {
  const isFull = backup.backupType === 'full';
  const segment = isFull
    ? `c.full_backup_id = ?, c.backups_since_full = 0, c.tracker_distrust = 0,
       c.full_at = (SELECT b.created_at FROM backup_jobs b WHERE b.id = ?)`
    : 'c.backups_since_full = c.backups_since_full + 1';
  const advanced: unknown = await tx.query(
    `UPDATE backup_chains c SET c.latest_backup_id = ?, ${segment},
            c.total_backups = c.total_backups + 1, c.total_size_bytes = c.total_size_bytes + ?
     WHERE c.id = ? AND c.fence = ?`,
    [
      lease.jobId,
      ...(isFull ? [lease.jobId, lease.jobId] : []),
      backup.sizeBytes,
      lease.chainId,
      lease.fence,
    ],
  );
  expectOneRow(advanced, () => leaseLost(lease));
  await tx.query(
    `UPDATE vm_disks d JOIN backup_chains c ON c.vm_context_id = d.vm_context_id AND c.disk_id = d.disk_id
     SET d.virtual_size = ? WHERE c.id = ?`,
    [backup.virtualSize, lease.chainId],
  );
}
