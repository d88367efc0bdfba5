import type { DataSource, EntityManager } from 'typeorm';
import type { JobKind, JobStatus } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { asDatabaseError, asking, expectOneRow, inTransaction } from '../transaction.js';
import { closeJob } from './close.js';
import { type Delivery, JOB_TABLES } from './kinds.js';
import { type LockedChain, lockChain, releaseHead } from './position.js';
import { RATE_COLUMNS, rateOfRow, type RateRow } from './rate.js';
import { beginRestorePointOf } from './restorePoints.js';
import { takeSlot } from './slots.js';

/** A lease on a chain: the right to work on it for `leaseMs` from the last renewal, and the fence that proves it. */
export interface ChainLease {
  chainId: string;
  jobId: string;
  kind: JobKind;
  owner: string;
  fence: number;
  /** 1 for the first attempt; attempts that ended with their worker are not counted here. */
  attempt: number;
  /** Workers that died at it. */
  deaths: number;
  repositoryId: string;
}

/** Under which conditions a job runs. */
export interface JobTerms {
  /** What it may move now, in bytes per second; null: no limit. Renewals tell how it changes. */
  rate: number | null;
  /** Its own deadline, in ms from the start of its first attempt; null where the request named none. */
  deadlineMs: number | null;
  /** Milliseconds since its first attempt began, by the database's clock; 0 in the first. */
  ageMs: number;
  /** Why the attempt before this one ended, as code and sentence; null in the first. */
  lastError: string | null;
}

export type Acquired =
  | { outcome: 'acquired'; lease: ChainLease; terms: JobTerms }
  /** Finished, or waiting behind others, or delivered by a newer queue entry: nothing to do here. */
  | { outcome: 'nothing_to_do'; status: JobStatus; next: Delivery | undefined }
  /** Another process holds the lease and it has not run out. */
  | { outcome: 'held' }
  /** The repository has no free slot; the job gets a new queue entry when it has. */
  | { outcome: 'parked' };

export interface AcquireOptions {
  kind: JobKind;
  jobId: string;
  delivery: number;
  owner: string;
  leaseMs: number;
}

/**
 * Takes the chain's lease for a released job, or for a running one whose holder is dead (its lease has run out).
 * The fence grows by one with every acquisition.
 */
export async function acquireLease(ds: DataSource, options: AcquireOptions): Promise<Acquired> {
  const table = JOB_TABLES[options.kind];
  return inTransaction(ds, async (tx) => {
    const found = await tx.query<(RateRow & { chain_id: string })[]>(
      `SELECT j.chain_id, ${RATE_COLUMNS} FROM ${table} j JOIN repositories r ON r.id = j.repository_id WHERE j.id = ?`,
      [options.jobId],
    );
    const unlocked = found[0];
    if (!unlocked) throw new StrataError('not_found', `There is no job ${options.jobId}.`);
    const chainId = unlocked.chain_id;
    const chain = await lockChain(tx, chainId);
    const jobs = await tx.query<LockedJob[]>(
      `SELECT status, attempts, deaths, delivery, repository_id, cancel_requested, deadline_seconds, error_code, error_detail,
              COALESCE(TIMESTAMPDIFF(MICROSECOND, started_at, UTC_TIMESTAMP(3)) DIV 1000, 0) AS age_ms
       FROM ${table} WHERE id = ? FOR UPDATE`,
      [options.jobId],
    );
    const job = jobs[0];
    if (!job) throw new StrataError('not_found', `There is no job ${options.jobId}.`);
    const mayRun = job.status === 'released' || job.status === 'running';
    if (!mayRun) {
      // A queued job has no business here; an ended one may owe the chain its next head (a crash after the commit).
      const next = job.status === 'queued' ? undefined : await releaseHead(tx, chainId);
      return { outcome: 'nothing_to_do', status: job.status, next };
    }
    if (job.delivery !== options.delivery)
      return { outcome: 'nothing_to_do', status: job.status, next: undefined };
    if (Number(chain.lease_live) === 1) return { outcome: 'held' };
    if (Number(job.cancel_requested) === 1) return cancelInstead(tx, options, chainId);
    if (!(await takeSlot(tx, options.kind, options.jobId, job.repository_id))) return { outcome: 'parked' };
    const lease = await grant(tx, options, chain, job);
    return { outcome: 'acquired', lease, terms: termsOf(job, rateOfRow(unlocked)) };
  });
}

interface LockedJob {
  status: JobStatus;
  attempts: number;
  deaths: number;
  delivery: number;
  repository_id: string;
  cancel_requested: number;
  deadline_seconds: number | null;
  error_code: string | null;
  error_detail: string | null;
  /** Milliseconds since the first attempt began. */
  age_ms: string;
}

function termsOf(job: LockedJob, rate: number | null): JobTerms {
  return {
    rate,
    deadlineMs: job.deadline_seconds === null ? null : job.deadline_seconds * 1000,
    ageMs: Number(job.age_ms),
    lastError: job.error_code === null ? null : `${job.error_code}: ${job.error_detail ?? ''}`,
  };
}

