import type { EntityManager } from 'typeorm';
import type { JobKind, JobStatus } from '../../entities/index.js';
import { ERRORS, type ErrorCode } from '../../shared/errorCodes.js';
import { JOB_KINDS, JOB_TABLES, LONGEST_DELAY_MS } from './kinds.js';
import type { Effect, Turn } from './order.js';

/** A job that has not ended. */
export interface OpenJob extends Turn {
  kind: JobKind;
  id: string;
  seq: number;
  status: Extract<JobStatus, 'queued' | 'released' | 'running'>;
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

const UNFINISHED = `('queued', 'released', 'running')`;

const EFFECTS: Record<JobKind, string> = {
  backup: `'adds'`,
  maintenance: `IF(j.type = 'validate', 'reads', 'changes')`,
  restore: `'reads'`,
};

const AWAITS_EXTENTS: Record<JobKind, string> = {
  backup: 'j.awaits_extents_until IS NOT NULL',
  maintenance: '0',
  restore: '0',
};

/** A job that has no lease waits while its pause after such a code lasts. Longer pauses than anybody asks for are a clock that was set back. */
const WAITS = `j.status <> 'running' AND j.not_before > UTC_TIMESTAMP(3)
  AND j.not_before <= UTC_TIMESTAMP(3) + INTERVAL ${LONGEST_DELAY_MS / 1000 + 1} SECOND
  AND j.error_code IN (${WAITING_CODES.map((code) => `'${code}'`).join(', ')})`;

function columns(kind: JobKind): string {
  return `SELECT '${kind}' AS kind, j.id, j.seq, j.status, j.delivery, j.priority, r.pool, j.error_code, j.error_detail,
    ${EFFECTS[kind]} AS effect, ${AWAITS_EXTENTS[kind]} AS awaits, COALESCE(${WAITS}, 0) AS waits,
    GREATEST(0, COALESCE(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), j.not_before) DIV 1000, 0)) AS due_in_ms
   FROM ${JOB_TABLES[kind]} j JOIN repositories r ON r.id = j.repository_id
   WHERE j.chain_id = ? AND j.status IN ${UNFINISHED}`;
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

/** The job of the chain that is released or running; where none is, the first that is queued. */
export async function firstOpen(
  db: Pick<EntityManager, 'query'>,
  chainId: string,
): Promise<OpenJob | undefined> {
  const rows = await db.query<Row[]>(
    `SELECT * FROM (${JOB_KINDS.map(columns).join(' UNION ALL ')}) open_jobs ORDER BY status = 'queued', seq LIMIT 1`,
    JOB_KINDS.map(() => chainId),
  );
  return rows.map(toOpenJob)[0];
}

/** Jobs that only read, and of the others the first two of each kind: nobody else can have the next turn. In the order of their positions. */
export async function turnCandidates(db: Pick<EntityManager, 'query'>, chainId: string): Promise<OpenJob[]> {
  const parts = [
    columns('restore'),
    `${columns('maintenance')} AND j.type = 'validate'`,
    `${columns('maintenance')} AND j.type <> 'validate' ORDER BY j.seq LIMIT 2`,
    `${columns('backup')} ORDER BY j.seq LIMIT 2`,
  ];
  const rows = await db.query<Row[]>(
    `SELECT * FROM (${parts.map((part) => `(${part})`).join(' UNION ALL ')}) open_jobs ORDER BY seq`,
    parts.map(() => chainId),
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
