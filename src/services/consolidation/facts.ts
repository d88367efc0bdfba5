import type { Layer } from '../chain/index.js';

/** A layer, and what its directory says of it. */
export interface PlannedLayer extends Layer {
  /** Images in its directory that the catalogue does not know and that stand on it; absent where nobody has looked. */
  strangers?: number;
}

/** Why a backup that is not to be kept stays, with what it means. Codes are never renamed: scripts match on them. */
export const REFUSALS = {
  protected: 'It is protected, by a date of its own or by the immutable days of its repository.',
  in_use: 'A restore of it is waiting or running.',
  fan_out: 'Several backups that stay stand on it.',
  stranger: 'An image that the catalogue does not know stands on it: `strata repo rebuild` may take that in.',
  damaged: 'It cannot be merged away, because what would be merged is not healthy.',
} as const;

export type RefusalCode = keyof typeof REFUSALS;

export interface Refusal {
  backup_id: string;
  reason: RefusalCode;
}

/** One step of a plan; printable as it is. */
export type PlanStep =
  | {
      action: 'remove';
      backup_id: string;
      /** `expired`: an earlier job has begun it. */
      reason: 'not_kept' | 'expired';
      /** What its file takes. */
      bytes: number;
    }
  | {
      action: 'merge';
      /** The backup whose file takes in those that it stands on. */
      backup_id: string;
      /** Those, topmost first; the last one is the base. */
      removes: string[];
      /** What the merged file stands on; null for nothing. */
      onto: string | null;
      reason: 'stands_on_removed';
      /** The most that comes free, where no part of the disk has become zero since: then more does. */
      bytes: number;
    };

export interface MergePlan {
  steps: PlanStep[];
  refused: Refusal[];
}