/** A cancellation that the attempt before did not live to honour: it failed, was handed back, or its worker died. */
async function cancelInstead(tx: EntityManager, options: AcquireOptions, chainId: string): Promise<Acquired> {
  await tx.query(
    `UPDATE ${JOB_TABLES[options.kind]} SET status = 'cancelled', error_code = 'cancelled', completed_at = UTC_TIMESTAMP(3)
     WHERE id = ?`,
    [options.jobId],
  );
  await tx.query(
    'UPDATE backup_chains SET lease_owner = NULL, lease_job_id = NULL, lease_until = NULL WHERE id = ?',
    [chainId],
  );
  await closeJob(tx, options.kind, options.jobId, 'cancelled');
  return { outcome: 'nothing_to_do', status: 'cancelled', next: await releaseHead(tx, chainId) };
}

async function grant(
  tx: EntityManager,
  options: AcquireOptions,
  chain: LockedChain,
  job: LockedJob,
): Promise<ChainLease> {
  const fence = Number(chain.fence) + 1;
  // Still running, and its lease has run out: the worker before is dead or frozen, which is not the job's fault.
  const died = job.status === 'running';
  await tx.query(
    `UPDATE backup_chains SET fence = ?, lease_owner = ?, lease_job_id = ?,
            lease_until = UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND WHERE id = ?`,
    [fence, options.owner, options.jobId, options.leaseMs * 1000, chain.id],
  );
  await tx.query(
    `UPDATE ${JOB_TABLES[options.kind]} SET status = 'running', fence = ?, not_before = NULL, attempts = attempts + ?, deaths = deaths + ?,
            started_at = COALESCE(started_at, UTC_TIMESTAMP(3)) WHERE id = ?`,
    [fence, died ? 0 : 1, died ? 1 : 0, options.jobId],
  );
  if (options.kind === 'backup') await beginRestorePointOf(tx, options.jobId);
  return {
    chainId: chain.id,
    jobId: options.jobId,
    kind: options.kind,
    owner: options.owner,
    fence,
    attempt: job.attempts + (died ? 0 : 1),
    deaths: job.deaths + (died ? 1 : 0),
    repositoryId: job.repository_id,
  };
}

/**
 * Prolongs the lease. Also tells whether somebody asked for the job to be cancelled, and what it may move from now on (as
 * JobTerms.rate).
 * One that has run out by the database's clock may be prolonged as long as nobody else has it: that clock may have been
 * set forward. Whoever asks knows by the monotonic clock that it cannot have run out.
 * @throws lease_lost when another has taken it, or the keeper has given the job away
 */
export async function renewLease(
  ds: DataSource,
  lease: ChainLease,
  leaseMs: number,
): Promise<{ cancelRequested: boolean; rate: number | null }> {
  try {
    const result: unknown = await ds.query(
      `UPDATE backup_chains SET lease_until = UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND
       WHERE id = ? AND fence = ? AND lease_owner = ?`,
      [leaseMs * 1000, lease.chainId, lease.fence, lease.owner],
    );
    expectOneRow(result, () => leaseLost(lease));
    const [row] = await ds.query<(RateRow & { cancel_requested: number })[]>(
      `SELECT j.cancel_requested, ${RATE_COLUMNS}
       FROM ${JOB_TABLES[lease.kind]} j JOIN repositories r ON r.id = j.repository_id WHERE j.id = ?`,
      [lease.jobId],
    );
    if (!row) throw leaseLost(lease);
    return { cancelRequested: Number(row.cancel_requested) === 1, rate: rateOfRow(row) };
  } catch (error) {
    throw asDatabaseError(error);
  }
}

/**
 * Asks the database whether the lease is still ours: the fence check right before a publishing link.
 * @throws lease_lost, and cancelled when somebody has asked for it since the last renewal
 */
export async function assertLease(ds: DataSource, lease: ChainLease): Promise<void> {
  const rows = await asking(() =>
    ds.query<{ cancel_requested: number }[]>(
      `SELECT j.cancel_requested FROM backup_chains c JOIN ${JOB_TABLES[lease.kind]} j ON j.id = ?
       WHERE c.id = ? AND c.fence = ? AND c.lease_owner = ? AND c.lease_until > UTC_TIMESTAMP(3)`,
      [lease.jobId, lease.chainId, lease.fence, lease.owner],
    ),
  );
  if (rows.length !== 1) throw leaseLost(lease);
  if (Number(rows[0]?.cancel_requested) === 1) throw cancelledJob(lease);
}

export function cancelledJob(lease: ChainLease): StrataError {
  return new StrataError('cancelled', `Job ${lease.jobId} was cancelled.`);
}

export function leaseLost(lease: ChainLease): StrataError {
  return new StrataError(
    'lease_lost',
    `Job ${lease.jobId} lost the lease of chain ${lease.chainId} (fence ${lease.fence}).`,
  );
}
