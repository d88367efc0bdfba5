import { JOB_KINDS, type JobKind, type JobStatus, JOB_STATES } from '../../shared/jobs.js';
import type { DataSource } from 'typeorm';
import type { JobProgress } from '../../entities/index.js';
import { parseJson } from './journal.js';
import { JOB_TABLES } from './kinds.js';
import { select } from '../page.js';

/** A job as its state and progress are at one instant. */
export interface JobState {
  id: string;
  kind: JobKind;
  chainId: string;
  seq: number;
  delivery: number;
  status: JobStatus;
  cancelRequested: boolean;
  progress: JobProgress | null;
  errorCode: string | null;
  errorDetail: string | null;
}

interface Row {
  id: string;
  kind: JobKind;
  chain_id: string;
  seq: string;
  delivery: number;
  status: JobStatus;
  cancel_requested: number;
  progress: unknown;
  error_code: string | null;
  error_detail: string | null;
}

/** Chains asked about in one statement. */
const CHAINS_PER_STATEMENT = 200;

/** The database's clock. */
export async function databaseNow(ds: DataSource): Promise<Date> {
  const [row] = await select<{ now: Date }>(ds, 'SELECT UTC_TIMESTAMP(3) AS now');
  if (!row) throw new TypeError('SELECT without FROM gave no row.');
  return row.now;
}

/** The jobs that are released or running: at most one per chain. */
export function readHeads(ds: DataSource): Promise<JobState[]> {
  return readStates(ds, `j.status IN ('released', 'running')`, []);
}

/** States of jobs that were accepted not long ago, for a statement. */
const YOUNG = JOB_STATES.filter((state) => state !== 'expired')
  .map((state) => `'${state}'`)
  .join(', ');

/** The jobs that were accepted at `since` or later, by the database's clock. */
export function readCreatedSince(ds: DataSource, since: Date): Promise<JobState[]> {
  // All states are named so that the index on (status, created_at) serves the range.
  return readStates(ds, `j.status IN (${YOUNG}) AND j.created_at >= ?`, [since]);
}

/** A piece of a chain's FIFO: positions `first` to `last`, both included. */
export interface FifoPiece {
  chainId: string;
  first: number;
  last: number;
}

/** The jobs in these pieces of chains' FIFOs. */
export async function readPieces(ds: DataSource, pieces: readonly FifoPiece[]): Promise<JobState[]> {
  const found: JobState[] = [];
  for (let from = 0; from < pieces.length; from += CHAINS_PER_STATEMENT) {
    const slice = pieces.slice(from, from + CHAINS_PER_STATEMENT);
    const where = slice.map(() => '(j.chain_id = ? AND j.seq BETWEEN ? AND ?)').join(' OR ');
    const values = slice.flatMap(({ chainId, first, last }) => [chainId, first, last]);
    found.push(...(await readStates(ds, `(${where})`, values)));
  }
  return found;
}

async function readStates(ds: DataSource, where: string, values: unknown[]): Promise<JobState[]> {
  const parts = JOB_KINDS.map(
    (kind) =>
      `SELECT j.id, '${kind}' AS kind, j.chain_id, j.seq, j.delivery, j.status, j.cancel_requested, j.progress, j.error_code,
              j.error_detail
       FROM ${JOB_TABLES[kind]} j WHERE ${where}`,
  );
  const rows = await select<Row>(
    ds,
    parts.join(' UNION ALL '),
    JOB_KINDS.flatMap(() => values),
  );
  return rows.map((row) => ({
    id: row.id,
    kind: row.kind,
    chainId: row.chain_id,
    seq: Number(row.seq),
    delivery: row.delivery,
    status: row.status,
    cancelRequested: Number(row.cancel_requested) === 1,
    progress: parseJson<JobProgress | null>(row.progress),
    errorCode: row.error_code,
    errorDetail: row.error_detail,
  }));
}
