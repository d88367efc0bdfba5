import type { JobKind } from '../../shared/jobs.js';
import type { EntityManager } from 'typeorm';
import { endedEvents, recordEvents } from './events.js';
import { settleRestorePointOf } from '../chain/settlePoint.js';

/**
 * What follows from a job's end, in the transaction that ends it: a backup's change list is of no more use and its restore
 * point has changed, and whoever wants to know is told.
 */
export async function closeJob(
  tx: EntityManager,
  kind: JobKind,
  jobId: string,
  status: 'completed' | 'failed' | 'cancelled',
): Promise<void> {
  if (kind !== 'backup') return recordEvents(tx, endedEvents(kind, jobId, status));
  await tx.query('DELETE FROM backup_extents WHERE backup_id = ?', [jobId]);
  const point = await settleRestorePointOf(tx, jobId);
  await recordEvents(tx, endedEvents(kind, jobId, status, point));
}
