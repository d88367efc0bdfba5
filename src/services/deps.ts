import { type Delivery } from '../shared/jobs.js';
import type { DataSource } from '../db/database.js';
import type { JobProgress } from '../entities/index.js';
import type { StrataError } from '../shared/errors.js';
import type { Sandbox } from '../qcow2/index.js';
import type { Clock } from '../shared/clock.js';
import type { PushSettings } from '../shared/pushSettings.js';

/** What every service is built with. */
export interface ServiceDeps {
  ds: DataSource;
  clock: Clock;
  /** Private directory (mode 0700, short path) of this process for unix sockets. */
  scratchDir: string;
  /** Which sources may be read. */
  sourcePolicy: { roots: string[]; nbdAllow: string[]; nbdTimeoutMs?: number; sandbox?: Sandbox };
  /** Directories that restores may write to. */
  restoreRoots: string[];
  push: PushRules;
  /** How trackers are looked after. */
  audit: AuditSettings;
}

export interface AuditSettings {
  /** Blocks that a tracker calls unchanged and that are read nevertheless, per backup; 0 switches the audit off. */
  blocks: number;
  /** They are at most this part of the disk, in millionths. */
  ppm: number;
  /** After a lie, so many further backups compare the whole disk. */
  distrustBackups: number;
}

/** How agents reach the exports that they push backups to. */
export interface PushRules extends PushSettings {
  /** Names this host: its workers share one pool of ports. */
  node: string;
  /** Milliseconds for which a chain is kept for an agent that has not come, while a job that only reads could have it. */
  patienceMs: number;
}

/** An agent that follows its backup connects within seconds; one that has not for so long is busy elsewhere or gone. */
export const PUSH_PATIENCE_MS = 30_000;

/** Tells how far a job is; called often, the receiver thins it out. */
export type ReportProgress = (progress: Pick<JobProgress, 'phase' | 'bytes_done' | 'bytes_total'>) => void;

/** What a service hands back: the next job of the chain, which the caller puts into the queue. */
export interface Outcome {
  next: Delivery | undefined;
  /** What went wrong after the commit, and harms nothing. */
  warning?: StrataError;
}
