import type { EntityManager } from '../../db/database.js';
import { StrataError } from '../../shared/errors.js';

/**
 * Back pressure: refuses new work while too many backups wait.
 * @throws backlog_full
 */
export async function assertBacklog(tx: EntityManager, limit: number): Promise<void> {
  // Counting stops at the limit, so that the check costs the same however long the backlog is.
  const rows = await tx.query<{ n: string }[]>(
    `SELECT COUNT(*) AS n FROM (SELECT 1 FROM backup_jobs WHERE status IN ('queued', 'released') LIMIT ${limit}) waiting`,
  );
  if (Number(rows[0]?.n ?? 0) >= limit)
    throw new StrataError('backlog_full', `${limit} backups are waiting already.`);
}
