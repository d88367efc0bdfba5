import { addMaintenanceJob } from '../../src/db/job/addJob.js';
import type { DataSource } from 'typeorm';
import { acquireLease } from '../../src/db/job/acquire.js';
import { commitBackup } from '../../src/db/job/commitBackup.js';
import { JOB_TABLES, kindOfJob } from '../../src/db/job/kinds.js';
import type { ChainLease } from '../../src/db/job/lease.js';
import { takePosition } from '../../src/db/job/position.js';
import { completeWithResult, releaseAgain } from '../../src/db/job/settle.js';
import { inTransaction } from '../../src/db/transaction.js';
import { newId } from '../../src/shared/ids.js';
import { addVm, publishedFull } from './rows.js';

/** Why a job waits, and for how long. */
const NO_SPACE = { code: 'no_space', detail: 'Repository x has no room.' };
export const WAIT_MS = 60_000;

/** A chain, and the ways in which jobs of it are accepted and worked on. */
export async function openTurnChain({ ds }: { ds: DataSource }, name: string) {
  const { ids, insertBackup } = await addVm(ds, name);
  const { chainId, repositoryId } = ids;
  const row = async (id: string) => {
    const [found] = await ds.query<{ status: string; delivery: number; seq: string }[]>(
      `SELECT status, delivery, seq FROM ${JOB_TABLES[kindOfJob(id) ?? 'backup']} WHERE id = ?`,
      [id],
    );
    if (!found) throw new Error(`There is no ${id}.`);
    return found;
  };
  const acquire = async (jobId: string, delivery?: number) =>
    acquireLease(ds, {
      kind: kindOfJob(jobId) ?? 'backup',
      jobId,
      delivery: delivery ?? (await row(jobId)).delivery,
      owner: 'a',
      leaseMs: 60_000,
    });
  const begin = async (jobId: string): Promise<ChainLease> => {
    const acquired = await acquire(jobId);
    if (acquired.outcome !== 'acquired') throw new Error(`${jobId}: ${acquired.outcome}`);
    return acquired.lease;
  };
  return {
    chainId,
    row,
    acquire,
    begin,
    status: async (id: string) => (await row(id)).status,
    backup: async (awaits = false) => {
      const { status } = await inTransaction(ds, async (tx) => {
        const place = await takePosition(tx, chainId, { effect: 'adds', awaits });
        // The helper counts on by itself.
        await tx.query('UPDATE backup_chains SET last_seq = last_seq - 1 WHERE id = ?', [chainId]);
        return place;
      });
      const id = await insertBackup({ type: null, status, parent: null });
      if (awaits)
        await ds.query(
          'UPDATE backup_jobs SET awaits_extents_until = UTC_TIMESTAMP(3) + INTERVAL 1 HOUR WHERE id = ?',
          [id],
        );
      return id;
    },
    restore: async (of: string) => {
      const id = newId('rst', new Date());
      await inTransaction(ds, async (tx) => {
        const { seq, status } = await takePosition(tx, chainId, { effect: 'reads' });
        await tx.query(
          `INSERT INTO restore_jobs (id, chain_id, seq, status, created_at, repository_id, backup_id, target, format)
             VALUES (?, ?, ?, ?, UTC_TIMESTAMP(3), ?, ?, '{}', 'raw')`,
          [id, chainId, seq, status, repositoryId, of],
        );
      });
      return id;
    },
    maintenance: async (type: 'validate' | 'consolidate') =>
      inTransaction(ds, async (tx) => {
        const params = type === 'validate' ? { level: 'quick' as const } : { remove: [] };
        return (await addMaintenanceJob(tx, { chainId, type, params, now: new Date() })).id;
      }),
    waits: async (lease: ChainLease, delayMs = WAIT_MS, failure = NO_SPACE) =>
      releaseAgain(ds, lease, { delayMs, keepAttempt: false, failure }),
    ends: (lease: ChainLease) =>
      lease.kind === 'backup'
        ? commitBackup(ds, lease, { ...publishedFull(lease.jobId), contentId: lease.jobId })
        : completeWithResult(ds, lease, {}),
    isDue: (id: string) =>
      ds.query(`UPDATE ${JOB_TABLES[kindOfJob(id) ?? 'backup']} SET not_before = NULL WHERE id = ?`, [id]),
  };
}
