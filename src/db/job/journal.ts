import type { DataSource, EntityManager } from 'typeorm';
import type { JobProgress } from '../../entities/index.js';
import { asking } from '../transaction.js';
import { JOB_TABLES } from './kinds.js';
import type { ChainLease } from './lease.js';

export interface StepRecord {
  step: string;
  fence: number;
  state: 'begun' | 'done';
  data: Record<string, unknown> | null;
}

/** Step of a backup that names the files which are about to get their final names. */
export const PUBLISH_STEP = 'publish';

/** Notes that a step of this attempt has begun or is done, with what a recovery needs to know. */
export async function recordStep(
  ds: DataSource,
  lease: ChainLease,
  step: string,
  state: StepRecord['state'],
  data: StepRecord['data'],
): Promise<void> {
  await asking(() => insertStep(ds, lease, step, state, data));
}

/** The same within a transaction. */
export async function insertStep(
  tx: Pick<EntityManager, 'query'>,
  lease: ChainLease,
  step: string,
  state: StepRecord['state'],
  data: StepRecord['data'],
): Promise<void> {
  await tx.query(
    `INSERT INTO job_steps (job_id, step, fence, state, data, started_at, finished_at)
     VALUES (?, ?, ?, ?, ?, UTC_TIMESTAMP(3), ${state === 'done' ? 'UTC_TIMESTAMP(3)' : 'NULL'})
     ON DUPLICATE KEY UPDATE state = VALUES(state), data = COALESCE(VALUES(data), data), finished_at = VALUES(finished_at)`,
    [lease.jobId, step, lease.fence, state, data === null ? null : JSON.stringify(data)],
  );
}

/** The journal of a job, attempt by attempt (by fence), oldest first. */
export async function readSteps(ds: DataSource, jobId: string): Promise<StepRecord[]> {
  const rows = await asking(() =>
    ds.query<{ step: string; fence: string; state: StepRecord['state']; data: unknown }[]>(
      'SELECT step, fence, state, data FROM job_steps WHERE job_id = ? ORDER BY fence, started_at',
      [jobId],
    ),
  );
  return rows.map((row) => ({
    step: row.step,
    fence: Number(row.fence),
    state: row.state,
    data: parseJson<Record<string, unknown> | null>(row.data),
  }));
}

/** Shows the progress of a running job; dropped silently when the job runs under another fence by now. */
export async function writeProgress(ds: DataSource, lease: ChainLease, progress: JobProgress): Promise<void> {
  await ds.query(
    `UPDATE ${JOB_TABLES[lease.kind]} SET progress = ? WHERE id = ? AND fence = ? AND status = 'running'`,
    [JSON.stringify(progress), lease.jobId, lease.fence],
  );
}

/** MariaDB's JSON columns arrive as text, MySQL's as values. */
export function parseJson<T>(value: unknown): T {
  return (typeof value === 'string' ? JSON.parse(value) : value) as T;
}
