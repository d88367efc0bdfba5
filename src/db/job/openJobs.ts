import type { EntityManager } from 'typeorm';
import { ERRORS, type ErrorCode } from '../../shared/errorCodes.js';
import type { JobKind, OpenState } from '../../shared/jobs.js';
import {
  type AllKinds,
  KIND_FACTS,
  type KindFacts,
  LONGEST_DELAY_MS,
  OPEN,
  type OverKinds,
} from './kinds.js';
import type { Effect, Turn } from './order.js';

/** A job that has not ended. */
export interface OpenJob extends Turn {
  kind: JobKind;
  id: string;
  seq: number;
  status: OpenState;
  delivery: number;
  priority: number;
  pool: string;
  /** Of the last attempt. */
  errorCode: string | null;
  errorDetail: string | null;
}

/** Codes with which a job waits and is tried again, without an attempt being counted. */
export const WAITING_CODES = (Object.keys(ERRORS) as ErrorCode[]).filter(
  (code) => ERRORS[code].outcome === 'wait',
);

/** A job that has no lease waits while its pause after such a code lasts. Longer pauses than anybody asks for are a clock that was set back. */
const WAITS = `j.status <> 'running' AND j.not_before > UTC_TIMESTAMP(3)
  AND j.not_before <= UTC_TIMESTAMP(3) + INTERVAL ${LONGEST_DELAY_MS / 1000 + 1} SECOND
  AND j.error_code IN (${WAITING_CODES.map((code) => `'${code}'`).join(', ')})`;

function columns(kind: JobKind, facts: KindFacts): string {
  return `SELECT '${kind}' AS kind, j.id, j.seq, j.status, j.delivery, j.priority, r.pool, j.error_code, j.error_detail,
    IF(${facts.reads}, 'reads', '${facts.otherwise}') AS effect, ${facts.awaitsExtents} AS awaits, COALESCE(${WAITS}, 0) AS waits,
    GREATEST(0, COALESCE(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), j.not_before) DIV 1000, 0)) AS due_in_ms
   FROM ${facts.table} j JOIN repositories r ON r.id = j.repository_id
   WHERE j.chain_id = ? AND j.status IN ${OPEN}`;
}

/** Selects the job of a chain that is released or running; where none is, the first that is queued. */
export function selectFirstOpen(kinds: AllKinds = KIND_FACTS): OverKinds {
  const parts = Object.entries(kinds).map(([kind, facts]) => columns(kind as JobKind, facts));
  return {
    sql: `SELECT * FROM (${parts.join(' UNION ALL ')}) open_jobs ORDER BY status = 'queued', seq LIMIT 1`,
    times: parts.length,
  };
}

/** Selects the jobs of a chain that may have the next turn: all that only read, and of the others the first two of each kind. */
export function selectTurnCandidates(kinds: AllKinds = KIND_FACTS): OverKinds {
  const parts = Object.entries(kinds).flatMap(([kind, facts]) => {
    const of = columns(kind as JobKind, facts);
    return [
      ...(facts.reads === 'FALSE' ? [] : [`(${of} AND ${facts.reads})`]),
      ...(facts.reads === 'TRUE' ? [] : [`(${of} AND NOT ${facts.reads} ORDER BY j.seq LIMIT 2)`]),
    ];
  });
  return { sql: `SELECT * FROM (${parts.join(' UNION ALL ')}) open_jobs ORDER BY seq`, times: parts.length };
}

interface Row {
  kind: JobKind;
  id: string;
  seq: string;
  status: OpenJob['status'];
  delivery: number;
  priority: number;
  pool: string;
  error_code: string | null;
  error_detail: string | null;
  effect: Effect;
  awaits: number;
  waits: number;
  due_in_ms: string;
}

const FIRST_OPEN = selectFirstOpen();
const TURN_CANDIDATES = selectTurnCandidates();

/** The job of the chain that is released or running; where none is, the first that is queued. */
export async function firstOpen(
  db: Pick<EntityManager, 'query'>,
  chainId: string,
): Promise<OpenJob | undefined> {
  return (await ofChain(db, FIRST_OPEN, chainId))[0];
}

/** The jobs of the chain of which one has the next turn: nobody else can. In the order of their positions. */
export async function turnCandidates(db: Pick<EntityManager, 'query'>, chainId: string): Promise<OpenJob[]> {
  return ofChain(db, TURN_CANDIDATES, chainId);
}

async function ofChain(
  db: Pick<EntityManager, 'query'>,
  { sql, times }: OverKinds,
  chainId: string,
): Promise<OpenJob[]> {
  const rows = await db.query<Row[]>(
    sql,
    Array.from({ length: times }, () => chainId),
  );
  return rows.map(toOpenJob);
}

function toOpenJob(row: Row): OpenJob {
  const awaits = Number(row.awaits) === 1;
  const dueInMs = Number(row.due_in_ms);
  return {
    kind: row.kind,
    id: row.id,
    seq: Number(row.seq),
    status: row.status,
    delivery: row.delivery,
    priority: row.priority,
    pool: row.pool,
    errorCode: row.error_code,
    errorDetail: row.error_detail,
    effect: row.effect,
    waits: awaits || Number(row.waits) === 1,
    dueInMs: awaits ? null : dueInMs > LONGEST_DELAY_MS + 1000 ? 0 : dueInMs,
  };
}
