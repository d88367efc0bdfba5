import { OPEN } from '../job/kinds.js';
import type { DataSource, EntityManager } from 'typeorm';
import type { ValidationLevel } from '../../entities/index.js';
import { affectedRows, asking } from '../transaction.js';
import { select } from '../page.js';

/** What a repository says about the validation of its chains, and how far its cadence is. */
export interface RepositoryCadence {
  id: string;
  name: string;
  /** 0: never. */
  quickHours: number;
  deepDays: number;
  bytesPerHour: number | null;
  quickNextAt: Date | null;
  deepNextAt: Date | null;
  /** The database's clock. */
  now: Date;
}

const COLUMNS = `id, name, validate_quick_hours AS quickHours, validate_deep_days AS deepDays,
  validate_bytes_per_hour AS bytesPerHour, quick_next_at AS quickNextAt, deep_next_at AS deepNextAt, UTC_TIMESTAMP(3) AS now`;

/** All repositories, or one. */
export async function readCadences(ds: DataSource, id?: string): Promise<RepositoryCadence[]> {
  const rows = await select<Omit<RepositoryCadence, 'bytesPerHour'> & { bytesPerHour: string | null }>(
    ds,
    `SELECT ${COLUMNS} FROM repositories ${id === undefined ? '' : 'WHERE id = ?'} ORDER BY id`,
    id === undefined ? [] : [id],
  );
  return rows.map((row) => ({
    ...row,
    bytesPerHour: row.bytesPerHour === null ? null : Number(row.bytesPerHour),
  }));
}

/** A chain with backups, and when it was validated. */
export interface ValidatedChain {
  id: string;
  sizeBytes: number;
  quickAt: Date | null;
  deepAt: Date | null;
  /** When its oldest backup completed. */
  since: Date;
}

/** Chains of a repository that have backups. */
export async function validatedChains(ds: DataSource, repositoryId: string): Promise<ValidatedChain[]> {
  const rows = await select<Omit<ValidatedChain, 'sizeBytes'> & { sizeBytes: string }>(
    ds,
    `SELECT c.id, c.total_size_bytes AS sizeBytes, c.last_validated_at AS quickAt, c.deep_validated_at AS deepAt,
            COALESCE((SELECT b.completed_at FROM backup_jobs b WHERE b.chain_id = c.id AND b.status = 'completed'
                      ORDER BY b.seq LIMIT 1), UTC_TIMESTAMP(3)) AS since
     FROM backup_chains c JOIN vm_contexts v ON v.vm_context_id = c.vm_context_id
     WHERE v.repository_id = ? AND c.total_backups > 0`,
    [repositoryId],
  );
  return rows.map((row) => ({ ...row, sizeBytes: Number(row.sizeBytes) }));
}

/** A validation that is open, or that has come to nothing. */
export interface ValidationAttempt {
  chainId: string;
  level: ValidationLevel;
  scheduled: boolean;
  /** Null while it is open. */
  endedAt: Date | null;
}

/** Validations of a repository that are open, or failed or were cancelled in the last `days` days. */
export async function validationAttempts(
  ds: DataSource,
  repositoryId: string,
  days: number,
): Promise<ValidationAttempt[]> {
  const rows = await select<Omit<ValidationAttempt, 'scheduled'> & { scheduled: number }>(
    ds,
    `SELECT chain_id AS chainId, JSON_UNQUOTE(JSON_EXTRACT(params, '$.level')) AS level,
            COALESCE(JSON_EXTRACT(params, '$.scheduled'), 'false') = 'true' AS scheduled,
            IF(status IN ${OPEN}, NULL, completed_at) AS endedAt
     FROM maintenance_jobs WHERE repository_id = ? AND type = 'validate'
       AND (status IN ${OPEN}
         OR (status IN ('failed', 'cancelled') AND completed_at > UTC_TIMESTAMP(3) - INTERVAL ? DAY))`,
    [repositoryId, days],
  );
  return rows.map((row) => ({ ...row, scheduled: Number(row.scheduled) === 1 }));
}

/**
 * Notes until when a level begins nothing more, if nobody else has since it was read: of two keepers one begins.
 * @returns false where somebody was quicker; then nothing may be begun
 */
export async function claimCadence(
  ds: DataSource,
  { id, quickNextAt, deepNextAt }: RepositoryCadence,
  level: ValidationLevel,
  until: Date,
): Promise<boolean> {
  const column = level === 'quick' ? 'quick_next_at' : 'deep_next_at';
  const result = await asking(() =>
    ds.query<unknown>(`UPDATE repositories SET ${column} = ? WHERE id = ? AND ${column} <=> ?`, [
      until,
      id,
      level === 'quick' ? quickNextAt : deepNextAt,
    ]),
  );
  return affectedRows(result) === 1;
}

/** Notes that all of a chain has been read and compared since `since`. In the transaction that ends the validation. */
export async function noteDeep(tx: EntityManager, chainId: string, since: Date): Promise<void> {
  await tx.query('UPDATE backup_chains SET deep_validated_at = ? WHERE id = ?', [since, chainId]);
}

/** How many chains of a repository have which health. */
export async function countHealth(ds: DataSource, repositoryId: string): Promise<Map<string, number>> {
  const rows = await select<{ health: string; n: string }>(
    ds,
    `SELECT c.health, COUNT(*) AS n FROM backup_chains c JOIN vm_contexts v ON v.vm_context_id = c.vm_context_id
     WHERE v.repository_id = ? AND c.total_backups > 0 GROUP BY c.health`,
    [repositoryId],
  );
  return new Map(rows.map(({ health, n }) => [health, Number(n)]));
}

/** How many completed backups of a repository are not `ok`, by health. Those of chains that are `ok` need no look. */
export async function countIllBackups(ds: DataSource, repositoryId: string): Promise<Map<string, number>> {
  const rows = await select<{ health: string; n: string }>(
    ds,
    `SELECT b.health, COUNT(*) AS n FROM backup_chains c JOIN vm_contexts v ON v.vm_context_id = c.vm_context_id
     JOIN backup_jobs b ON b.chain_id = c.id
     WHERE v.repository_id = ? AND c.health <> 'ok' AND b.status = 'completed' AND b.health <> 'ok' GROUP BY b.health`,
    [repositoryId],
  );
  return new Map(rows.map(({ health, n }) => [health, Number(n)]));
}
