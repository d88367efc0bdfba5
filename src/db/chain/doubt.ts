import type { EntityManager } from 'typeorm';
import type { PointNoteCode } from '../../entities/index.js';
import { recordEvents } from '../job/events.js';

/** `demoted_reason` of a backup that compared the whole disk because the audit had caught its tracker lying. */
export const TRACKER_LIED = 'tracker_lied';

/**
 * A tracker was caught lying: webhooks are notified. What it had said since the segment's full may have been wrong,
 * too, and no source can be asked any more: those backups are marked as doubted, and their restore points with them.
 */
export async function noteLie(tx: EntityManager, chainId: string, backupId: string): Promise<void> {
  await doubtBefore(tx, chainId, backupId);
  await recordEvents(tx, [{ type: 'backup.tracker_lied', subjectId: backupId }]);
}

/** Marks the backups of the chain from the full before this one up to it that hold what the tracker said. */
export async function doubtBefore(tx: EntityManager, chainId: string, backupId: string): Promise<void> {
  const rows = await tx.query<{ id: string }[]>(
    `SELECT b.id FROM backup_jobs b JOIN backup_jobs caught ON caught.id = ?
     WHERE b.chain_id = ? AND b.status = 'completed' AND b.tracker IS NOT NULL AND b.doubted_at IS NULL
       AND b.seq < caught.seq AND b.seq >=
         (SELECT COALESCE(MAX(f.seq), 0) FROM backup_jobs f
          WHERE f.chain_id = ? AND f.backup_type = 'full' AND f.status = 'completed' AND f.seq < caught.seq)
     ORDER BY b.seq`,
    [backupId, chainId, chainId],
  );
  const ids = rows.map(({ id }) => id);
  if (ids.length === 0) return;
  await tx.query('UPDATE backup_jobs SET doubted_at = UTC_TIMESTAMP(3) WHERE id IN (?)', [ids]);
  await addPointNote(tx, ids, 'tracker_doubted');
  await tx.query(
    `UPDATE restore_points SET status = 'completed_with_warnings'
     WHERE status = 'completed' AND id IN (SELECT restore_point_id FROM backup_jobs WHERE id IN (?))`,
    [ids],
  );
}

/** Adds a note about each of these backups' disks to its restore point. */
export async function addPointNote(
  tx: EntityManager,
  backupIds: readonly string[],
  code: PointNoteCode,
): Promise<void> {
  await tx.query(
    `UPDATE restore_points p STRAIGHT_JOIN backup_jobs b ON b.restore_point_id = p.id
     SET p.notes = JSON_ARRAY_APPEND(COALESCE(p.notes, JSON_ARRAY()), '$', JSON_OBJECT('disk_id', b.disk_id, 'code', ?))
     WHERE b.id IN (?)`,
    [code, backupIds],
  );
}
