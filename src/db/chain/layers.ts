import type { DataSource, EntityManager } from 'typeorm';
import type { BackupType, Health, RequestedType } from '../../entities/index.js';
import type { JobStatus } from '../../shared/jobs.js';
import { StrataError } from '../../shared/errors.js';
import { affectedRows, expectOneRow } from '../transaction.js';
import { fencedChange } from '../job/fenced.js';
import { OPEN } from '../job/kinds.js';
import type { ChainLease } from '../job/lease.js';
import { select } from '../page.js';
import { settleRestorePointOf } from './settlePoint.js';

/** SQL: the rows whose files may carry others: restore points, and expired backups whose files are still there. */
export const IS_LAYER = `(status = 'completed' OR (status = 'expired' AND file_removed_at IS NULL))`;

/** A layer as the database gives it; what services/chain makes of it is a `Layer`. */
export interface LayerRow {
  id: string;
  seq: string;
  chainId: string;
  restorePointId: string;
  vmContextId: string;
  diskId: number;
  repositoryId: string;
  parentId: string | null;
  type: BackupType | null;
  requestedType: RequestedType;
  status: 'completed' | 'expired';
  createdAt: Date;
  path: string | null;
  virtualSize: string | null;
  sizeBytes: string | null;
  contentId: string | null;
  changeId: string | null;
  sizeChanges: number | null;
  health: Health;
  damageLocated: number;
  contentWrongAt: Date | null;
  protected: number;
  inUse: number;
}

/** The layers of a chain, oldest first. Ask services/chain for them: it alone says what a layer is. @throws database_unavailable */
export async function layerRows(db: DataSource | EntityManager, chainId: string): Promise<LayerRow[]> {
  return select<LayerRow>(
    db,
    `SELECT b.id, b.seq, b.chain_id AS chainId, b.restore_point_id AS restorePointId, b.vm_context_id AS vmContextId,
            b.disk_id AS diskId, b.repository_id AS repositoryId, b.parent_backup_id AS parentId, b.backup_type AS type,
            b.requested_type AS requestedType, b.status, b.created_at AS createdAt, b.repository_path AS path,
            b.virtual_size AS virtualSize, b.size_bytes AS sizeBytes, b.content_id AS contentId, b.change_id AS changeId,
            b.size_changes AS sizeChanges, b.health, b.damage_located AS damageLocated, b.content_wrong_at AS contentWrongAt,
            ((b.protected_until IS NOT NULL AND b.protected_until > UTC_TIMESTAMP(3))
              OR COALESCE(b.completed_at + INTERVAL r.immutable_days DAY > UTC_TIMESTAMP(3), 0)) AS protected,
            EXISTS (SELECT 1 FROM restore_jobs j WHERE j.backup_id = b.id AND j.status IN ${OPEN}) AS inUse
     FROM (SELECT * FROM backup_jobs WHERE chain_id = ? AND ${IS_LAYER}) b JOIN repositories r ON r.id = b.repository_id
     ORDER BY b.seq`,
    [chainId],
  );
}

/** Rows of a chain that are no layers and name a file all the same, oldest first. @throws database_unavailable */
export async function rowsBesideLayers(
  ds: DataSource,
  chainId: string,
): Promise<{ id: string; status: JobStatus; path: string }[]> {
  return select(
    ds,
    `SELECT id, status, repository_path AS path FROM backup_jobs
     WHERE chain_id = ? AND repository_path IS NOT NULL AND NOT ${IS_LAYER} ORDER BY seq`,
    [chainId],
  );
}

/** Paths of images that backups of a chain have or had, relative to the root. @throws database_unavailable */
export async function pathsOfChain(db: DataSource | EntityManager, chainId: string): Promise<string[]> {
  const rows = await select<{ path: string }>(
    db,
    `SELECT repository_path AS path FROM backup_jobs
     WHERE chain_id = ? AND status IN ('completed', 'expired') AND repository_path IS NOT NULL`,
    [chainId],
  );
  return rows.map(({ path }) => path);
}

/** How a backup stands after its file was switched. */
export interface SwitchedLayer {
  backupId: string;
  backupType: BackupType;
  parentBackupId: string | null;
  sizeBytes: number;
}

/** All or nothing. @throws backup_in_use when one has been protected meanwhile, or is no restore point any more */
export async function markExpired(tx: EntityManager, chainId: string, ids: readonly string[]): Promise<void> {
  const expired: unknown = await tx.query(
    `UPDATE backup_jobs SET status = 'expired', expired_at = UTC_TIMESTAMP(3), successor_of = NULL
     WHERE chain_id = ? AND id IN (?) AND status = 'completed' AND (protected_until IS NULL OR protected_until <= UTC_TIMESTAMP(3))`,
    [chainId, ids],
  );
  if (affectedRows(expired) !== ids.length) {
    throw new StrataError('backup_in_use', 'A backup that was to be removed has been protected meanwhile.');
  }
  for (const id of ids) await settleRestorePointOf(tx, id);
}

/** Notes whose file is about to be switched, or that no file is. @throws lease_lost */
export async function markMerging(ds: DataSource, lease: ChainLease, backupId: string | null): Promise<void> {
  await fencedChange(ds, lease, async (tx) => {
    await tx.query('UPDATE backup_chains SET merging_backup_id = ? WHERE id = ?', [backupId, lease.chainId]);
  });
}

/** @throws wrong_state when the backup is no layer of the chain */
export async function switchLayer(tx: EntityManager, chainId: string, layer: SwitchedLayer): Promise<void> {
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
      chainId,
    ],
  );
  expectOneRow(changed, () => new StrataError('wrong_state', `Backup ${backupId} is no layer of the chain.`));
  // What deep validations have read was another file.
  await tx.query('DELETE FROM layer_proofs WHERE backup_id = ?', [backupId]);
  await tx.query('UPDATE backup_chains SET merging_backup_id = NULL WHERE id = ?', [chainId]);
}

export async function markFilesRemoved(
  tx: EntityManager,
  chainId: string,
  ids: readonly string[],
): Promise<void> {
  await tx.query(
    `UPDATE backup_jobs SET file_removed_at = UTC_TIMESTAMP(3) WHERE chain_id = ? AND id IN (?) AND status = 'expired'`,
    [chainId, ids],
  );
}

/** Where a chain ends and what it holds, as services/chain has worked it out in the same transaction. */
export async function writeHead(
  tx: EntityManager,
  chainId: string,
  head: { latest: string | null; full: string | null; points: number; bytes: number },
): Promise<void> {
  await tx.query(
    `UPDATE backup_chains SET latest_backup_id = ?, full_backup_id = ?, total_backups = ?, total_size_bytes = ? WHERE id = ?`,
    [head.latest, head.full, head.points, head.bytes, chainId],
  );
}
