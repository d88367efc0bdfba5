import type { DataSource } from 'typeorm';
import { affectedRows, inTransaction } from '../transaction.js';
import { type Delivery, JOB_KINDS, JOB_TABLES } from './kinds.js';
import { releaseHead, tryLockChain } from './position.js';

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
 * @returns a cursor for the next round; undefined when the end was reached, so that the next round begins anew
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

/**
 * Running jobs whose lease has run out, because their worker is dead or frozen: each gets a new delivery number, so
 * that the queue entry of the dead worker no longer counts.
 */
export async function redeliverAbandoned(ds: DataSource): Promise<Delivery[]> {
  const found: Delivery[] = [];
  for (const kind of JOB_KINDS) {
    const rows = await ds.query<Row[]>(
      `SELECT j.id, j.chain_id, j.delivery, j.priority, r.pool, 0 AS delay_ms
       FROM ${JOB_TABLES[kind]} j JOIN repositories r ON r.id = j.repository_id
       JOIN backup_chains c ON c.id = j.chain_id
       WHERE j.status = 'running' AND (c.lease_until IS NULL OR c.lease_until < UTC_TIMESTAMP(3))`,
    );
    for (const row of rows) {
      const bumped = await bumpDelivery(ds, kind, row);
      if (bumped) found.push(bumped);
    }
  }
  return found;
}

async function bumpDelivery(ds: DataSource, kind: Delivery['kind'], row: Row): Promise<Delivery | undefined> {
  return inTransaction(ds, async (tx) => {
    const chain = await tryLockChain(tx, row.chain_id);
    if (!chain || Number(chain.lease_live) === 1) return undefined;
    const result: unknown = await tx.query(
      `UPDATE ${JOB_TABLES[kind]} SET status = 'released', delivery = delivery + 1, attempts = attempts - 1, deaths = deaths + 1
       WHERE id = ? AND status = 'running' AND delivery = ?`,
      [row.id, row.delivery],
    );
    return affectedRows(result) === 1 ? toDelivery(kind, { ...row, delivery: row.delivery + 1 }) : undefined;
  });
}

/** Chains with queued jobs and no head: cannot happen by design, and is repaired if it does. */
export async function releaseHeadless(ds: DataSource): Promise<Delivery[]> {
  const open = JOB_KINDS.map(
    (kind) =>
      `SELECT chain_id, status FROM ${JOB_TABLES[kind]} WHERE status IN ('queued', 'released', 'running')`,
  );
  const chains = await ds.query<{ chain_id: string }[]>(
    `SELECT chain_id FROM (${open.join(' UNION ALL ')}) open_jobs GROUP BY chain_id
     HAVING SUM(status IN ('released', 'running')) = 0`,
  );
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
    delayMs: Number(row.delay_ms),
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
    `SELECT id, delivery FROM ${JOB_TABLES[kind]} WHERE id IN (?) AND status IN ('queued', 'released', 'running')`,
    [jobIds],
  );
  return new Map(rows.map(({ id, delivery }) => [id, delivery]));
}
