import { JOB_KINDS, type JobKind } from '../../shared/jobs.js';
import type { DataSource } from 'typeorm';
import { recordEvents } from '../job/events.js';
import { affectedRows, inTransaction } from '../transaction.js';
import { liveProcesses } from '../fleet/processes.js';
import { select } from '../page.js';

/** Role under which the workers of a kind announce themselves. */
export function workerRole(kind: JobKind): string {
  return `worker-${kind}`;
}

/** Tells which kinds of jobs nobody would work on for a pool: no process that serves it has sent a heartbeat of late. */
export type UnservedKinds = (pool: string) => JobKind[];

/** Looks at the fleet once. */
export async function lookAtPools(ds: DataSource): Promise<UnservedKinds> {
  const served = new Set(
    (await liveProcesses(ds)).flatMap(({ role, pools }) => pools.map((pool) => `${role} ${pool}`)),
  );
  return (pool) => JOB_KINDS.filter((kind) => !served.has(`${workerRole(kind)} ${pool}`));
}

/** What a pool lacks, and whom that concerns. */
export interface PoolFacts {
  id: string;
  unservedKinds: JobKind[];
  /** Names. */
  repositories: string[];
}

export async function poolFacts(ds: DataSource, pool: string): Promise<PoolFacts> {
  const rows = await select<{ name: string }>(
    ds,
    'SELECT name FROM repositories WHERE pool = ? ORDER BY name',
    [pool],
  );
  const unserved = await lookAtPools(ds);
  return { id: pool, unservedKinds: unserved(pool), repositories: rows.map(({ name }) => name) };
}

/** Pools of enabled repositories for which jobs of some kind would wait for ever. */
export async function unservedPools(ds: DataSource): Promise<{ pool: string; kinds: JobKind[] }[]> {
  const pools = await select<{ pool: string }>(
    ds,
    'SELECT DISTINCT pool FROM repositories WHERE enabled = 1 ORDER BY pool',
  );
  if (pools.length === 0) return [];
  const unserved = await lookAtPools(ds);
  return pools.map(({ pool }) => ({ pool, kinds: unserved(pool) })).filter(({ kinds }) => kinds.length > 0);
}

/**
 * Notes which pools are unserved now, and records an event for each that has been for `graceSeconds` and was not reported yet, and for
 * each that was reported and is served again: one of each an episode, however many keepers look.
 * @returns the pools of both kinds of events
 */
export async function notePools(
  ds: DataSource,
  unserved: readonly string[],
  graceSeconds: number,
): Promise<{ told: string[]; recovered: string[] }> {
  return inTransaction(ds, async (tx) => {
    const known = await tx.query<{ pool: string; told: number; due: number }[]>(
      `SELECT pool, told_at IS NOT NULL AS told, since <= UTC_TIMESTAMP(3) - INTERVAL ? SECOND AS due
       FROM unserved_pools ORDER BY pool FOR UPDATE`,
      [graceSeconds],
    );
    const told: string[] = [];
    const recovered: string[] = [];
    for (const row of known) {
      if (!unserved.includes(row.pool)) {
        await tx.query('DELETE FROM unserved_pools WHERE pool = ?', [row.pool]);
        if (Number(row.told) === 1) recovered.push(row.pool);
      } else if (Number(row.told) === 0 && Number(row.due) === 1) {
        const set: unknown = await tx.query(
          'UPDATE unserved_pools SET told_at = UTC_TIMESTAMP(3) WHERE pool = ? AND told_at IS NULL',
          [row.pool],
        );
        if (affectedRows(set) === 1) told.push(row.pool);
      }
    }
    for (const pool of unserved.filter((each) => !known.some((row) => row.pool === each)))
      await tx.query('INSERT IGNORE INTO unserved_pools (pool, since) VALUES (?, UTC_TIMESTAMP(3))', [pool]);
    await recordEvents(tx, [
      ...told.map((pool) => ({ type: 'pool.unserved' as const, subjectId: pool })),
      ...recovered.map((pool) => ({ type: 'pool.served' as const, subjectId: pool })),
    ]);
    return { told, recovered };
  });
}
