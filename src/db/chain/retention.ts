import type { DataSource } from 'typeorm';
import type { KeepColumn, RestorePointStatus } from '../../entities/index.js';
import type { JobStatus } from '../../shared/jobs.js';
import { StrataError } from '../../shared/errors.js';
import { recordEvents } from '../job/events.js';
import { parseJson } from '../job/journal.js';
import { affectedRows, inTransaction } from '../transaction.js';
import { select } from '../page.js';

export interface RetainedVm {
  vmContextId: string;
  policyId: string;
  keep: KeepColumn;
  timeZone: string;
}

/** VMs whose policy removes something, and that were not looked through for `everyMs`; the longest first. */
export async function vmsToRetain(ds: DataSource, everyMs: number, limit: number): Promise<RetainedVm[]> {
  const rows = await select<Omit<RetainedVm, 'keep'> & { keep: unknown }>(
    ds,
    `SELECT m.vm_context_id AS vmContextId, p.id AS policyId, p.keep, p.time_zone AS timeZone
     FROM policy_members m JOIN policies p ON p.id = m.policy_id
     WHERE p.enabled = 1 AND p.keep IS NOT NULL
       AND (m.retained_at IS NULL OR m.retained_at < UTC_TIMESTAMP(3) - INTERVAL ? MICROSECOND)
     ORDER BY m.retained_at, m.vm_context_id LIMIT ?`,
    [everyMs * 1000, limit],
  );
  return rows.map((row) => ({ ...row, keep: parseJson<KeepColumn>(row.keep) }));
}

/** For how many days the repository of a VM keeps everything, and the database's clock. @throws not_found, database_unavailable */
export async function immutabilityOfVm(
  ds: DataSource,
  vmContextId: string,
): Promise<{ immutableDays: number; now: Date }> {
  const [row] = await select<{ immutableDays: number; now: Date }>(
    ds,
    `SELECT r.immutable_days AS immutableDays, UTC_TIMESTAMP(3) AS now FROM vm_contexts v
     JOIN repositories r ON r.id = v.repository_id WHERE v.vm_context_id = ?`,
    [vmContextId],
  );
  if (!row) throw new StrataError('not_found', `There is no VM ${vmContextId}.`);
  return row;
}

export async function noteRetained(ds: DataSource, vmContextId: string): Promise<void> {
  await select(ds, 'UPDATE policy_members SET retained_at = UTC_TIMESTAMP(3) WHERE vm_context_id = ?', [
    vmContextId,
  ]);
}

/** True while a backup of the repository found no room for itself. */
export async function waitsForRoom(ds: DataSource, repositoryId: string): Promise<boolean> {
  const rows = await select(
    ds,
    `SELECT 1 FROM backup_jobs WHERE repository_id = ? AND status = 'released' AND error_code = 'no_space' LIMIT 1`,
    [repositoryId],
  );
  return rows.length > 0;
}

/**
 * Notes whether a repository has fallen below its reserve. While it is below, its VMs are looked through early, at most
 * every `againMs`.
 * @returns true when this has just changed
 */
export async function noteSpace(
  ds: DataSource,
  repositoryId: string,
  isLow: boolean,
  againMs: number,
): Promise<boolean> {
  return inTransaction(ds, async (tx) => {
    const change: unknown = await tx.query(
      isLow
        ? 'UPDATE repositories SET low_space_since = UTC_TIMESTAMP(3) WHERE id = ? AND low_space_since IS NULL'
        : 'UPDATE repositories SET low_space_since = NULL WHERE id = ? AND low_space_since IS NOT NULL',
      [repositoryId],
    );
    const changed = affectedRows(change) === 1;
    const type = isLow ? 'repository.low_space' : 'repository.space_ok';
    if (changed) await recordEvents(tx, [{ type, subjectId: repositoryId }]);
    if (isLow) {
      await tx.query(
        `UPDATE policy_members m JOIN vm_contexts v ON v.vm_context_id = m.vm_context_id SET m.retained_at = NULL
         WHERE v.repository_id = ? AND m.retained_at < UTC_TIMESTAMP(3) - INTERVAL ? MICROSECOND`,
        [repositoryId, changed ? 0 : againMs * 1000],
      );
    }
    return changed;
  });
}

/** A restore point of a VM, and one of its backups; a point without any has one such row. */
export interface DiskOfPoint {
  id: string;
  createdAt: Date;
  status: RestorePointStatus;
  missingDisks: number;
  backupId: string | null;
  chainId: string | null;
  diskId: number | null;
  jobStatus: JobStatus | null;
  protectedUntil: Date | null;
}

/** All restore points of a VM with their backups, whatever became of them. @throws database_unavailable */
export async function pointsOfVm(ds: DataSource, vmContextId: string): Promise<DiskOfPoint[]> {
  return select<DiskOfPoint>(
    ds,
    `SELECT p.id, p.created_at AS createdAt, p.status, p.missing_disks AS missingDisks, b.id AS backupId,
            b.chain_id AS chainId, b.disk_id AS diskId, b.status AS jobStatus, b.protected_until AS protectedUntil
     FROM restore_points p LEFT JOIN backup_jobs b ON b.restore_point_id = p.id WHERE p.vm_context_id = ?`,
    [vmContextId],
  );
}
