import { type Extent, totalLength } from './extents.js';

/**
 * Ranges in order, with those that touch joined where `same` says that they are of one kind.
 * @param ranges in increasing order, without overlaps
 */
export function joinRanges<T extends Extent>(
  ranges: readonly T[],
  same: (a: T, b: T) => boolean = () => true,
): T[] {
  const joined: T[] = [];
  for (const range of ranges) {
    const last = joined.at(-1);
    if (last && last.offset + last.length === range.offset && same(last, range)) last.length += range.length;
    else joined.push({ ...range });
  }
  return joined;
}

/** The parts of `ranges` that are not in `holes`; both in increasing order, without overlaps. */
export function subtractRanges<T extends Extent>(ranges: readonly T[], holes: readonly Extent[]): T[] {
  const left: T[] = [];
  let next = 0;
  for (const range of ranges) {
    let from = range.offset;
    const end = range.offset + range.length;
    while (next < holes.length && endOf(holes[next]) <= from) next++;
    for (let at = next; from < end; at++) {
      const hole = holes[at];
      const to = Math.min(end, hole?.offset ?? end);
      if (to > from) left.push({ ...range, offset: from, length: to - from });
      from = hole ? Math.max(to, endOf(hole)) : end;
    }
  }
  return left;
}

/** All of both, in order, those that overlap joined. */
export function unionRanges(a: readonly Extent[], b: readonly Extent[]): Extent[] {
  const union: Extent[] = [];
  for (const { offset, length } of [...a, ...b].sort((x, y) => x.offset - y.offset)) {
    const last = union.at(-1);
    if (last && endOf(last) >= offset) last.length = Math.max(endOf(last), offset + length) - last.offset;
    else union.push({ offset, length });
  }
  return union;
}

function endOf(range: Extent | undefined): number {
  return range ? range.offset + range.length : 0;
}

/** Ranges that a message names. */
const MOST_NAMED = 4;

/** `3 ranges of 196608 bytes (65536+131072, ...)` */
export function nameRanges(ranges: readonly Extent[]): string {
  const named = ranges.slice(0, MOST_NAMED).map(({ offset, length }) => `${offset}+${length}`);
  const more = ranges.length > MOST_NAMED ? ', ...' : '';
  const count = ranges.length === 1 ? 'the range' : `${ranges.length} ranges`;
  return `${count} of ${totalLength(ranges)} bytes (${named.join(', ')}${more})`;
}
