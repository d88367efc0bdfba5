/** What is to be kept: each number is that of periods that have a restore point, the newest of each period staying. */
export interface KeepRules {
  /** The n newest. */
  last?: number;
  hourly?: number;
  daily?: number;
  weekly?: number;
  monthly?: number;
  yearly?: number;
  /** Everything that is not older than this, in milliseconds, counted back from the newest good point. */
  withinMs?: number;
}

/**
 * `good`: restorable as far as is known. `suspect`, `damaged`: a validation says so of one of its disks. `incomplete`: a
 * disk's backup has failed or was cancelled. `unfinished`: its backups still run.
 */
export type PointState = 'good' | 'suspect' | 'damaged' | 'incomplete' | 'unfinished';

/** A restore point as retention sees it: all disks of a VM at one instant. */
export interface PointFacts {
  id: string;
  createdAt: Date;
  state: PointState;
  /** The latest `protected_until` of its backups. */
  protectedUntil: Date | null;
}

export interface RetentionInput {
  points: readonly PointFacts[];
  rules: KeepRules;
  /** IANA name: days, weeks, months and years begin there. */
  timeZone: string;
  now: Date;
  /** Days for which the repository keeps everything. */
  immutableDays: number;
}

export interface Verdict {
  id: string;
  createdAt: Date;
  state: PointState;
  keep: boolean;
  /** Why it is kept (every rule that does, such as `daily 2026-11-23`), or why it is removed. */
  reasons: string[];
}
