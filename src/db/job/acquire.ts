import type { Delivery, JobKind, JobStatus } from '../../shared/jobs.js';
import type { DataSource, EntityManager } from 'typeorm';
import { StrataError } from '../../shared/errors.js';
import { affectedRows, asking, inStatement, inTransaction } from '../transaction.js';
import { closeJob } from './close.js';
import { JOB_TABLES } from './kinds.js';
import type { ChainLease } from './lease.js';
import { lockChain, releaseHead } from './position.js';
import { RATE_COLUMNS, rateOfRow, type RateRow } from './rate.js';
import { takeSlot } from './slots.js';

/** Under which conditions a job runs. */
export interface JobTerms {
  /** What it may move now, in bytes per second; null: no limit. Renewals say how it changes. */
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
 * The fence grows by one with every acquisition. Mostly that is a look and one UPDATE that finds the rows as they were
 * seen; where it does not, or a slot of the repository is needed, it is decided again with the chain locked.
 */
export async function acquireLease(ds: DataSource, options: AcquireOptions): Promise<Acquired> {
  const seen = await asking(() => look(ds, options));
  if (mayStart(seen, options) && seen.max_parallel_jobs === null) {
    const lease = await inStatement(() => grant(ds, options, seen));
    if (lease) return { outcome: 'acquired', lease, terms: termsOf(seen) };
  }
  return inTransaction(ds, (tx) => acquireLocked(tx, options, seen.chain_id));
}

interface Seen extends RateRow {
  chain_id: string;
  fence: string;
  /** 1 while the chain's lease has not run out, by the database's clock. */
  lease_live: number;
  status: JobStatus;
  attempts: number;
  deaths: number;
  delivery: number;
  cancel_requested: number;
  deadline_seconds: number | null;
  error_code: string | null;
  error_detail: string | null;
  /** Milliseconds since the first attempt began. */
  age_ms: string;
  repository_id: string;
  max_parallel_jobs: number | null;
  merging_backup_id: string | null;
}

/** The job, its chain and its repository; locks nothing. */
async function look(db: Pick<EntityManager, 'query'>, options: AcquireOptions): Promise<Seen> {
  const [seen] = await db.query<Seen[]>(
    `SELECT j.chain_id, c.fence, c.merging_backup_id, (c.lease_until IS NOT NULL AND c.lease_until > UTC_TIMESTAMP(3)) AS lease_live,
            j.status, j.attempts, j.deaths, j.delivery, j.cancel_requested, j.deadline_seconds, j.error_code, j.error_detail,
            COALESCE(TIMESTAMPDIFF(MICROSECOND, j.started_at, UTC_TIMESTAMP(3)) DIV 1000, 0) AS age_ms,
            j.repository_id, r.max_parallel_jobs, ${RATE_COLUMNS}
     FROM ${JOB_TABLES[options.kind]} j JOIN backup_chains c ON c.id = j.chain_id
     JOIN repositories r ON r.id = j.repository_id WHERE j.id = ?`,
    [options.jobId],
  );
  if (!seen) throw new StrataError('not_found', `There is no job ${options.jobId}.`);
  return seen;
}

function mayStart(seen: Seen, { delivery }: AcquireOptions): boolean {
  return (
    isOpenHead(seen) &&
    seen.delivery === delivery &&
    Number(seen.lease_live) === 0 &&
    Number(seen.cancel_requested) === 0
  );
}

function isOpenHead({ status }: Seen): boolean {
  return status === 'released' || status === 'running';
}

async function acquireLocked(tx: EntityManager, options: AcquireOptions, chainId: string): Promise<Acquired> {
  await lockChain(tx, chainId);
  const seen = await look(tx, options);
  const { status, repository_id } = seen;
  if (!isOpenHead(seen)) {
    // A queued job has no business here; an ended one may owe the chain its next head (a crash after the commit).
    const next = status === 'queued' ? undefined : await releaseHead(tx, chainId);
    return { outcome: 'nothing_to_do', status, next };
  }
  if (seen.delivery !== options.delivery) return { outcome: 'nothing_to_do', status, next: undefined };
  if (Number(seen.lease_live) === 1) return { outcome: 'held' };
  if (Number(seen.cancel_requested) === 1) return cancelInstead(tx, options, chainId);
  if (!(await takeSlot(tx, options.kind, options.jobId, repository_id))) return { outcome: 'parked' };
  const lease = await grant(tx, options, seen);
  // The keeper delivers a head again without the chain's lock: then another entry counts.
  if (!lease) return { outcome: 'nothing_to_do', status, next: undefined };
  return { outcome: 'acquired', lease, terms: termsOf(seen) };
}

function termsOf(seen: Seen): JobTerms {
  return {
    rate: rateOfRow(seen),
    deadlineMs: seen.deadline_seconds === null ? null : seen.deadline_seconds * 1000,
    ageMs: Number(seen.age_ms),
    lastError: seen.error_code === null ? null : `${seen.error_code}: ${seen.error_detail ?? ''}`,
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

/**
 * Gives the lease, if chain and job are still as they were seen, by one statement: chain, job and, of a backup, its restore
 * point, locked in this order. The fence that was seen makes it one holder's: whoever is second finds another.
 * @returns undefined where something has changed; then nothing is written
 */
async function grant(
  db: Pick<EntityManager, 'query'>,
  options: AcquireOptions,
  seen: Seen,
): Promise<ChainLease | undefined> {
  const { kind, jobId, owner } = options;
  const before = Number(seen.fence);
  const fence = before + 1;
  // Still running, and its lease has run out: the worker before is dead or frozen, which is not the job's fault.
  const died = seen.status === 'running';
  const attempt = seen.attempts + (died ? 0 : 1);
  const deaths = seen.deaths + (died ? 1 : 0);
  const isBackup = kind === 'backup';
  const granted: unknown = await db.query(
    `UPDATE backup_chains c STRAIGHT_JOIN ${JOB_TABLES[kind]} j ON j.id = ?
       ${isBackup ? 'STRAIGHT_JOIN restore_points p ON p.id = j.restore_point_id' : ''}
     SET c.fence = ?, c.lease_owner = ?, c.lease_job_id = j.id, c.lease_until = UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND,
         j.status = 'running', j.fence = ?, j.not_before = NULL, j.attempts = ?, j.deaths = ?,
         j.started_at = COALESCE(j.started_at, UTC_TIMESTAMP(3))
         ${isBackup ? `, p.status = 'running', p.completed_at = NULL` : ''}
     WHERE c.id = ? AND c.fence = ? AND (c.lease_until IS NULL OR c.lease_until <= UTC_TIMESTAMP(3))
       AND j.status = ? AND j.delivery = ? AND j.cancel_requested = 0`,
    [
      jobId,
      fence,
      owner,
      options.leaseMs * 1000,
      fence,
      attempt,
      deaths,
      seen.chain_id,
      before,
      seen.status,
      options.delivery,
    ],
  );
  if (affectedRows(granted) === 0) return undefined;
  const { chain_id: chainId, repository_id: repositoryId } = seen;
  // Who could have changed it since the look held the fence that was seen, and had to have a live lease.
  const merging = seen.merging_backup_id === null ? {} : { mergingBackupId: seen.merging_backup_id };
  const failedBefore = seen.error_code !== null;
  return { chainId, jobId, kind, owner, fence, attempt, deaths, repositoryId, failedBefore, ...merging };
}
