import type { DataSource, EntityManager } from 'typeorm';
import type { BackupType } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { affectedRows, expectOneRow } from '../transaction.js';
import { fencedChange } from '../job/fenced.js';
import type { ChainLease } from '../job/lease.js';
import { settleRestorePointOf } from './settlePoint.js';

/** SQL: the rows whose files may carry others: restore points, and expired backups whose files are still there. */
export const IS_LAYER = `(status = 'completed' OR (status = 'expired' AND file_removed_at IS NULL))`;

/** How a backup stands after its file was switched. */
export interface SwitchedLayer {
  backupId: string;
  backupType: BackupType;
  parentBackupId: string | null;
  sizeBytes: number;
}

/**
 * Takes backups out of the catalogue's restore points; their files stay. All or nothing.
 * @throws backup_in_use when one was protected since the plan was made; lease_lost
 */
export async function expireBackups(
  ds: DataSource,
  lease: ChainLease,
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return;
  await fencedChange(ds, lease, async (tx) => {
    const expired: unknown = await tx.query(
      `UPDATE backup_jobs SET status = 'expired', expired_at = UTC_TIMESTAMP(3), successor_of = NULL
       WHERE chain_id = ? AND id IN (?) AND status = 'completed' AND (protected_until IS NULL OR protected_until <= UTC_TIMESTAMP(3))`,
      [lease.chainId, ids],
    );
    if (affectedRows(expired) !== ids.length) {
      throw new StrataError('backup_in_use', 'A backup that was to be removed has been protected meanwhile.');
    }
    for (const id of ids) await settleRestorePointOf(tx, id);
    await advanceHead(tx, lease.chainId);
  });
}

/** Notes whose file is about to be switched, or that no file is. @throws lease_lost */
export async function markMerging(ds: DataSource, lease: ChainLease, backupId: string | null): Promise<void> {
  await fencedChange(ds, lease, async (tx) => {
    await tx.query('UPDATE backup_chains SET merging_backup_id = ? WHERE id = ?', [backupId, lease.chainId]);
  });
}

/** The row of a backup whose file was switched says what the file is; the chain is nobody's merge any more. @throws lease_lost */
export async function commitSwitch(ds: DataSource, lease: ChainLease, layer: SwitchedLayer): Promise<void> {
  await fencedChange(ds, lease, async (tx) => {
    const { backupId, backupType, parentBackupId, sizeBytes } = layer;
    const changed: unknown = await tx.query(
      `UPDATE backup_jobs SET backup_type = ?, parent_backup_id = ?, successor_of = IF(status = 'completed', ?, NULL), size_bytes = ?
       WHERE id = ? AND chain_id = ? AND status IN ('completed', 'expired')`,
      [
        backupType,
        parentBackupId,
        backupType === 'incremental' ? parentBackupId : null,
        sizeBytes,
        backupId,
        lease.chainId,
      ],
    );
    expectOneRow(
      changed,
      () => new StrataError('wrong_state', `Backup ${backupId} is no layer of the chain.`),
    );
    // What deep validations have read was another file.
    await tx.query('DELETE FROM layer_proofs WHERE backup_id = ?', [backupId]);
    await tx.query('UPDATE backup_chains SET merging_backup_id = NULL WHERE id = ?', [lease.chainId]);
    await advanceHead(tx, lease.chainId);
  });
}

/** Notes that the files of expired backups are gone. @throws lease_lost */
export async function noteFilesRemoved(
  ds: DataSource,
  lease: ChainLease,
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return;
  await fencedChange(ds, lease, async (tx) => {
    await tx.query(
      `UPDATE backup_jobs SET file_removed_at = UTC_TIMESTAMP(3) WHERE chain_id = ? AND id IN (?) AND status = 'expired'`,
      [lease.chainId, ids],
    );
    await advanceHead(tx, lease.chainId);
  });
}

interface Link {
  id: string;
  status: string;
  parent_backup_id: string | null;
  size_bytes: string;
}

/**
 * The chain's latest is its newest restore point, its full is what that stands on; the totals are those of its files.
 * What counts since the last full stays: a merge has not read the source, and must not put off a full that was asked for.
 */
async function advanceHead(tx: EntityManager, chainId: string): Promise<void> {
  const links = await tx.query<Link[]>(
    `SELECT id, status, parent_backup_id, size_bytes FROM backup_jobs WHERE chain_id = ? AND ${IS_LAYER} ORDER BY seq`,
    [chainId],
  );
  const byId = new Map(links.map((link) => [link.id, link]));
  const points = links.filter(({ status }) => status === 'completed');
  const latest = points.at(-1);
  let full = latest;
  while (full?.parent_backup_id) full = byId.get(full.parent_backup_id);
  await tx.query(
    `UPDATE backup_chains SET latest_backup_id = ?, full_backup_id = ?, total_backups = ?, total_size_bytes = ? WHERE id = ?`,
    [
      latest?.id ?? null,
      (full ?? latest)?.id ?? null,
      points.length,
      links.reduce((sum, { size_bytes }) => sum + Number(size_bytes), 0),
      chainId,
    ],
  );
}
