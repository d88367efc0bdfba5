import { type Delivery, JOB_KINDS } from '../../shared/jobs.js';
import type { DataSource } from 'typeorm';
import { affectedRows, inTransaction } from '../transaction.js';
import { type AllKinds, JOB_TABLES, KIND_FACTS, LONGEST_DELAY_MS, OPEN } from './kinds.js';
import { WAITING_CODES } from './openJobs.js';
import { clearLease, releaseHead, tryLockChain } from './position.js';

interface Row {
  id: string;
  chain_id: string;
  delivery: number;
  priority: number;
  pool: string;
  delay_ms: string;
}

/** Where the look at one kind's heads goes on, round by round. */
export interface HeadCursor {
  createdAt: Date;
  id: string;
}

/**
 * The next heads of a kind that ought to be in the queue: released, not parked. The caller adds those that the queue
 * does not know.
 * @returns a cursor for the next round; undefined when the end was reached, so that the next round begins at the start
 */
export async function releasedHeads(
  ds: DataSource,
  kind: Delivery['kind'],
  limit: number,
  after: HeadCursor | undefined,
): Promise<{ heads: Delivery[]; next: HeadCursor | undefined }> {
  const behind = after ? 'AND (j.created_at > ? OR (j.created_at = ? AND j.id > ?))' : '';
  const rows = await ds.query<(Row & { created_at: Date })[]>(
    `SELECT j.id, j.chain_id, j.delivery, j.priority, j.created_at, r.pool,
            GREATEST(0, COALESCE(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), j.not_before) DIV 1000, 0)) AS delay_ms
     FROM ${JOB_TABLES[kind]} j JOIN repositories r ON r.id = j.repository_id
     WHERE j.status = 'released' AND j.parked_at IS NULL ${behind} ORDER BY j.created_at, j.id LIMIT ${limit}`,
    after ? [after.createdAt, after.createdAt, after.id] : [],
  );
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return {
    heads: rows.map((row) => toDelivery(kind, row)),
    next: last && { createdAt: last.created_at, id: last.id },
  };
}

/** A running job, and the lease under which it runs. */
export interface RunningJob {
  delivery: Delivery;
  chainId: string;
  fence: string;
  leaseUntil: Date | null;
  /** Milliseconds that are left of the lease by the database's clock. */
  leftMs: number;
  /** Workers that have died at it before. */
  deaths: number;
}

/** All running jobs, whether their workers live or not. */
export async function runningJobs(ds: DataSource): Promise<RunningJob[]> {
  const parts = JOB_KINDS.map(
    (kind) =>
      `SELECT '${kind}' AS kind, j.id, j.chain_id, j.delivery, j.priority, r.pool, 0 AS delay_ms, j.deaths, c.fence, c.lease_until,
              COALESCE(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), c.lease_until) DIV 1000, 0) AS left_ms
       FROM ${JOB_TABLES[kind]} j JOIN repositories r ON r.id = j.repository_id
       JOIN backup_chains c ON c.id = j.chain_id WHERE j.status = 'running'`,
  );
  const rows = await ds.query<RunningRow[]>(parts.join(' UNION ALL '));
  return rows.map((row) => ({
    delivery: toDelivery(row.kind, row),
    chainId: row.chain_id,
    fence: row.fence,
    leaseUntil: row.lease_until,
    leftMs: Number(row.left_ms),
    deaths: row.deaths,
  }));
}

interface RunningRow extends Row {
  kind: Delivery['kind'];
  fence: string;
  lease_until: Date | null;
  left_ms: string;
  deaths: number;
}

/**
 * Gives the job of a dead or frozen worker away: it is released with a new delivery number, so that the queue entry of
 * the dead worker no longer counts, and the chain's lease is cleared, so that a worker which lives after all has lost it.
 * @returns undefined when the lease was renewed, or the job went on otherwise, since it was seen
 */
