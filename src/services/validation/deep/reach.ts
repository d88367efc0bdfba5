import { type Damage, NO_REACH, type Reach, type ReachedRange } from '../../chain/index.js';
import type { Extent } from '../../../shared/extents.js';
import { joinRanges, subtractRanges, unionRanges } from '../../../shared/ranges.js';

interface Layer {
  id: string;
  parentId: string | null;
}

/**
 * What of each restore point is damaged: what is wrong with its own file, and what is wrong below and not written over by a
 * layer in between. One look at the index of each layer that stands on damage, and none where there is no damage.
 * @param rows parents before what stands on them
 * @param provided the parts of the ranges that a layer provides itself; undefined where that is not known: then what lies
 *   below it may reach through, which is not proved
 */
export async function reachOfDamage<T extends Layer>(
  rows: readonly T[],
  damageOf: (row: T) => Damage,
  provided: (row: T, ranges: readonly Extent[]) => Promise<Extent[] | undefined>,
): Promise<Map<string, Reach>> {
  const reaches = new Map<string, Reach>();
  for (const row of rows) {
    const parent = (row.parentId !== null && reaches.get(row.parentId)) || NO_REACH;
    reaches.set(row.id, await reachOf(row, parent, damageOf(row), provided));
  }
  return reaches;
}

async function reachOf<T extends Layer>(
  row: T,
  parent: Reach,
  own: Damage,
  provided: (row: T, ranges: readonly Extent[]) => Promise<Extent[] | undefined>,
): Promise<Reach> {
  const below = unionRanges(parent.wrong, parent.unproved);
  const covered = below.length === 0 ? [] : await provided(row, below);
  const hidden = unionRanges(unionRanges(own.wrong, own.unproved), covered ?? []);
  const wrong = subtractRanges(parent.wrong, hidden);
  const unproved = subtractRanges(parent.unproved, hidden);
  // Without the layer's index nothing says what of the damage shows through it.
  const sure = covered === undefined ? [] : wrong;
  const unsure = covered === undefined ? [...wrong, ...unproved] : unproved;
  return {
    wrong: merged(sure, own.wrong, row.id),
    unproved: merged(unsure, own.unproved, row.id),
  };
}

function merged(below: readonly ReachedRange[], own: readonly Extent[], id: string): ReachedRange[] {
  const all = [...below, ...own.map(({ offset, length }) => ({ offset, length, backupId: id }))];
  return joinRanges(
    all.sort((a, b) => a.offset - b.offset),
    (a, b) => a.backupId === b.backupId,
  );
}

/** What a layer's runs have of the ranges, in order: all runs are taken, so that the index has been checked. */
export async function withinRanges(
  runs: AsyncIterable<Extent>,
  ranges: readonly Extent[],
): Promise<Extent[]> {
  const within: Extent[] = [];
  let next = 0;
  for await (const { offset, length } of runs) {
    while (endOf(ranges[next]) <= offset) next++;
    for (let at = next; at < ranges.length; at++) {
      const from = Math.max(offset, ranges[at]?.offset ?? 0);
      const to = Math.min(offset + length, endOf(ranges[at]));
      if (from >= offset + length) break;
      if (to > from) within.push({ offset: from, length: to - from });
    }
  }
  return joinRanges(within);
}

function endOf(range: Extent | undefined): number {
  return range ? range.offset + range.length : Number.POSITIVE_INFINITY;
}
