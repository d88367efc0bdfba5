import type { DamageReach } from '../../entities/index.js';
import { totalLength } from '../../shared/extents.js';
import type { KnownDamage, KnownRange } from '../../shared/knownDamage.js';
import { MOST_RANGES } from '../chain/index.js';
import { nameRanges } from '../../shared/ranges.js';

/** Ranges that a refusal lists; a validation's report has all. */
const MOST_TOLD = 10;

/**
 * What a refusal tells of the ranges that a restore would have wrong. Pure.
 * @param located all that is wrong with the backup, and with what counts of what it stands on, is so by ranges
 */
export function tellReach(reach: DamageReach | null, located: boolean): KnownDamage {
  const ranges = rangesOf(reach);
  const allStored = [reach?.wrong, reach?.unproved].every((list = []) => list.length < MOST_RANGES);
  return {
    located: located && ranges.length > 0 && allStored,
    count: ranges.length,
    bytes: totalLength(ranges),
    ranges: ranges.slice(0, MOST_TOLD),
  };
}

/** The same in words, for those who see only the message. */
export function describeReach(reach: DamageReach | null, { located, count }: KnownDamage): string {
  if (count === 0) return 'no deep validation has told in which ranges';
  const named = nameRanges(rangesOf(reach));
  return `a restore of it is not right in ${named}${located ? '' : ', and perhaps elsewhere'}`;
}

function rangesOf(reach: DamageReach | null): KnownRange[] {
  const list = (of: DamageReach['wrong'] = [], unreadable: boolean) =>
    of.map(([offset, length, inBackup]) => ({ offset, length, in_backup: inBackup, unreadable }));
  return [...list(reach?.wrong, false), ...list(reach?.unproved, true)].sort((a, b) => a.offset - b.offset);
}
