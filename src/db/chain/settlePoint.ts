import type { JobStatus } from '../../shared/jobs.js';
import type { EntityManager } from 'typeorm';
import { type RestorePointStatus, SOURCE_CORRUPT, SOURCE_SHARED } from '../../entities/index.js';
import { TRACKER_LIED } from './doubt.js';
import type { EndedPoint } from '../job/events.js';

type Counts = Partial<Record<JobStatus, number>>;

/**
 * What a restore point is, given the states of its disks' backups. Complete only when every disk is.
 * @param warnings disks that it lacks, and backups that have something to be said against them
 */
export function restorePointStatus(counts: Counts, warnings: number): RestorePointStatus {
  const n = (status: JobStatus) => counts[status] ?? 0;
  if (n('running') + n('released') + n('queued') > 0) {
    return n('running') + n('completed') + n('failed') + n('cancelled') > 0 ? 'running' : 'pending';
  }
  if (n('failed') > 0) return 'failed';
  if (n('cancelled') > 0) return 'cancelled';
  if (n('expired') > 0) return n('completed') > 0 ? 'completed_with_warnings' : 'expired';
  return warnings > 0 ? 'completed_with_warnings' : 'completed';
}

interface PointRow {
  id: string;
  status: RestorePointStatus;
  missing_disks: number;
  completed_at: Date | null;
  /** Notes against the source that make the point one with warnings. */
  noted: number;
}

/**
 * Brings the restore point of a backup job up to date; called in the transaction that changed the job. The lock on the
 * point's row puts the disks of a VM in one line: each counts what those before it have committed. Locking the jobs as
 * well would deadlock with a disk that ends at the same time.
 * @returns the restore point, if it has come to its end by this
 */
export async function settleRestorePointOf(
  tx: EntityManager,
  backupId: string,
): Promise<EndedPoint | undefined> {
  const points = await tx.query<PointRow[]>(
    `SELECT id, status, missing_disks, completed_at,
            JSON_CONTAINS(COALESCE(notes, JSON_ARRAY()), JSON_OBJECT('code', ?))
              + JSON_CONTAINS(COALESCE(notes, JSON_ARRAY()), JSON_OBJECT('code', ?)) AS noted
     FROM restore_points WHERE id = (SELECT restore_point_id FROM backup_jobs WHERE id = ?) FOR UPDATE`,
    [SOURCE_SHARED, SOURCE_CORRUPT, backupId],
  );
  const point = points[0];
  if (!point) return undefined;
  const rows = await tx.query<{ status: JobStatus; n: string; warned: string }[]>(
    `SELECT status, COUNT(*) AS n, SUM(doubted_at IS NOT NULL OR COALESCE(demoted_reason, '') = ?) AS warned
     FROM backup_jobs WHERE restore_point_id = ? GROUP BY status`,
    [TRACKER_LIED, point.id],
  );
  const counts: Counts = Object.fromEntries(rows.map((row) => [row.status, Number(row.n)]));
  const warned = rows.reduce((sum, row) => sum + Number(row.warned), 0);
  const status = restorePointStatus(counts, point.missing_disks + warned + Number(point.noted));
  const ended = status !== 'pending' && status !== 'running';
  if (status === point.status && ended === (point.completed_at !== null)) return undefined;
  await tx.query(
    `UPDATE restore_points SET status = ?, completed_at = ${ended ? 'COALESCE(completed_at, UTC_TIMESTAMP(3))' : 'NULL'}
     WHERE id = ?`,
    [status, point.id],
  );
  const open = status === 'pending' || status === 'running';
  if (open || status === 'expired' || point.completed_at !== null) return undefined;
  return { id: point.id, status };
}
