import { addVerification } from './openValidation.js';
import type { Delivery } from '../../shared/jobs.js';
import type { DataSource, EntityManager } from 'typeorm';
import type { BackupType, PointNoteCode, Tracker, VerifyBackup } from '../../entities/index.js';
import { affectedRows, inTransaction } from '../transaction.js';
import { closeJob } from './close.js';
import { addPointNote, noteLie, TRACKER_LIED } from '../chain/doubt.js';
import { type ChainLease, leaseLost } from './lease.js';
import { releaseHead } from './position.js';

/** Chain, job and disk. */
const ROWS_OF_A_COMMIT = 3;

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
  changeId: string | null;
  contentId: string;
  /** What told what it holds; null where the whole disk was read. */
  tracker: Tracker | null;
  /** The audit caught the tracker lying, and this number of further backups is not to ask it. */
  distrustBackups: number;
  /** What the restore point has to say of the disk. */
  notes: PointNoteCode[];
  /** The chain is to be validated now. */
  verify?: VerifyBackup;
}

/**
 * The fenced commit of a backup: the job is completed, the chain advances, the validation that was asked for is queued, the next
 * job is released. Its file is under its final name and flushed before this is called (invariant 1).
 * @throws lease_lost when the fence has moved on; then nothing is changed
 */
export async function commitBackup(
  ds: DataSource,
  lease: ChainLease,
  backup: PublishedBackup,
): Promise<Delivery | undefined> {
  return inTransaction(ds, async (tx) => {
    await advance(tx, lease, backup);
    for (const code of backup.notes) await addPointNote(tx, [lease.jobId], code);
    if (backup.demotedReason === TRACKER_LIED) await noteLie(tx, lease.chainId, lease.jobId);
    await closeJob(tx, 'backup', lease.jobId, 'completed');
    const verification = backup.verify && (await addVerification(tx, lease.chainId, backup.verify));
    return (await releaseHead(tx, lease.chainId)) ?? verification;
  });
}

/**
 * The chain's fence, the job's row and the disk's size in one statement: all of it, or nothing where the fence has moved
 * on. STRAIGHT_JOIN, so that the chain is locked first, as everywhere: it orders all that happens on it.
 */
async function advance(tx: EntityManager, lease: ChainLease, backup: PublishedBackup): Promise<void> {
  const segment =
    backup.backupType === 'full'
      ? 'c.full_backup_id = j.id, c.full_at = j.created_at, c.backups_since_full = 0, c.tracker_distrust = 0'
      : `c.backups_since_full = c.backups_since_full + 1,
         c.tracker_distrust = GREATEST(c.tracker_distrust - 1, ?)`;
  const lied = backup.demotedReason === TRACKER_LIED;
  const advanced: unknown = await tx.query(
    `UPDATE backup_chains c STRAIGHT_JOIN backup_jobs j ON j.id = ?
       STRAIGHT_JOIN vm_disks d ON d.vm_context_id = c.vm_context_id AND d.disk_id = c.disk_id
     SET c.committed = ?, c.lease_owner = NULL, c.lease_job_id = NULL, c.lease_until = NULL,
         c.latest_backup_id = j.id, ${segment},
         c.total_backups = c.total_backups + 1, c.total_size_bytes = c.total_size_bytes + ?,
         j.status = 'completed', j.backup_type = ?, j.demoted_reason = ?, j.parent_backup_id = ?, j.successor_of = ?,
         j.repository_path = ?, j.virtual_size = ?, j.size_bytes = ?, j.bytes_transferred = ?, j.change_id = ?,
         j.content_id = ?, j.health = 'ok', j.tracker = ?, j.completed_at = UTC_TIMESTAMP(3),
         d.virtual_size = ?
     WHERE c.id = ? AND c.fence = ? AND c.committed < ? AND j.fence = ? AND j.status = 'running'`,
    [
      lease.jobId,
      lease.fence,
      ...(backup.backupType === 'full' ? [] : [lied ? backup.distrustBackups : 0]),
      backup.sizeBytes,
      backup.backupType,
      backup.demotedReason,
      backup.parentBackupId,
      backup.backupType === 'incremental' ? backup.parentBackupId : null,
      backup.repositoryPath,
      backup.virtualSize,
      backup.sizeBytes,
      backup.bytesTransferred,
      backup.changeId,
      backup.contentId,
      backup.tracker,
      backup.virtualSize,
      lease.chainId,
      lease.fence,
      lease.fence,
      lease.fence,
    ],
  );
  if (affectedRows(advanced) !== ROWS_OF_A_COMMIT) throw leaseLost(lease, 'commit');
  if (!lease.failedBefore) return;
  // Not above: MariaDB makes a temporary table on disk for a statement on several tables that changes a TEXT.
  await tx.query('UPDATE backup_jobs SET error_code = NULL, error_detail = NULL WHERE id = ?', [lease.jobId]);
}
