import type { JobKind, JobStatus } from '../../shared/jobs.js';
import type { DataSource } from 'typeorm';
import type { JobProgress } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { parseJson } from './journal.js';
import { JOB_TABLES, kindOfJob } from './kinds.js';
import { select } from '../page.js';

/** What jobs of all kinds have in common, and where they work. */
export interface JobFacts {
  id: string;
  kind: JobKind;
  type: string;
  status: JobStatus;
  /** Or the line of its repository; then the three below are null. */
  chainId: string;
  vmContextId: string | null;
  vmName: string | null;
  diskId: number | null;
  repositoryId: string;
  attempts: number;
  cancelRequested: boolean;
  progress: JobProgress | null;
  errorCode: string | null;
  errorDetail: string | null;
  result: Record<string, unknown> | null;
  notBefore: Date | null;
  parkedAt: Date | null;
  awaitsExtentsUntil: Date | null;
  createdAt: Date;
  startedAt: Date | null;
  completedAt: Date | null;
}

interface Row {
  id: string;
  type: string;
  status: JobStatus;
  chain_id: string;
  vm_context_id: string | null;
  vm_name: string | null;
  disk_id: number | null;
  repository_id: string;
  attempts: number;
  cancel_requested: number;
  progress: unknown;
  error_code: string | null;
  error_detail: string | null;
  result: unknown;
  not_before: Date | null;
  parked_at: Date | null;
  awaits_extents_until: Date | null;
  created_at: Date;
  started_at: Date | null;
  completed_at: Date | null;
}

/** Columns that differ between the kinds. */
const OWN_COLUMNS: Record<JobKind, string> = {
  backup: 'COALESCE(j.backup_type, j.requested_type) AS type, NULL AS result, j.awaits_extents_until',
  maintenance: 'j.type AS type, j.result AS result, NULL AS awaits_extents_until',
  restore: `'restore' AS type, j.result AS result, NULL AS awaits_extents_until`,
};

/**
 * A job of any kind; the prefix of its id says which.
 * @throws not_found
 */
export async function getJob(ds: DataSource, id: string): Promise<JobFacts> {
  const kind = kindOfJob(id);
  const rows = kind ? await selectJob(ds, kind, id) : [];
  const row = rows[0];
  if (!kind || !row) throw new StrataError('not_found', `There is no job ${id}.`);
  return {
    id: row.id,
    kind,
    type: row.type,
    status: row.status,
    chainId: row.chain_id,
    vmContextId: row.vm_context_id,
    vmName: row.vm_name,
    diskId: row.disk_id,
    repositoryId: row.repository_id,
    attempts: row.attempts,
    cancelRequested: Number(row.cancel_requested) === 1,
    progress: parseJson<JobProgress | null>(row.progress),
    errorCode: row.error_code,
    errorDetail: row.error_detail,
    result: parseJson<Record<string, unknown> | null>(row.result),
    notBefore: row.not_before,
    parkedAt: row.parked_at,
    awaitsExtentsUntil: row.awaits_extents_until,
    createdAt: row.created_at,
    startedAt: row.started_at,
    completedAt: row.completed_at,
  };
}

function selectJob(ds: DataSource, kind: JobKind, id: string): Promise<Row[]> {
  return select<Row>(
    ds,
    `SELECT j.id, j.status, j.chain_id, c.vm_context_id, v.vm_name, c.disk_id, j.repository_id, j.attempts,
            j.cancel_requested, j.progress, j.error_code, j.error_detail, j.not_before, j.parked_at, j.created_at, j.started_at, j.completed_at,
            ${OWN_COLUMNS[kind]}
     FROM ${JOB_TABLES[kind]} j JOIN backup_chains c ON c.id = j.chain_id
     LEFT JOIN vm_contexts v ON v.vm_context_id = c.vm_context_id WHERE j.id = ?`,
    [id],
  );
}
