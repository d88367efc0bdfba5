import type { Extent } from './extents.js';

/** A range of a backup's disk that is not what was backed up, in bytes. */
export interface KnownRange extends Extent {
  /** The backup whose file holds it. */
  in_backup: string;
  /** The disk below the repository does not give it; else it reads otherwise than it was written. */
  unreadable: boolean;
}

/** What deep validations have found of a backup, for whoever is refused it: in the form of the API. */
export interface KnownDamage {
  /** The ranges are all that was found wrong. Else a file is wrong as a whole, or nothing has said where. */
  located: boolean;
  /** How many ranges there are; at least so many where `located` is false. */
  count: number;
  /** All of them together. */
  bytes: number;
  /** The first of them, in the order of the disk. */
  ranges: KnownRange[];
}

/** True for what looks like it: details of errors, and answers of a server, may be anything. */
export function isKnownDamage(value: unknown): value is KnownDamage {
  if (typeof value !== 'object' || value === null) return false;
  const { located, count, bytes, ranges } = value as Record<string, unknown>;
  return (
    typeof located === 'boolean' &&
    typeof count === 'number' &&
    typeof bytes === 'number' &&
    Array.isArray(ranges) &&
    ranges.every(isKnownRange)
  );
}

function isKnownRange(value: unknown): value is KnownRange {
  if (typeof value !== 'object' || value === null) return false;
  const { offset, length, in_backup: inBackup, unreadable } = value as Record<string, unknown>;
  return (
    typeof offset === 'number' &&
    typeof length === 'number' &&
    typeof inBackup === 'string' &&
    typeof unreadable === 'boolean'
  );
}
