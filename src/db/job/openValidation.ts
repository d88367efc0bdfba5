import { OPEN } from './kinds.js';
import { type JobStatus } from '../../shared/jobs.js';
import type { EntityManager } from 'typeorm';
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
