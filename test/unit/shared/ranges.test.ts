import { expect } from 'chai';
import fc from 'fast-check';
import type { Extent } from '../../../src/shared/extents.js';
import { joinRanges, subtractRanges, unionRanges } from '../../../src/shared/ranges.js';

const SIZE = 40;

/** Ranges in order that do not overlap, and may touch. */
const ranges = fc.uniqueArray(fc.integer({ min: 0, max: SIZE }), { maxLength: 12 }).map((bounds) => {
  const sorted = bounds.toSorted((a, b) => a - b);
  return sorted.flatMap((offset, i): Extent[] => {
    const end = sorted[i + 1];
    return end === undefined || i % 3 === 2 ? [] : [{ offset, length: end - offset }];
  });
});

const units = (list: readonly Extent[]) =>
  Array.from({ length: SIZE + 1 }, (_, unit) =>
    list.some(({ offset, length }) => offset <= unit && unit < offset + length),
  );
const inOrder = (list: readonly Extent[]) =>
  list.every(({ offset, length }, i) => length > 0 && offset >= endOf(list[i - 1]));
const endOf = (range: Extent | undefined) => (range ? range.offset + range.length : 0);

describe('ranges', () => {
  it('are subtracted unit by unit', () => {
    fc.assert(
      fc.property(ranges, ranges, (a, b) => {
        const left = subtractRanges(a, b);
        const holes = units(b);
        expect(units(left)).to.deep.equal(units(a).map((is, unit) => is && !holes[unit]));
        expect(inOrder(left)).to.equal(true);
      }),
    );
  });

  it('are united unit by unit, and joined where they touch', () => {
    fc.assert(
      fc.property(ranges, ranges, (a, b) => {
        const union = unionRanges(a, b);
        const others = units(b);
        expect(units(union)).to.deep.equal(units(a).map((is, unit) => is || others[unit]));
        expect(joinRanges(union)).to.deep.equal(union);
      }),
    );
  });

  it('are joined only where they are of one kind', () => {
    const list = [
      { offset: 0, length: 1, of: 'a' },
      { offset: 1, length: 1, of: 'a' },
      { offset: 2, length: 1, of: 'b' },
      { offset: 4, length: 1, of: 'b' },
    ];
    expect(joinRanges(list, (a, b) => a.of === b.of)).to.deep.equal([
      { offset: 0, length: 2, of: 'a' },
      { offset: 2, length: 1, of: 'b' },
      { offset: 4, length: 1, of: 'b' },
    ]);
    expect(list[0]).to.deep.equal({ offset: 0, length: 1, of: 'a' });
  });
});
