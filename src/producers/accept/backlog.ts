import { StrataError } from '../../shared/errors.js';
import type { AcceptDeps } from './deps.js';

/**
 * Back pressure: refuses new work while too many backups wait.
 * @throws backlog_full
 */
export async function assertBacklog(deps: AcceptDeps): Promise<void> {
  // Counting stops at the limit, so that the check costs the same however long the backlog is.
  const rows = await deps.ds.query<{ n: string }[]>(
    `SELECT COUNT(*) AS n FROM (SELECT 1 FROM backup_jobs WHERE status IN ('queued', 'released') LIMIT ${deps.settings.backlogLimit}) waiting`,
  );
  if (Number(rows[0]?.n ?? 0) >= deps.settings.backlogLimit) {
    throw new StrataError('backlog_full', `${deps.settings.backlogLimit} backups are waiting already.`);
  }
}
