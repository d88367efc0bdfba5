import { expect } from 'chai';
import * as fc from 'fast-check';
import { createCoverage } from '../../../../src/datapath/nbd/coverage.js';

describe('Coverage of a read', () => {
  it('agrees with a bitmap for any order of ranges', () => {
    const range = fc.record({ start: fc.nat(40), length: fc.integer({ min: 1, max: 12 }) });
    fc.assert(
      fc.property(fc.array(range, { maxLength: 40 }), (ranges) => {
        const coverage = createCoverage();
        const bytes = new Set<number>();
        for (const { start, length } of ranges) {
          const wanted = Array.from({ length }, (_, index) => start + index);
          const overlaps = wanted.some((byte) => bytes.has(byte));
          expect(coverage.add(start, start + length)).to.equal(overlaps ? 'overlap' : 'added');
          if (!overlaps) for (const byte of wanted) bytes.add(byte);
          for (const end of [0, 1, 20, 40, 52]) {
            const isComplete = bytes.size === end && [...bytes].every((byte) => byte < end);
            expect(coverage.isComplete(end)).to.equal(isComplete || end === 0);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('refuses to remember more than 65,536 separate pieces', () => {
    const coverage = createCoverage();
    for (let piece = 0; piece < 65536; piece++)
      expect(coverage.add(piece * 2, piece * 2 + 1)).to.equal('added');
    expect(coverage.add(1_000_000, 1_000_001)).to.equal('fragmented');
    expect(coverage.add(1, 2)).to.equal('added');
  });
});
