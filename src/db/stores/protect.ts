import type { DataSource } from 'typeorm';
import { StrataError } from '../../shared/errors.js';
import { affectedRows } from '../transaction.js';
import { read } from './page.js';

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
  const result = await read(() =>
    ds.query<unknown>(
      `UPDATE backup_jobs SET protected_until = ? WHERE ${what.column} = ? AND status = 'completed'`,
      [until, what.id],
    ),
  );
  if (affectedRows(result) > 0) return;
  throw new StrataError('wrong_state', `${what.id} has no completed backup that could be protected.`);
}
