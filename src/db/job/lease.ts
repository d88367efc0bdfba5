import type { JobKind } from '../../shared/jobs.js';
import type { DataSource } from 'typeorm';
import { StrataError } from '../../shared/errors.js';
import { asDatabaseError, asking, expectOneRow } from '../transaction.js';
import { JOB_TABLES } from './kinds.js';
import { RATE_COLUMNS, rateOfRow, type RateRow } from './rate.js';

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
  /** An attempt before has left its error in the job's row. */
  failedBefore: boolean;
  /** A backup whose file was being switched when the lease before ended; absent where there is none. */
  mergingBackupId?: string;
}

/**
 * Prolongs the lease. Also says whether somebody asked for the job to be cancelled, and what it may move from now on (as
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
    expectOneRow(result, () => leaseLost(lease, 'renewal'));
    const [row] = await ds.query<(RateRow & { cancel_requested: number })[]>(
      `SELECT j.cancel_requested, ${RATE_COLUMNS}
       FROM ${JOB_TABLES[lease.kind]} j JOIN repositories r ON r.id = j.repository_id WHERE j.id = ?`,
      [lease.jobId],
    );
    if (!row) throw leaseLost(lease, 'renewal');
    return { cancelRequested: Number(row.cancel_requested) === 1, rate: rateOfRow(row) };
  } catch (error) {
    throw asDatabaseError(error);
  }
}

/**
 * Asks the database whether the lease is still ours: the fence check right before a publishing link. One that has run out
 * by the database's clock is prolonged, as by renewLease and for the same reason: nothing is published under a lease that
 * has no time left.
 * @throws lease_lost, and cancelled when somebody has asked for it since the last renewal
 */
export async function assertLease(ds: DataSource, lease: ChainLease, leaseMs: number): Promise<void> {
  const [row] = await asking(() =>
    ds.query<{ cancel_requested: number; live: number }[]>(
      `SELECT j.cancel_requested, c.lease_until > UTC_TIMESTAMP(3) AS live
       FROM backup_chains c JOIN ${JOB_TABLES[lease.kind]} j ON j.id = ?
       WHERE c.id = ? AND c.fence = ? AND c.lease_owner = ?`,
      [lease.jobId, lease.chainId, lease.fence, lease.owner],
    ),
  );
  if (!row) throw leaseLost(lease, 'publish');
  if (Number(row.cancel_requested) === 1) throw cancelledJob(lease);
  if (Number(row.live) === 1) return;
  const { cancelRequested } = await renewLease(ds, lease, leaseMs);
  if (cancelRequested) throw cancelledJob(lease);
}

export function cancelledJob(lease: ChainLease): StrataError {
  return new StrataError('cancelled', `Job ${lease.jobId} was cancelled.`);
}

/**
 * What noticed that a lease is lost: the watchdog of the process itself, or the database, when the lease was to be renewed,
 * a file to be published, or the job's end to be written.
 */
export type NoticedBy = 'watchdog' | 'renewal' | 'publish' | 'commit';

export function leaseLost(lease: ChainLease, noticedBy: NoticedBy): StrataError {
  return new StrataError(
    'lease_lost',
    `Job ${lease.jobId} lost the lease of chain ${lease.chainId} (fence ${lease.fence}).`,
    { details: { noticed_by: noticedBy } },
  );
}
