import { type Delivery, JOB_KINDS, type JobKind, type JobStatus } from '../../shared/jobs.js';
import type { EntityManager } from 'typeorm';
import { StrataError } from '../../shared/errors.js';
import { affectedRows, expectOneRow, insertedId } from '../transaction.js';
import { type AllKinds, JOB_TABLES, KIND_FACTS, OPEN, type OverKinds } from './kinds.js';
import { firstOpen, type OpenJob, turnCandidates } from './openJobs.js';
import { type Effect, nextTurn, type Turn } from './order.js';

/**
 * Locks the chain's row and gives the next FIFO position. Positions are given under the lock, so their order is the
 * order in which the jobs were accepted, whatever their kind.
 * @param job.effect what the job does to the chain; a job that only reads passes jobs that cannot run now (order.ts)
 * @param job.awaits the job waits for its change list, and must not be released before
 * @returns `released` when the job has the next turn and wants a queue entry
 */
export async function takePosition(
  tx: EntityManager,
  chainId: string,
  job: { effect?: Effect; awaits?: boolean } = {},
): Promise<Position> {
  const { effect = 'changes', awaits = false } = job;
  const seq = await takeSeq(tx, chainId);
  // After the lock, so that it sees what the holder before has committed.
  const { sql, times } = IN_FRONT;
  const [inFront] = await tx.query<Record<string, number>[]>(
    sql,
    Array.from({ length: times }, () => chainId),
  );
  const isInFront = (kind: JobKind) => Number(inFront?.[kind]) === 1;
  const backupsInFront = isInFront('backup');
  if (awaits) return { seq, status: 'queued', backupsInFront };
  if (!JOB_KINDS.some(isInFront)) return { seq, status: 'released', backupsInFront };
  const passed = effect === 'changes' ? undefined : await passWaiting(tx, chainId, effect);
  return { seq, status: passed ? 'released' : 'queued', backupsInFront, ...(passed ? { passed } : {}) };
}

/** Locks the chain's row and counts its positions on. */
export async function takeSeq(tx: EntityManager, chainId: string): Promise<number> {
  const taken: unknown = await tx.query(
    'UPDATE backup_chains SET last_seq = LAST_INSERT_ID(last_seq + 1) WHERE id = ?',
    [chainId],
  );
  expectOneRow(taken, () => new StrataError('not_found', `There is no chain ${chainId}.`));
  return insertedId(taken);
}

/** Takes the turn for a job that is about to be added, where all in front of it cannot run now and may be passed. */
async function passWaiting(tx: EntityManager, chainId: string, effect: Effect): Promise<string | undefined> {
  const first = await firstOpen(tx, chainId);
  if (!first?.waits) return undefined;
  const newcomer = { effect, waits: false, dueInMs: 0 };
  if (nextTurn<Turn>([...(await turnCandidates(tx, chainId)), newcomer]) !== newcomer) return undefined;
  if (first.status === 'released') await demote(tx, first);
  return noteOfPassing(first);
}

/** A place in a chain's FIFO. */
export interface Position {
  seq: number;
  status: Extract<JobStatus, 'queued' | 'released'>;
  /** Whether backups are among the jobs in front. */
  backupsInFront: boolean;
  /** Which job was passed and what that job waits for, in words; absent where none was. */
  passed?: string;
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

/** Selects of a chain, kind by kind, whether it has an open job. */
export function selectInFront(kinds: AllKinds = KIND_FACTS): OverKinds {
  const columns = Object.entries(kinds).map(
    ([kind, { table }]) =>
      `EXISTS (SELECT 1 FROM ${table} WHERE chain_id = ? AND status IN ${OPEN}) AS \`${kind}\``,
  );
  return { sql: `SELECT ${columns.join(', ')}`, times: columns.length };
}

const IN_FRONT = selectInFront();

/**
 * Gives the chain's next job its turn: the first that can run (order.ts). A released job that waits gives its turn back.
 * The chain's row must be locked.
 * @returns the delivery that is owed after the commit; undefined where the job that has the turn keeps it
 */
export async function releaseHead(tx: EntityManager, chainId: string): Promise<Delivery | undefined> {
  const first = await firstOpen(tx, chainId);
  if (!first) return undefined;
  if (!first.waits) return first.status === 'queued' ? release(tx, first) : undefined;
  const next = nextTurn(await turnCandidates(tx, chainId));
  if (next?.status !== 'queued') return undefined;
  if (first.status === 'released') await demote(tx, first);
  return { ...(await release(tx, next)), ...(next.id === first.id ? {} : { note: noteOfPassing(first) }) };
}

async function release(tx: EntityManager, job: OpenJob): Promise<Delivery> {
  const result: unknown = await tx.query(
    `UPDATE ${JOB_TABLES[job.kind]} SET status = 'released' WHERE id = ? AND status = 'queued'`,
    [job.id],
  );
  expectOneRow(result, () => new StrataError('wrong_state', `Job ${job.id} is not queued any more.`));
  const delayMs = job.dueInMs ?? 0;
  return {
    kind: job.kind,
    jobId: job.id,
    pool: job.pool,
    delivery: job.delivery,
    delayMs,
    priority: job.priority,
    ...(delayMs > 0 ? { note: noteOfWaiting(job) } : {}),
  };
}

/** Takes the turn back from a job that waits. Its entry in the queue becomes a stale one; it gets another with its next turn. */
export async function demote(tx: EntityManager, job: Pick<OpenJob, 'kind' | 'id'>): Promise<void> {
  const aside: unknown = await tx.query(
    `UPDATE ${JOB_TABLES[job.kind]} SET status = 'queued', delivery = delivery + 1 WHERE id = ? AND status = 'released'`,
    [job.id],
  );
  expectOneRow(aside, () => new StrataError('wrong_state', `Job ${job.id} does not wait any more.`));
}

function noteOfWaiting({ errorCode, errorDetail }: OpenJob): string {
  return `waits, and is tried again: ${errorDetail ?? ''} [${errorCode ?? 'its change list'}]`;
}

function noteOfPassing(first: OpenJob): string {
  const why = first.dueInMs === null ? 'its change list' : `${first.errorDetail ?? ''} [${first.errorCode}]`;
  return `goes before ${first.id}, which waits: ${why}`;
}

/** Clears the lease that the job holds with this fence; nothing when it holds it no more. */
export async function clearLease(tx: EntityManager, chainId: string, fence: number): Promise<boolean> {
  const result: unknown = await tx.query(
    `UPDATE backup_chains SET lease_owner = NULL, lease_job_id = NULL, lease_until = NULL WHERE id = ? AND fence = ?`,
    [chainId, fence],
  );
  return affectedRows(result) === 1;
}
