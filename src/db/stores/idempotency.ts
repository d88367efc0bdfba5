import type { DataSource } from 'typeorm';
import { affectedRows } from '../transaction.js';
import { read } from './page.js';

/**
 * Forgets Idempotency-Keys that were used more than `days` days ago, `limit` at a time, so that the statement's locks
 * stay short.
 * @returns how many were forgotten; call again while it is `limit`
 */
export async function forgetOldKeys(ds: DataSource, days: number, limit: number): Promise<number> {
  const result = await read(() =>
    ds.query<unknown>(
      `DELETE FROM idempotency_keys WHERE created_at < UTC_TIMESTAMP(3) - INTERVAL ? DAY
       ORDER BY created_at LIMIT ${Math.trunc(limit)}`,
      [days],
    ),
  );
  return affectedRows(result);
}
