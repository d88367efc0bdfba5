import type { DataSource } from '../db/database.js';
import type { Delivery } from '../db/jobs/kinds.js';
import type { JobProgress } from '../entities/index.js';
import type { StrataError } from '../shared/errors.js';
import type { Clock } from '../shared/clock.js';

/** What every service is built with. */
export interface ServiceDeps {
  ds: DataSource;
  clock: Clock;
  /** Private directory (mode 0700, short path) of this process for unix sockets. */
  scratchDir: string;
  /** Which sources may be read. */
  sourcePolicy: { roots: string[]; nbdAllow: string[]; nbdTimeoutMs?: number };
  /** Directories that restores may write to. */
  restoreRoots: string[];
}

/** Tells how far a job is; called often, the receiver thins it out. */
export type ReportProgress = (progress: Pick<JobProgress, 'phase' | 'bytes_done' | 'bytes_total'>) => void;

/** What a service hands back: the next job of the chain, which the caller puts into the queue. */
export interface Outcome {
  next: Delivery | undefined;
  /** What went wrong after the commit, and harms nothing. */
  warning?: StrataError;
}
