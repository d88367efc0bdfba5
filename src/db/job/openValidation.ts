import { OPEN } from './kinds.js';
import type { JobStatus } from '../../shared/jobs.js';
import type { EntityManager } from 'typeorm';
import type { VerifyBackup } from '../../entities/index.js';
import { systemClock } from '../../shared/clock.js';
import type { Delivery } from '../../shared/jobs.js';
import { addMaintenanceJob, UNASKED_PRIORITY } from './addJob.js';
import type { ValidateParams } from '../../entities/index.js';
import { parseJson } from './journal.js';

/** A validation of a chain that has not ended. */
export interface OpenValidation {
  id: string;
  status: Extract<JobStatus, 'queued' | 'released' | 'running'>;
  params: ValidateParams;
  /** It reads within a budget of its own. */
  limited: boolean;
}

interface Row {
  id: string;
  status: OpenValidation['status'];
  params: unknown;
  limited: number;
}

/**
 * A validation of the chain that is still to do, or goes on doing, what another would be asked for. The chain's row must be
 * locked.
 */
export async function findOpenValidation(
  tx: EntityManager,
  chainId: string,
  wanted: ValidateParams,
): Promise<OpenValidation | undefined> {
  const rows = await tx.query<Row[]>(
    `SELECT id, status, params, max_bytes_per_second IS NOT NULL AS limited FROM maintenance_jobs
     WHERE chain_id = ? AND type = 'validate' AND status IN ${OPEN} ORDER BY seq`,
    [chainId],
  );
  return rows
    .map((row) => ({
      ...row,
      params: parseJson<ValidateParams>(row.params),
      limited: Number(row.limited) === 1,
    }))
    .find((open) => covers(open, wanted));
}

/**
 * Whether an open validation is as good as a new one. A quick one that runs has perhaps looked already at what has changed
 * since; a deep one takes so long that a second one would read everything twice. Pure.
 */
export function covers(open: Omit<OpenValidation, 'id'>, wanted: ValidateParams): boolean {
  if (wanted.level === 'quick') return open.status !== 'running';
  if (open.params.level === 'quick') return false;
  if (wanted.unread_only) return open.status !== 'running';
  return !open.params.unread_only && !open.limited;
}

const PARAMS: Record<VerifyBackup, ValidateParams> = {
  after: { level: 'quick' },
  after_deep: { level: 'deep', unread_only: true },
};

/**
 * Queues the validation that a backup has asked for, behind all that waits for the chain, in the transaction that commits the
 * backup: either both are there or neither. One that waits already, for an earlier backup, will see this one, too. The chain's
 * row must be locked.
 * @returns the delivery that is owed after the commit, where nothing is in front of it
 */
export async function addVerification(
  tx: EntityManager,
  chainId: string,
  verify: VerifyBackup,
): Promise<Delivery | undefined> {
  const params = PARAMS[verify];
  if (await findOpenValidation(tx, chainId, params)) return undefined;
  const job = { chainId, type: 'validate', params, priority: UNASKED_PRIORITY } as const;
  return (await addMaintenanceJob(tx, { ...job, now: systemClock.now() })).delivery;
}
