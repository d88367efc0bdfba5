/** The kinds of jobs: one table, one queue for each pool and one kind of worker each; one FIFO per chain for all of them. */
export const JOB_KINDS = ['backup', 'maintenance', 'restore'] as const;
export type JobKind = (typeof JOB_KINDS)[number];

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
