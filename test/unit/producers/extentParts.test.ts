import { expect } from 'chai';
import fc from 'fast-check';
import { packExtents } from '../../../src/producers/accept/extentParts.js';
import type { Extent } from '../../../src/shared/extents.js';

const PART_BYTES = 256 * 1024;

/** As the worker reads them. */
function unpack(parts: Iterable<Buffer>): Extent[] {
  const extents: Extent[] = [];
  for (const part of parts) {
    for (let at = 0; at < part.length; at += 16) {
      extents.push({
        offset: Number(part.readBigUInt64LE(at)),
        length: Number(part.readBigUInt64LE(at + 8)),
      });
    }
  }
  return extents;
}

describe('A change list as it is stored', () => {
  it('holds every extent as it was, up to the largest numbers', () =>
    fc.assert(
      fc.property(fc.array(fc.record({ offset: fc.maxSafeNat(), length: fc.maxSafeNat() })), (extents) => {
        expect(unpack(packExtents(extents))).to.deep.equal(extents);
      }),
    ));

  it('is cut into parts of 256 KiB, none of which is written again when the next is made', () => {
    const extents = Array.from({ length: 20_000 }, (_, n) => ({ offset: n * 2 ** 33, length: n + 1 }));
    const parts = [...packExtents(extents)];
    expect(parts.map(({ length }) => length)).to.deep.equal([PART_BYTES, 20_000 * 16 - PART_BYTES]);
    expect(unpack(parts)).to.deep.equal(extents);
    expect([...packExtents([])]).to.deep.equal([]);
  });
});
