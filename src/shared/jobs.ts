/** The kinds of jobs: one table, one queue for each pool and one kind of worker each; one FIFO per chain for all of them. */
export const JOB_KINDS = ['backup', 'maintenance', 'restore'] as const;
export type JobKind = (typeof JOB_KINDS)[number];

/** The types of maintenance jobs; each has its service in workers/handlers.ts. */
export const MAINTENANCE_TYPES = [
  'validate',
  'reconcile',
  'consolidate',
  'synthetic_full',
  'rebuild',
] as const;
export type MaintenanceType = (typeof MAINTENANCE_TYPES)[number];

/** The types that merge or replace files of a chain: the keeper asks for none while another is open. */
export const MERGING_TYPES = ['consolidate', 'synthetic_full'] as const satisfies readonly MaintenanceType[];

/** The states of a job that has not ended. `queued`: waits for others of its chain; `released`: has its chain's turn. */
export const OPEN_STATES = ['queued', 'released', 'running'] as const;
export type OpenState = (typeof OPEN_STATES)[number];

/** `expired`: a completed backup that is no restore point any more; its file stays while others stand on it. */
export const JOB_STATES = [...OPEN_STATES, 'completed', 'failed', 'cancelled', 'expired'] as const;
export type JobStatus = (typeof JOB_STATES)[number];

/** True until a job has ended. */
export function isOpen(status: JobStatus): status is OpenState {
  return OPEN_STATES.some((open) => open === status);
}

/** A job that wants a queue entry; the database's code and the services return these as data. */
export interface Delivery {
  kind: JobKind;
  jobId: string;
  pool: string;
  /** Makes the queue entry's id unique: a stale entry of the same job does no harm. */
  delivery: number;
  delayMs: number;
  priority: number;
  /** It had begun, and no fault of its own ended that: it goes on before those that have not begun. */
  first?: boolean;
  /** Why it is late or goes before others: a line in the entry's log, which Bull Board shows. */
  note?: string;
}

/** What a `consolidate` removes. A list of what to keep would cost the backups that complete before its turn. */
export interface ConsolidateParams {
  remove: string[];
  /** A policy wants it, and not somebody who has named the backups: the last one that can be relied on stays. */
  by_policy?: true;
}

export type ValidationLevel = 'quick' | 'deep';

/** What a `validate` was asked for. */
export interface ValidateParams {
  level: ValidationLevel;
  /** Deep: files that a validation has read since they were written are not read again. */
  unread_only?: true;
  /** Nobody asked for it: its repository's cadence says so. */
  scheduled?: true;
}

/** What a `rebuild` was asked for: with `dry_run`, to say what it would do. */
export interface RebuildParams {
  dry_run: boolean;
}

/** What a maintenance job was asked for; types that are not here have nothing to ask. */
export type MaintenanceParams = ValidateParams | ConsolidateParams | RebuildParams | Record<string, never>;
