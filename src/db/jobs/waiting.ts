import type { DataSource } from 'typeorm';
import { select } from '../stores/page.js';

/** True when a backup or a restore waits behind the chain's running job. */
export async function isAnotherWaiting(ds: DataSource, chainId: string): Promise<boolean> {
  const rows = await select(
    ds,
    `SELECT 1 FROM backup_jobs WHERE chain_id = ? AND status = 'queued'
     UNION ALL SELECT 1 FROM restore_jobs WHERE chain_id = ? AND status = 'queued' LIMIT 1`,
    [chainId, chainId],
  );
  return rows.length > 0;
}
