import { type Extent, totalLength } from '../../shared/extents.js';

/** Ranges that a message names. */
const MOST_NAMED = 4;

/** `3 ranges of 196608 bytes (65536+131072, ...)` */
export function nameRanges(ranges: readonly Extent[]): string {
  const named = ranges.slice(0, MOST_NAMED).map(({ offset, length }) => `${offset}+${length}`);
  const more = ranges.length > MOST_NAMED ? ', ...' : '';
  const count = ranges.length === 1 ? 'the range' : `${ranges.length} ranges`;
  return `${count} of ${totalLength(ranges)} bytes (${named.join(', ')}${more})`;
}
