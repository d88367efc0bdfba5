import type { DamageReach, LayerDamage, LayerProof, StoredRange } from '../../entities/index.js';
import { BLOCK_SIZE, type Extent } from '../../shared/extents.js';
import { joinRanges, subtractRanges } from '../../shared/ranges.js';

/** Ranges of the guest disk in bytes, in order, that do not touch. */
export interface Damage {
  /** Read otherwise than they were written. */
  wrong: Extent[];
  /** Of which that could not be told: the disk does not give them. */
  unproved: Extent[];
}

/** A range of a restore point, with the backup whose file holds it. */
export interface ReachedRange extends Extent {
  backupId: string;
}

/** What of a restore point is damaged, by its own file and those below. */
export interface Reach {
  wrong: ReachedRange[];
  unproved: ReachedRange[];
}

export const NO_DAMAGE: Damage = { wrong: [], unproved: [] };
export const NO_REACH: Reach = { wrong: [], unproved: [] };

/**
 * Ranges that are kept of one file, of which one last range reaches to the end where there are more; and of a restore point,
 * where the rest is left out.
 */
export const MOST_RANGES = 4096;

/** What is known to be wrong with a file: of a reading that is under way, and from there on of the one before. Pure. */
export function knownDamage(proof: Pick<LayerProof, 'damage' | 'pass'> | undefined): Damage {
  const { damage, pass } = proof ?? { damage: null, pass: null };
  const passed = [{ offset: 0, length: (pass?.up_to ?? 0) * BLOCK_SIZE }];
  const known = (list: keyof LayerDamage) =>
    joinRanges([
      ...fromStored(pass?.[list] ?? []),
      ...subtractRanges(fromStored(damage?.[list] ?? []), passed),
    ]);
  return { wrong: known('wrong'), unproved: known('unproved') };
}

export function fromStored(ranges: readonly StoredRange[]): Extent[] {
  return ranges.map(([offset, length]) => ({ offset, length }));
}

/** In order, joined, and not too many. */
export function toStored(ranges: readonly Extent[]): StoredRange[] {
  const joined = joinRanges(ranges);
  const rest = joined.splice(MOST_RANGES - 1);
  const [first, last] = [rest[0], rest.at(-1)];
  if (first && last) joined.push({ offset: first.offset, length: last.offset + last.length - first.offset });
  return joined.map(({ offset, length }) => [offset, length]);
}

/** NULL where there is none. */
export function storedDamage(damage: Damage): LayerDamage | null {
  const stored = { wrong: toStored(damage.wrong), unproved: toStored(damage.unproved) };
  return stored.wrong.length + stored.unproved.length > 0 ? stored : null;
}

export function reachOf(stored: DamageReach | null | undefined): Reach {
  const list = (ranges: DamageReach['wrong'] = []) =>
    ranges.map(([offset, length, backupId]) => ({ offset, length, backupId }));
  return { wrong: list(stored?.wrong), unproved: list(stored?.unproved) };
}

export function storedReach({ wrong, unproved }: Reach): DamageReach | null {
  if (wrong.length + unproved.length === 0) return null;
  const list = (ranges: readonly ReachedRange[]) =>
    ranges
      .slice(0, MOST_RANGES)
      .map(({ offset, length, backupId }): DamageReach['wrong'][number] => [offset, length, backupId]);
  return { wrong: list(wrong), unproved: list(unproved) };
}
