import { MAX_READ_FRAGMENTS } from './constants.js';

/** Which bytes of a read have been answered: an answer must give each exactly once. */
export interface Coverage {
  /** Notes [start, end). 'overlap' if a byte was noted before, 'fragmented' if there are too many separate pieces. */
  add(start: number, end: number): 'added' | 'overlap' | 'fragmented';
  /** True if [0, length) is covered. */
  isComplete(length: number): boolean;
}

interface Span {
  start: number;
  end: number;
}

/** Spans are sorted, disjoint and never adjacent. Servers answer mostly in order, which the binary search finds at the end. */
export function createCoverage(): Coverage {
  const spans: Span[] = [];

  return {
    add(start, end) {
      const at = firstEndingAfter(spans, start);
      const before = spans[at - 1];
      const after = spans[at];
      if (after && after.start < end) return 'overlap';
      const joinsBefore = before !== undefined && before.end === start;
      const joinsAfter = after !== undefined && after.start === end;
      if (joinsBefore && joinsAfter) {
        before.end = after.end;
        spans.splice(at, 1);
      } else if (joinsBefore) before.end = end;
      else if (joinsAfter) after.start = start;
      else if (spans.length >= MAX_READ_FRAGMENTS) return 'fragmented';
      else spans.splice(at, 0, { start, end });
      return 'added';
    },
    isComplete(length) {
      const only = spans[0];
      return length === 0 || (spans.length === 1 && only?.start === 0 && only.end === length);
    },
  };
}

/** Index of the first span that ends after `position`: the only one that could overlap a range that starts there. */
function firstEndingAfter(spans: readonly Span[], position: number): number {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const span = spans[middle];
    if (span && span.end > position) high = middle;
    else low = middle + 1;
  }
  return low;
}