export async function redeliverAbandoned(ds: DataSource, job: RunningJob): Promise<Delivery | undefined> {
  const { kind, jobId, delivery } = job.delivery;
  return inTransaction(ds, async (tx) => {
    const chain = await tryLockChain(tx, job.chainId);
    const renewed = chain?.lease_until?.getTime() !== job.leaseUntil?.getTime();
    if (!chain || chain.fence !== job.fence || renewed) return undefined;
    const result: unknown = await tx.query(
      `UPDATE ${JOB_TABLES[kind]} SET status = 'released', delivery = delivery + 1, attempts = attempts - 1, deaths = deaths + 1
       WHERE id = ? AND status = 'running' AND delivery = ?`,
      [jobId, delivery],
    );
    if (affectedRows(result) !== 1) return undefined;
    await clearLease(tx, job.chainId, Number(job.fence));
    return { ...job.delivery, delivery: delivery + 1 };
  });
}

/** Selects the chains that `releaseHeadless` repairs. */
export function selectHeadless(kinds: AllKinds = KIND_FACTS): string {
  const waiting = WAITING_CODES.map((code) => `'${code}'`).join(', ');
  const open = Object.values(kinds).map(
    ({ table, reads }) =>
      `SELECT j.chain_id, j.status, ${reads} AS is_read,
              j.not_before > UTC_TIMESTAMP(3) AND j.error_code IN (${waiting}) AS waits
       FROM ${table} j WHERE j.status IN ${OPEN}`,
  );
  return `SELECT chain_id FROM (${open.join(' UNION ALL ')}) open_jobs GROUP BY chain_id
     HAVING SUM(status = 'running' OR (status = 'released' AND COALESCE(waits, 0) = 0)) = 0
        AND (SUM(status = 'released') = 0 OR SUM(is_read AND status = 'queued' AND COALESCE(waits, 0) = 0) > 0)`;
}

const HEADLESS = selectHeadless();

/**
 * Chains with queued jobs of which none has the turn, or whose turn is held by a job that waits while a read could run: neither
 * happens by design (a turn is given in the transaction that frees it), and both are repaired if they do.
 */
export async function releaseHeadless(ds: DataSource): Promise<Delivery[]> {
  const chains = await ds.query<{ chain_id: string }[]>(HEADLESS);
  const found: Delivery[] = [];
  for (const { chain_id } of chains) {
    const next = await inTransaction(ds, async (tx) => {
      const chain = await tryLockChain(tx, chain_id);
      return chain && releaseHead(tx, chain_id);
    });
    if (next) found.push(next);
  }
  return found;
}

function toDelivery(kind: Delivery['kind'], row: Row): Delivery {
  return {
    kind,
    jobId: row.id,
    pool: row.pool,
    delivery: row.delivery,
    // More than anybody asks for: the database's clock was set back.
    delayMs: Number(row.delay_ms) > LONGEST_DELAY_MS ? 0 : Number(row.delay_ms),
    priority: row.priority,
  };
}

/** Gives a released head a new delivery number, unless it has got one in the meantime. */
export async function redeliverLost(ds: DataSource, head: Delivery): Promise<Delivery | undefined> {
  const result: unknown = await ds.query(
    `UPDATE ${JOB_TABLES[head.kind]} SET delivery = delivery + 1 WHERE id = ? AND status = 'released' AND delivery = ?`,
    [head.jobId, head.delivery],
  );
  return affectedRows(result) === 1 ? { ...head, delivery: head.delivery + 1 } : undefined;
}

/** Those of the jobs that are open, each with the number of its newest delivery. */
export async function openDeliveries(
  ds: DataSource,
  kind: Delivery['kind'],
  jobIds: readonly string[],
): Promise<Map<string, number>> {
  if (jobIds.length === 0) return new Map();
  const rows = await ds.query<{ id: string; delivery: number }[]>(
    `SELECT id, delivery FROM ${JOB_TABLES[kind]} WHERE id IN (?) AND status IN ${OPEN}`,
    [jobIds],
  );
  return new Map(rows.map(({ id, delivery }) => [id, delivery]));
}
