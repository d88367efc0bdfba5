import { expect } from 'chai';
import fc from 'fast-check';
import { createBlockSet } from '../../../src/shared/blockSet.js';
import { BLOCK_SIZE, type Extent } from '../../../src/shared/extents.js';
import { normaliseExtents } from '../../helpers/normaliseExtents.js';
import { codeOf } from '../../helpers/codeOf.js';

const PAGE = 65_536 * BLOCK_SIZE;

/** Extents around the beginnings and ends of words and pages of the bitmap, and anywhere. */
const arbitraryExtent = fc
  .record({
    page: fc.nat(3),
    unit: fc.oneof(fc.constantFrom(0, 31, 32, 33, 63, 64, 65_503, 65_504, 65_535), fc.nat(65_535)),
    byte: fc.nat(BLOCK_SIZE - 1),
    length: fc.oneof(
      fc.integer({ min: 1, max: 3 * BLOCK_SIZE }),
      fc.integer({ min: 1, max: 40 }).map((n) => n * BLOCK_SIZE),
      fc.integer({ min: 1, max: 2 * PAGE }),
    ),
  })
  .map(({ page, unit, byte, length }) => ({ offset: page * PAGE + unit * BLOCK_SIZE + byte, length }));

function setOf(extents: readonly Extent[], mostPages?: number) {
  const set = createBlockSet(undefined, mostPages);
  for (const extent of extents) set.add(extent, 'x');
  return set;
}

const endOf = (extents: readonly Extent[]) =>
  Math.max(0, ...extents.map(({ offset, length }) => offset + length));

describe('A set of blocks', () => {
  it('holds what normalising the whole list gives, whatever the order, and ends where the list does', () =>
    fc.assert(
      fc.property(fc.array(arbitraryExtent, { maxLength: 30 }), (extents) => {
        expect([...setOf(extents).extents()]).to.deep.equal(normaliseExtents(extents, endOf(extents)));
      }),
    ));

  it('keeps to its memory by calling more blocks changed, never fewer', () =>
    fc.assert(
      fc.property(
        fc.array(arbitraryExtent, { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 3 }),
        (extents, mostPages) => {
          const coarse = [...setOf(extents, mostPages).extents()];
          const exact = normaliseExtents(extents, endOf(extents));
          expect(normaliseExtents([...coarse, ...exact], endOf(extents))).to.deep.equal(coarse);
          const widened = normaliseExtents(
            exact.map(({ offset, length }) => {
              const unit = 8 * BLOCK_SIZE;
              const from = Math.floor(offset / unit) * unit;
              return {
                offset: from,
                length: Math.min(Math.ceil((offset + length) / unit) * unit, endOf(exact)) - from,
              };
            }),
            endOf(extents),
          );
          expect(normaliseExtents([...coarse, ...widened], endOf(extents))).to.deep.equal(widened);
        },
      ),
    ));

  it('holds a million scattered blocks of a disk of 10 TiB in 20 MiB', () => {
    const set = createBlockSet();
    const before = process.memoryUsage().arrayBuffers;
    const blocks = (10 * 1024 ** 4) / BLOCK_SIZE;
    for (let n = 0; n < 1_000_000; n++) {
      const block = (n * 7_919_993) % blocks;
      set.add({ offset: block * BLOCK_SIZE + 4096, length: 512 }, 'x');
    }
    expect(process.memoryUsage().arrayBuffers - before).to.be.lessThan(21 * 1024 * 1024);
    let count = 0;
    for (const { length } of set.extents()) count += Math.ceil(length / BLOCK_SIZE);
    expect(count).to.equal(1_000_000);
  });

  it('refuses what is no extent, or lies beyond the end of the disk', async () => {
    const set = createBlockSet(10 * BLOCK_SIZE);
    const add = (offset: number, length: number) =>
      codeOf(Promise.resolve().then(() => set.add({ offset, length }, 'x')));
    expect(await add(-1, 1)).to.equal('extents_invalid');
    expect(await add(0, 0)).to.equal('extents_invalid');
    expect(await add(0.5, 1)).to.equal('extents_invalid');
    expect(await add(10 * BLOCK_SIZE - 1, 2)).to.equal('extents_out_of_range');
    expect([...set.extents()]).to.deep.equal([]);
  });
});
