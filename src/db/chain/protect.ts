import { randomUUID } from 'node:crypto';
import type { DataSource, EntityManager } from 'typeorm';
import { StrataError } from '../../shared/errors.js';
import { affectedRows, inStatement, inTransaction } from '../transaction.js';
import { select } from '../page.js';

/** A change of a backup's protection that is still to be written into its repository. */
export interface PendingHold {
  backupId: string;
  changeId: string;
  /** Not to be removed before; null where nothing holds it any more, or its date has passed. */
  until: Date | null;
}

/**
 * Protects completed backups from removal until an instant, or no longer (null): one, or all of a restore point. What is about
 * to be removed is removed by a statement that asks for this, so one of the two comes first.
 * @throws wrong_state where none of them is completed
 */
export async function protect(
  ds: DataSource,
  what: { column: 'id' | 'restore_point_id'; id: string },
  until: Date | null,
): Promise<void> {
  await inTransaction(ds, async (tx) => {
    const result: unknown = await tx.query(
      `UPDATE backup_jobs SET protected_until = ? WHERE ${what.column} = ? AND status = 'completed'`,
      [until, what.id],
    );
    if (affectedRows(result) === 0)
      throw new StrataError('wrong_state', `${what.id} has no completed backup that could be protected.`);
    const rows = await tx.query<{ id: string }[]>(
      `SELECT id FROM backup_jobs WHERE ${what.column} = ? AND status = 'completed'`,
      [what.id],
    );
    for (const { id } of rows) await noteHoldChange(tx, id);
  });
}

/** Lets the record of a backup's protection be written again. */
export async function noteHoldChange(db: DataSource | EntityManager, backupId: string): Promise<void> {
  await inStatement(() =>
    db.query(
      `INSERT INTO hold_changes (backup_id, change_id) VALUES (?, ?)
       ON DUPLICATE KEY UPDATE change_id = VALUES(change_id)`,
      [backupId, randomUUID()],
    ),
  );
}

/** The changes of protections that are still to be written into a repository. */
export async function pendingHolds(ds: DataSource, repositoryId: string): Promise<PendingHold[]> {
  return select<PendingHold>(
    ds,
    `SELECT h.backup_id AS backupId, h.change_id AS changeId,
            IF(b.status = 'completed' AND b.protected_until > UTC_TIMESTAMP(3), b.protected_until, NULL) AS until
     FROM hold_changes h JOIN backup_jobs b ON b.id = h.backup_id WHERE b.repository_id = ?`,
    [repositoryId],
  );
}

/** Repositories in which a change of a protection is still to be written. */
export async function repositoriesWithPendingHolds(ds: DataSource): Promise<string[]> {
  const rows = await select<{ id: string }>(
    ds,
    'SELECT DISTINCT b.repository_id AS id FROM hold_changes h JOIN backup_jobs b ON b.id = h.backup_id',
  );
  return rows.map(({ id }) => id);
}

/** The repository has been told. @returns false where the protection was changed once more meanwhile */
export async function settleHoldChange(
  ds: DataSource,
  { backupId, changeId }: PendingHold,
): Promise<boolean> {
  const result: unknown = await inStatement(() =>
    ds.query('DELETE FROM hold_changes WHERE backup_id = ? AND change_id = ?', [backupId, changeId]),
  );
  return affectedRows(result) === 1;
}

/** Backups of a repository that are protected now, with the date; those with a change that is not settled are left out. */
export async function heldBackups(ds: DataSource, repositoryId: string): Promise<Map<string, Date>> {
  const rows = await select<{ id: string; until: Date }>(
    ds,
    `SELECT id, protected_until AS until FROM backup_jobs b
     WHERE repository_id = ? AND status = 'completed' AND protected_until > UTC_TIMESTAMP(3)
       AND NOT EXISTS (SELECT 1 FROM hold_changes h WHERE h.backup_id = b.id)`,
    [repositoryId],
  );
  return new Map(rows.map(({ id, until }) => [id, until]));
}

/**
 * Protects a completed backup for longer, as its repository says it is: the catalogue may be an older copy. A change that is
 * not settled has precedence.
 * @returns whether the catalogue had it otherwise
 */
export async function adoptHold(ds: DataSource, backupId: string, until: Date): Promise<boolean> {
  const result: unknown = await inStatement(() =>
    ds.query(
      `UPDATE backup_jobs b SET b.protected_until = ? WHERE b.id = ? AND b.status = 'completed'
         AND (b.protected_until IS NULL OR b.protected_until < ?)
         AND NOT EXISTS (SELECT 1 FROM hold_changes h WHERE h.backup_id = b.id)`,
      [until, backupId, until],
    ),
  );
  return affectedRows(result) === 1;
}

/** Of these backups, those that the catalogue knows and holds no longer. */
export async function knownUnheld(ds: DataSource, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const rows = await select<{ id: string }>(
    ds,
    `SELECT id FROM backup_jobs WHERE id IN (?) AND NOT (status = 'completed' AND COALESCE(protected_until > UTC_TIMESTAMP(3), 0))`,
    [ids],
  );
  return rows.map(({ id }) => id);
}
