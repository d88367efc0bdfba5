import { expect } from 'chai';
import fc from 'fast-check';
import { gatherBatches, type HeldRange } from '../../../../src/datapath/engine/batches.js';
import { BATCH_BYTES, type Batch } from '../../../../src/datapath/engine/hashBatch.js';
import { BLOCK_SIZE } from '../../../../src/shared/extents.js';
import { collect } from '../digests/layers.js';

const SIZE = 60 * BLOCK_SIZE + 1536;
const file = { fd: 3 };

async function* stream<T>(items: readonly T[]): AsyncGenerator<T, void, undefined> {
  for (const item of items) yield await Promise.resolve(item);
}

/** Ranges in order without overlaps, at any byte, that lie in a file one after the other, or with gaps between them. */
const arbitraryRanges = fc
  .tuple(
    fc.uniqueArray(fc.integer({ min: 0, max: SIZE }), { minLength: 2, maxLength: 24 }),
    fc.array(fc.constantFrom(0, 4096, 1_000_000), { minLength: 12, maxLength: 12 }),
  )
  .map(([bounds, gaps]) => {
    const sorted = bounds.toSorted((a, b) => a - b);
    let at = 4096;
    return sorted.flatMap((offset, i): HeldRange[] => {
      const end = sorted[i + 1];
      if (i % 2 === 1 || end === undefined) return [];
      const place = { file, offset: at };
      at += end - offset + (gaps[i / 2] ?? 0);
      return [{ offset, length: end - offset, place }];
    });
  });

/** Blocks that are not there, are zero, or hold data, one after the other in a file. */
const arbitraryBlocks = fc
  .array(fc.constantFrom('none', 'zero', 'data'), { minLength: 61, maxLength: 61 })
  .map((kinds) =>
    kinds.flatMap((kind, block): HeldRange[] => {
      const offset = block * BLOCK_SIZE;
      const range = { offset, length: Math.min(BLOCK_SIZE, SIZE - offset) };
      if (kind === 'none') return [];
      return [kind === 'zero' ? { ...range, zero: true } : { ...range, place: { file, offset } }];
    }),
  );

async function gather(ranges: readonly HeldRange[]) {
  const items = await collect(gatherBatches(stream(ranges), SIZE));
  const batches = items.flatMap((item) => ('kind' in item ? [] : [item]));
  const zeros = items.flatMap((item) => ('kind' in item ? [item] : []));
  return { items, batches, zeros };
}

/** Numbers of the blocks that items hold, in their order. */
function numbersOf(blocks: readonly { first: number; end: number }[]): number[] {
  return blocks.flatMap(({ first, end }) => Array.from({ length: end - first }, (_, i) => first + i));
}

/** Where in the file the batches read a byte of the disk. */
function placeOf(batches: readonly Batch[], byte: number): number | undefined {
  for (const { blocks, reads } of batches) {
    const index = numbersOf(blocks).indexOf(Math.floor(byte / BLOCK_SIZE));
    if (index === -1) continue;
    const at = index * BLOCK_SIZE + (byte % BLOCK_SIZE);
    const read = reads.find((each) => each.at <= at && at < each.at + each.length);
    return read?.place && read.place.offset + at - read.at;
  }
  return undefined;
}

describe('Gathered batches', () => {
  it('hold every byte of the ranges once, at its place, in whole blocks that are packed', () =>
    fc.assert(
      fc.asyncProperty(arbitraryRanges, async (ranges) => {
        const { batches } = await gather(ranges);
        for (const { blocks, length } of batches) {
          expect(length).to.be.at.most(BATCH_BYTES);
          expect(Math.ceil(length / BLOCK_SIZE)).to.equal(numbersOf(blocks).length);
        }
        for (const { offset, length, place } of ranges) {
          const inside = Array.from(
            { length: Math.floor(length / BLOCK_SIZE) },
            (_, i) => i * BLOCK_SIZE + 7,
          );
          for (const byte of [0, ...inside, length - 1])
            expect(placeOf(batches, offset + byte)).to.equal((place?.offset ?? 0) + byte);
        }
        const total = (list: readonly { length: number }[]) =>
          list.reduce((sum, { length }) => sum + length, 0);
        expect(total(batches.flatMap(({ reads }) => reads))).to.equal(total(ranges));
      }),
      { numRuns: 200 },
    ));

  it('and runs of zeros between them have every block once and in order', () =>
    fc.assert(
      fc.asyncProperty(arbitraryBlocks, async (ranges) => {
        const { items } = await gather(ranges);
        const found = items.flatMap((item) =>
          'kind' in item
            ? numbersOf([{ first: item.first, end: item.first + item.count }]).map((block) => `zero ${block}`)
            : numbersOf(item.blocks).map((block) => `data ${block}`),
        );
        const expected = ranges.map(({ offset, zero }) => `${zero ? 'zero' : 'data'} ${offset / BLOCK_SIZE}`);
        expect(found).to.deep.equal(expected);
      }),
    ));

  it('are one read where scattered blocks lie together in the file', async () => {
    const ranges = Array.from({ length: 16 }, (_, i): HeldRange => {
      const place = { file, offset: (i + 5) * BLOCK_SIZE };
      return { offset: i * 3 * BLOCK_SIZE, length: BLOCK_SIZE, place };
    });
    const { batches } = await gather(ranges);
    expect(batches.map(({ reads }) => reads)).to.deep.equal([
      [{ at: 0, length: BATCH_BYTES, place: { file, offset: 5 * BLOCK_SIZE } }],
      [{ at: 0, length: BATCH_BYTES, place: { file, offset: 13 * BLOCK_SIZE } }],
    ]);
  });
});
