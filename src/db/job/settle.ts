import type { Delivery, JobKind, JobStatus } from '../../shared/jobs.js';
import type { DataSource, EntityManager } from 'typeorm';
import { StrataError } from '../../shared/errors.js';
import { affectedRows, expectOneRow, inTransaction } from '../transaction.js';
import { closeJob } from './close.js';
import { JOB_TABLES } from './kinds.js';
import { type ChainLease, leaseLost } from './lease.js';
import { clearLease, lockChain, releaseHead, takeSeq } from './position.js';

export interface JobFailure {
  code: string;
  detail: string;
}

/**
 * Ends a running job as failed or cancelled, gives the lease back and releases the next job of the chain: a failed
 * job must not block the chain.
 * @throws lease_lost when the fence has moved on; then nothing is changed
 */
export async function endUnsuccessfully(
  ds: DataSource,
  lease: ChainLease,
  status: Extract<JobStatus, 'failed' | 'cancelled'>,
  failure: JobFailure,
): Promise<Delivery | undefined> {
  return inTransaction(ds, async (tx) => {
    await lockChain(tx, lease.chainId);
    await leaveRunning(
      tx,
      lease,
      'status = ?, error_code = ?, error_detail = ?, completed_at = UTC_TIMESTAMP(3)',
      [status, failure.code, failure.detail.slice(0, 16_000)],
    );
    if (!(await clearLease(tx, lease.chainId, lease.fence))) throw leaseLost(lease, 'commit');
    await closeJob(tx, lease.kind, lease.jobId, status);
    return releaseHead(tx, lease.chainId);
  });
}

/** Ends a running job of another kind than backup as completed, with its report. */
export async function completeWithResult(
  ds: DataSource,
  lease: ChainLease,
  result: Record<string, unknown>,
  also?: (tx: EntityManager) => Promise<void>,
): Promise<Delivery | undefined> {
  return inTransaction(ds, async (tx) => {
    await commitFence(tx, lease);
    await leaveRunning(
      tx,
      lease,
      `status = 'completed', result = ?, error_code = NULL, error_detail = NULL, completed_at = UTC_TIMESTAMP(3)`,
      [JSON.stringify(result)],
    );
    await also?.(tx);
    await closeJob(tx, lease.kind, lease.jobId, 'completed');
    return releaseHead(tx, lease.chainId);
  });
}

/**
 * Gives a running job's turn back, to be had again after `delayMs`. Meanwhile a job that only reads may have it (order.ts).
 * @param keepAttempt false where the interruption was not the job's fault: the attempt is not counted
 * @returns the delivery of the job that has the turn now: this one, or another that goes before it
 */
export async function releaseAgain(
  ds: DataSource,
  lease: ChainLease,
  options: { delayMs: number; keepAttempt: boolean; failure: JobFailure },
): Promise<Delivery | undefined> {
  return inTransaction(ds, async (tx) => {
    await lockChain(tx, lease.chainId);
    await leaveRunning(
      tx,
      lease,
      `status = 'queued', delivery = delivery + 1, attempts = attempts - ?, error_code = ?, error_detail = ?,
       not_before = UTC_TIMESTAMP(3) + INTERVAL IF(cancel_requested = 1, 0, ?) MICROSECOND`,
      [
        options.keepAttempt ? 0 : 1,
        options.failure.code,
        options.failure.detail.slice(0, 16_000),
        options.delayMs * 1000,
      ],
    );
    if (!(await clearLease(tx, lease.chainId, lease.fence))) throw leaseLost(lease, 'commit');
    const next = await releaseHead(tx, lease.chainId);
    if (next?.jobId !== lease.jobId) return next;
    return { ...next, first: options.delayMs === 0 && !options.keepAttempt };
  });
}

export type CancelOutcome = { status: JobStatus; accepted: boolean; next: Delivery | undefined };

/**
 * Cancels a waiting job at once; asks a running one to stop, which its lease renewal notices.
 * A finished job is left as it is (`accepted` false).
 */
export async function cancelJob(ds: DataSource, kind: JobKind, jobId: string): Promise<CancelOutcome> {
  const table = JOB_TABLES[kind];
  return inTransaction(ds, async (tx) => {
    const found = await tx.query<{ chain_id: string }[]>(`SELECT chain_id FROM ${table} WHERE id = ?`, [
      jobId,
    ]);
    const chainId = found[0]?.chain_id;
    if (!chainId) throw new StrataError('not_found', `There is no job ${jobId}.`);
    await lockChain(tx, chainId);
    const waiting: unknown = await tx.query(
      `UPDATE ${table} SET status = 'cancelled', error_code = 'cancelled', completed_at = UTC_TIMESTAMP(3)
       WHERE id = ? AND status IN ('queued', 'released')`,
      [jobId],
    );
    if (affectedRows(waiting) === 1) {
      await closeJob(tx, kind, jobId, 'cancelled');
      return { status: 'cancelled', accepted: true, next: await releaseHead(tx, chainId) };
    }
    const running: unknown = await tx.query(
      `UPDATE ${table} SET cancel_requested = 1 WHERE id = ? AND status = 'running'`,
      [jobId],
    );
    const rows = await tx.query<{ status: JobStatus }[]>(`SELECT status FROM ${table} WHERE id = ?`, [jobId]);
    return { status: rows[0]?.status ?? 'failed', accepted: affectedRows(running) === 1, next: undefined };
  });
}

/** The commit's first statement: exactly one row, or a newer lease exists and nothing may be written. */
async function commitFence(tx: EntityManager, lease: ChainLease): Promise<void> {
  const result: unknown = await tx.query(
    `UPDATE backup_chains SET committed = ?, lease_owner = NULL, lease_job_id = NULL, lease_until = NULL
     WHERE id = ? AND fence = ? AND committed < ?`,
    [lease.fence, lease.chainId, lease.fence, lease.fence],
  );
  expectOneRow(result, () => leaseLost(lease, 'commit'));
}

/** The guarded transition out of `running`. */
export async function leaveRunning(
  tx: EntityManager,
  lease: ChainLease,
  set: string,
  values: unknown[],
): Promise<void> {
  const result: unknown = await tx.query(
    `UPDATE ${JOB_TABLES[lease.kind]} SET ${set} WHERE id = ? AND fence = ? AND status = 'running'`,
    [...values, lease.jobId, lease.fence],
  );
  expectOneRow(result, () => leaseLost(lease, 'commit'));
}

/**
 * Puts a running job behind all that wait for its chain, and gives the lease back: for long work that goes on where it was
 * (docs/validation.md). Each turn is a first attempt: neither attempts nor the deadline count over them.
 * @returns the next head of the chain: the job itself where nobody waits
 * @throws lease_lost when the fence has moved on; then nothing is changed
 */
export async function yieldChain(
  ds: DataSource,
  lease: ChainLease,
  failure: JobFailure,
): Promise<Delivery | undefined> {
  return inTransaction(ds, async (tx) => {
    const seq = await takeSeq(tx, lease.chainId);
    await leaveRunning(
      tx,
      lease,
      `status = 'queued', seq = ?, delivery = delivery + 1, attempts = attempts - 1, started_at = NULL,
       error_code = ?, error_detail = ?`,
      [seq, failure.code, failure.detail],
    );
    if (!(await clearLease(tx, lease.chainId, lease.fence))) throw leaseLost(lease, 'commit');
    return releaseHead(tx, lease.chainId);
  });
}
