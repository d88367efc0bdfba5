import { OPEN } from './kinds.js';
import type { DataSource, EntityManager } from 'typeorm';
import { asking } from '../transaction.js';
import type { ChainLease } from './lease.js';
import { turnCandidates } from './openJobs.js';
import { nextTurn } from './order.js';

/** True when a backup or a restore stands behind the chain's running job that could run now. */
export async function isAnotherWaiting(ds: DataSource, chainId: string): Promise<boolean> {
  return asking(async () => {
    const queued = (await turnCandidates(ds.manager, chainId)).filter(({ status }) => status === 'queued');
    if (queued.every(({ kind }) => kind === 'maintenance')) return false;
    const next = nextTurn(queued);
    return next !== undefined && !next.waits;
  });
}

/** True when a job that only reads stands behind the chain's running job and could run now. */
export async function isReadWaiting(ds: DataSource, chainId: string): Promise<boolean> {
  return asking(async () =>
    (await turnCandidates(ds.manager, chainId)).some(
      ({ status, effect, waits }) => status === 'queued' && effect === 'reads' && !waits,
    ),
  );
}

/** The first backup that was accepted before a running restore and has not ended; undefined where the restore has passed none. */
export async function passedBackup(ds: DataSource, lease: ChainLease): Promise<string | undefined> {
  const rows = await asking(() =>
    ds.query<{ id: string }[]>(
      `SELECT b.id FROM backup_jobs b JOIN restore_jobs r ON r.chain_id = b.chain_id AND b.seq < r.seq
       WHERE r.id = ? AND b.status IN ${OPEN} ORDER BY b.seq LIMIT 1`,
      [lease.jobId],
    ),
  );
  return rows[0]?.id;
}

/** Backups that no worker has taken yet. Counting stops at the limit: nobody asks for what is beyond it. */
export async function countWaitingBackups(tx: EntityManager, limit: number): Promise<number> {
  const rows = await tx.query<{ n: string }[]>(
    `SELECT COUNT(*) AS n FROM (SELECT 1 FROM backup_jobs WHERE status IN ('queued', 'released') LIMIT ${limit}) waiting`,
  );
  return Number(rows[0]?.n ?? 0);
}
