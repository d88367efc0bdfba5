import { isOpen, type JobStatus } from '../../shared/jobs.js';
import type { EntityManager } from '../../db/database.js';
import { StrataError } from '../../shared/errors.js';

/** Whose backups are to go. */
export interface RemovalTarget {
  kind: 'backup' | 'restore_point' | 'vm' | 'repository';
  id: string;
}

/** Column of the backups that names the target, and the table in which it must exist. */
const PLACES: Record<RemovalTarget['kind'], { column: string; table: string; key: string; what: string }> = {
  backup: { column: 'id', table: 'backup_jobs', key: 'id', what: 'backup' },
  restore_point: { column: 'restore_point_id', table: 'restore_points', key: 'id', what: 'restore point' },
  vm: { column: 'vm_context_id', table: 'vm_contexts', key: 'vm_context_id', what: 'VM' },
  repository: { column: 'repository_id', table: 'repositories', key: 'id', what: 'repository' },
};

/**
 * The completed backups of a target, chain by chain, and the newest of them.
 * @throws not_found; wrong_state when a backup or point is not completed, or has open jobs
 */
export async function selectRemoval(
  tx: EntityManager,
  target: RemovalTarget,
): Promise<{ chains: Map<string, string[]>; latest: string | null }> {
  const { column, table, key, what } = PLACES[target.kind];
  const found = await tx.query<unknown[]>(`SELECT 1 FROM ${table} WHERE ${key} = ?`, [target.id]);
  if (found.length === 0) throw new StrataError('not_found', `There is no ${what} ${target.id}.`);
  const rows = await tx.query<{ id: string; chain_id: string; status: JobStatus }[]>(
    `SELECT id, chain_id, status FROM backup_jobs WHERE ${column} = ? ORDER BY completed_at, id`,
    [target.id],
  );
  const open = rows.find(({ status }) => isOpen(status));
  if (open) {
    throw new StrataError(
      'wrong_state',
      `Backup ${open.id} is ${open.status}: cancel it, or wait for its end.`,
    );
  }
  const completed = rows.filter(({ status }) => status === 'completed');
  if (completed.length === 0 && (target.kind === 'backup' || target.kind === 'restore_point')) {
    throw new StrataError(
      'wrong_state',
      `The ${what} ${target.id} has no completed backup that could be removed.`,
    );
  }
  const chains = new Map<string, string[]>();
  for (const { id, chain_id } of completed) chains.set(chain_id, [...(chains.get(chain_id) ?? []), id]);
  return { chains, latest: completed.at(-1)?.id ?? null };
}
