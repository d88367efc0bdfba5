import type { JobKind } from '../../entities/index.js';

/** One table a kind; the kinds share the columns of ChainJob and one FIFO per chain. */
export const JOB_TABLES: Record<JobKind, string> = {
  backup: 'backup_jobs',
  maintenance: 'maintenance_jobs',
  restore: 'restore_jobs',
};

export const JOB_KINDS = Object.keys(JOB_TABLES) as JobKind[];

const PREFIXES: Record<string, JobKind> = { bkp: 'backup', mnt: 'maintenance', rst: 'restore' };

/** The kind that an id's prefix names, or undefined. */
export function kindOfJob(id: string): JobKind | undefined {
  return PREFIXES[id.slice(0, id.indexOf('_'))];
}

/** No job waits longer than this for its next try, in milliseconds. */
export const LONGEST_DELAY_MS = 600_000;

/** A job that a queue entry is wanted for. */
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
  /** Why the job is delivered late, or before others, in words for Bull Board; absent where there is nothing to say. */
  note?: string;
}
