import type { BackupType, Health } from '../../entities/index.js';

/** A file of a chain: a restore point, or an expired backup whose file is still there. */
export interface LayerFact {
  id: string;
  seq: number;
  parentId: string | null;
  type: BackupType;
  status: 'completed' | 'expired';
  health: Health;
  /** A restore or a merge has read content that is not what was written. */
  contentWrong: boolean;
  /** Not to be removed yet: `protected_until`, or the repository's `immutable_days`. */
  protected: boolean;
  /** A restore of it is waiting or running. */
  inUse: boolean;
  /** Images in its directory that the catalogue does not know and that stand on it. */
  strangers: number;
  /** Bytes that its file takes. */
  sizeBytes: number;
  virtualSize: number;
  contentId: string;
  /** Image, relative to the repository's root. */
  path: string;
}

/** Nothing speaks against its own file or its content. */
export function isSound({ health, contentWrong }: LayerFact): boolean {
  return health === 'ok' && !contentWrong;
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
