import { type Delivery, JOB_KINDS, type JobKind } from '../../shared/jobs.js';
import type { DataSource, EntityManager } from 'typeorm';
import { affectedRows, asking, inTransaction } from '../transaction.js';
import { JOB_TABLES } from './kinds.js';

/**
 * Takes one of the repository's `max_parallel_jobs` slots for a job that is about to run, fleet-wide: the repository's
 * row is locked while the running jobs are counted. Where none is free the job is parked: its queue entry becomes stale
 * and nobody polls for it.
 */
export async function takeSlot(
  tx: EntityManager,
  kind: JobKind,
  jobId: string,
  repositoryId: string,
): Promise<boolean> {
  const most = await slotsOf(tx, repositoryId);
  if (most === null) return true;
  if ((await countRunning(tx, repositoryId, jobId)) < most) return true;
  await tx.query(
    `UPDATE ${JOB_TABLES[kind]} SET status = 'released', parked_at = UTC_TIMESTAMP(3), delivery = delivery + 1 WHERE id = ?`,
    [jobId],
  );
  return false;
}

/**
 * Gives free slots of a repository to the jobs that have been parked longest.
 * @returns their deliveries; a job that finds the slot taken after all is parked again
 */
export async function unpark(ds: DataSource, repositoryId: string): Promise<Delivery[]> {
  if (!(await mayHaveParked(ds, repositoryId))) return [];
  return inTransaction(ds, async (tx) => {
    const most = await slotsOf(tx, repositoryId);
    const free = most === null ? Number.MAX_SAFE_INTEGER : most - (await countRunning(tx, repositoryId, ''));
    if (free <= 0) return [];
    const woken: Delivery[] = [];
    for (const job of (await parkedJobs(tx, repositoryId)).slice(0, free)) {
      const result: unknown = await tx.query(
        `UPDATE ${JOB_TABLES[job.kind]} SET parked_at = NULL WHERE id = ? AND parked_at IS NOT NULL AND status = 'released'`,
        [job.jobId],
      );
      if (affectedRows(result) === 1) woken.push(job);
    }
    return woken;
  });
}

/** False where the repository neither has a limit nor had one: the usual case, told by one statement. */
async function mayHaveParked(ds: DataSource, repositoryId: string): Promise<boolean> {
  const parked = JOB_KINDS.map(
    (kind) =>
      `EXISTS (SELECT 1 FROM ${JOB_TABLES[kind]} WHERE repository_id = r.id AND status = 'released' AND parked_at IS NOT NULL)`,
  );
  const rows = await asking(() =>
    ds.query<unknown[]>(
      `SELECT 1 FROM repositories r WHERE r.id = ? AND (r.max_parallel_jobs IS NOT NULL OR ${parked.join(' OR ')})`,
      [repositoryId],
    ),
  );
  return rows.length > 0;
}

/** Repositories in which jobs are parked. */
export async function repositoriesWithParked(ds: DataSource): Promise<string[]> {
  const parts = JOB_KINDS.map(
    (kind) =>
      `SELECT repository_id FROM ${JOB_TABLES[kind]} WHERE status = 'released' AND parked_at IS NOT NULL`,
  );
  const rows = await ds.query<{ repository_id: string }[]>(parts.join(' UNION '));
  return rows.map((row) => row.repository_id);
}

/** The repository's limit, its row locked where it has one; null for no limit. */
async function slotsOf(tx: EntityManager, repositoryId: string): Promise<number | null> {
  const read = async (lock: string) => {
    const rows = await tx.query<{ most: number | null }[]>(
      `SELECT max_parallel_jobs AS most FROM repositories WHERE id = ? ${lock}`,
      [repositoryId],
    );
    return rows[0]?.most ?? null;
  };
  // Without a limit there is nothing to count, and no lock that would put all chains of a repository in one line.
  return (await read('')) === null ? null : read('FOR UPDATE');
}

async function countRunning(tx: EntityManager, repositoryId: string, exceptId: string): Promise<number> {
  const parts = JOB_KINDS.map(
    (kind) =>
      `(SELECT COUNT(*) FROM ${JOB_TABLES[kind]} WHERE repository_id = ? AND status = 'running' AND id <> ?)`,
  );
  const rows = await tx.query<{ n: string }[]>(
    `SELECT ${parts.join(' + ')} AS n`,
    JOB_KINDS.flatMap(() => [repositoryId, exceptId]),
  );
  return Number(rows[0]?.n ?? 0);
}

interface ParkedRow {
  kind: JobKind;
  id: string;
  delivery: number;
  priority: number;
  pool: string;
}

async function parkedJobs(tx: EntityManager, repositoryId: string): Promise<Delivery[]> {
  const parts = JOB_KINDS.map(
    (kind) =>
      `SELECT '${kind}' AS kind, j.id, j.delivery, j.priority, j.parked_at, r.pool
       FROM ${JOB_TABLES[kind]} j JOIN repositories r ON r.id = j.repository_id
       WHERE j.repository_id = ? AND j.status = 'released' AND j.parked_at IS NOT NULL`,
  );
  const rows = await tx.query<ParkedRow[]>(
    `SELECT * FROM (${parts.join(' UNION ALL ')}) parked ORDER BY priority, parked_at LIMIT 100`,
    JOB_KINDS.map(() => repositoryId),
  );
  return rows.map(({ kind, id, pool, delivery, priority }) => ({
    kind,
    jobId: id,
    pool,
    delivery,
    delayMs: 0,
    priority,
  }));
}
