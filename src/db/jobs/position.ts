import type { EntityManager } from 'typeorm';
import type { JobKind, JobStatus } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { affectedRows, expectOneRow, insertedId } from '../transaction.js';
import { type Delivery, JOB_KINDS, JOB_TABLES } from './kinds.js';

/** States of the jobs that are in front of the next one. */
const UNFINISHED = `('queued', 'released', 'running')`;

/**
 * Locks the chain's row and gives the next FIFO position. Positions are given under the lock, so their order is the
 * order in which the jobs were accepted, whatever their kind.
 * @param awaits the job waits for its change list, and must not be released before
 * @returns `released` when nothing is in front of the job: it is the head and wants a queue entry
 */
export async function takePosition(tx: EntityManager, chainId: string, awaits = false): Promise<Position> {
  const taken: unknown = await tx.query(
    'UPDATE backup_chains SET last_seq = LAST_INSERT_ID(last_seq + 1) WHERE id = ?',
    [chainId],
  );
  expectOneRow(taken, () => new StrataError('not_found', `There is no chain ${chainId}.`));
  // After the lock, so that it sees what the holder before has committed.
  const [inFront] = await tx.query<{ backups: number; others: number }[]>(
    `SELECT ${anyUnfinished('backup')} AS backups, ${anyUnfinished('maintenance')} OR ${anyUnfinished('restore')} AS others`,
    JOB_KINDS.map(() => chainId),
  );
  const backupsInFront = Number(inFront?.backups) === 1;
  const nothingInFront = !backupsInFront && Number(inFront?.others) === 0;
  return {
    seq: insertedId(taken),
    status: nothingInFront && !awaits ? 'released' : 'queued',
    backupsInFront,
  };
}

/** A place in a chain's FIFO. */
export interface Position {
  seq: number;
  status: Extract<JobStatus, 'queued' | 'released'>;
  /** Whether backups are among the jobs in front. */
  backupsInFront: boolean;
}

export interface LockedChain {
  id: string;
  last_seq: string;
  fence: string;
  committed: string;
  lease_owner: string | null;
  lease_job_id: string | null;
  lease_until: Date | null;
  full_backup_id: string | null;
  latest_backup_id: string | null;
  /** 1 while the lease has not run out, by the database's clock. */
  lease_live: number;
}

/** SELECT ... FOR UPDATE of the chain: the one lock that orders everything on it. */
export async function lockChain(tx: EntityManager, chainId: string): Promise<LockedChain> {
  const chain = await selectChain(tx, chainId, 'FOR UPDATE');
  if (!chain) throw new StrataError('not_found', `There is no chain ${chainId}.`);
  return chain;
}

/**
 * The same for the keeper, which must not wait: undefined where another holds the lock, perhaps a worker that was
 * frozen in the middle of a transaction.
 */
export async function tryLockChain(tx: EntityManager, chainId: string): Promise<LockedChain | undefined> {
  return selectChain(tx, chainId, 'FOR UPDATE SKIP LOCKED');
}

async function selectChain(
  tx: EntityManager,
  chainId: string,
  lock: string,
): Promise<LockedChain | undefined> {
  const rows = await tx.query<LockedChain[]>(
    `SELECT id, last_seq, fence, committed, lease_owner, lease_job_id, lease_until, full_backup_id,
            latest_backup_id, (lease_until IS NOT NULL AND lease_until > UTC_TIMESTAMP(3)) AS lease_live
     FROM backup_chains WHERE id = ? ${lock}`,
    [chainId],
  );
  return rows[0];
}

function anyUnfinished(kind: JobKind): string {
  return `EXISTS (SELECT 1 FROM ${JOB_TABLES[kind]} WHERE chain_id = ? AND status IN ${UNFINISHED})`;
}

/**
 * Releases the lowest queued job of the chain if none is released or running, unless it still waits for its change list:
 * then the chain waits with it. The chain's row must be locked.
 * @returns the delivery that the caller owes after the commit; the sweeper makes up for a crash in between
 */
export async function releaseHead(tx: EntityManager, chainId: string): Promise<Delivery | undefined> {
  const open = JOB_KINDS.map(
    (kind) =>
      `SELECT '${kind}' AS kind, j.id, j.seq, j.status, j.delivery, j.priority, r.pool,
              ${kind === 'backup' ? 'j.awaits_extents_until IS NOT NULL' : '0'} AS awaits
       FROM ${JOB_TABLES[kind]} j JOIN repositories r ON r.id = j.repository_id
       WHERE j.chain_id = ? AND j.status IN ${UNFINISHED}`,
  );
  const rows = await tx.query<OpenJob[]>(
    `SELECT * FROM (${open.join(' UNION ALL ')}) open_jobs ORDER BY seq LIMIT 1`,
    JOB_KINDS.map(() => chainId),
  );
  const head = rows[0];
  if (head?.status !== 'queued' || Number(head.awaits) === 1) return undefined;
  const result: unknown = await tx.query(
    `UPDATE ${JOB_TABLES[head.kind]} SET status = 'released' WHERE id = ? AND status = 'queued'`,
    [head.id],
  );
  expectOneRow(result, () => new StrataError('wrong_state', `Job ${head.id} is not queued any more.`));
  return {
    kind: head.kind,
    jobId: head.id,
    pool: head.pool,
    delivery: head.delivery,
    delayMs: 0,
    priority: head.priority,
  };
}

interface OpenJob {
  kind: Delivery['kind'];
  id: string;
  seq: string;
  status: JobStatus;
  delivery: number;
  priority: number;
  pool: string;
  awaits: number;
}

/** Clears the lease that the job holds with this fence; nothing when it holds it no more. */
export async function clearLease(tx: EntityManager, chainId: string, fence: number): Promise<boolean> {
  const result: unknown = await tx.query(
    `UPDATE backup_chains SET lease_owner = NULL, lease_job_id = NULL, lease_until = NULL WHERE id = ? AND fence = ?`,
    [chainId, fence],
  );
  return affectedRows(result) === 1;
}
