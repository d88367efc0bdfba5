import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { alignExtents } from '../../../../src/datapath/engine/align.js';
import { planChunks } from '../../../../src/datapath/engine/chunks.js';
import { differingExtents } from '../../../../src/datapath/engine/differences.js';
import { orderedMap } from '../../../../src/datapath/engine/orderedMap.js';
import { inScope } from '../../../../src/datapath/engine/scope.js';
import { BLOCK_SIZE, type Extent } from '../../../../src/shared/extents.js';
import { normaliseExtents } from '../../../helpers/normaliseExtents.js';
import { arbitraryCells, collect, runsOfCells } from '../digests/layers.js';

const SIZE = 40 * BLOCK_SIZE + 1536;

async function* stream<T>(items: readonly T[]): AsyncGenerator<T, void, undefined> {
  for (const item of items) yield await Promise.resolve(item);
}

/** Extents in order without overlaps, at any byte. */
const arbitraryExtents = fc
  .uniqueArray(fc.integer({ min: 0, max: SIZE }), { minLength: 2, maxLength: 16 })
  .map((bounds) => {
    const sorted = bounds.toSorted((a, b) => a - b);
    return sorted.flatMap((offset, i): Extent[] => {
      const end = sorted[i + 1];
      return i % 2 === 0 && end !== undefined ? [{ offset, length: end - offset }] : [];
    });
  });

/** Bytes of `extent` that lie in `others`, which do not overlap. */
function overlap({ offset, length }: Extent, others: readonly Extent[]): number {
  const parts = others.map(
    (other) => Math.min(offset + length, other.offset + other.length) - Math.max(offset, other.offset),
  );
  return parts.reduce((sum, part) => sum + Math.max(0, part), 0);
}

describe('Aligned extents', () => {
  it('are those that normalising the whole list gives', () =>
    fc.assert(
      fc.asyncProperty(arbitraryExtents, async (extents) => {
        expect(await collect(alignExtents(extents, SIZE))).to.deep.equal(normaliseExtents(extents, SIZE));
      }),
    ));
});

describe('Planned chunks', () => {
  it('cover exactly the extents, and call zero only blocks that are known to be zero as a whole', () =>
    fc.assert(
      fc.asyncProperty(arbitraryExtents, arbitraryExtents, async (extents, zeros) => {
        const size = 4096 * BLOCK_SIZE;
        const scale = ({ offset, length }: Extent) => ({ offset: offset * 64, length: length * 64 });
        const zero = (at: number) => zeros.map(scale).some((z) => at >= z.offset && at < z.offset + z.length);
        const source = {
          sizeBytes: size,
          async *status({ offset, length }: Extent) {
            const bounds = zeros.map(scale).flatMap((z) => [z.offset, z.offset + z.length]);
            const cuts = [
              offset,
              ...bounds.filter((b) => b > offset && b < offset + length),
              offset + length,
            ];
            for (const [i, from] of cuts.entries()) {
              const to = cuts[i + 1];
              if (to !== undefined)
                yield await Promise.resolve({ offset: from, length: to - from, zero: zero(from) });
            }
          },
        };
        const aligned = normaliseExtents(extents.map(scale), size);
        const chunks = await collect(planChunks(stream(aligned), source));
        const joined = normaliseExtents(chunks, size);
        expect(joined).to.deep.equal(aligned);
        expect(chunks.reduce((sum, { length }) => sum + length, 0)).to.equal(
          aligned.reduce((sum, { length }) => sum + length, 0),
        );
        for (const chunk of chunks) {
          expect(chunk.offset % BLOCK_SIZE).to.equal(0);
          if (!chunk.zero) expect(chunk.length).to.be.at.most(512 * 1024);
          else expect(overlap(chunk, zeros.map(scale))).to.equal(chunk.length);
        }
      }),
      { numRuns: 100 },
    ));
});

describe('Differing extents', () => {
  it('are the blocks whose contents differ, whatever the runs', () =>
    fc.assert(
      fc.asyncProperty(arbitraryCells(20), arbitraryCells(20), async (a, b) => {
        const full = (cells: typeof a) => runsOfCells(cells.map((cell) => cell ?? 0));
        const size = 19 * BLOCK_SIZE + 512;
        const extents = await collect(differingExtents(stream(full(a)), stream(full(b)), size));
        const expected = a.flatMap((cell, i) =>
          (cell ?? 0) === (b[i] ?? 0) ? [] : [{ offset: i * BLOCK_SIZE, length: 512 }],
        );
        expect(extents).to.deep.equal(normaliseExtents(expected, size));
      }),
    ));
});

describe('Work side by side', () => {
  it('gives its results in order and never runs more than its slots', () =>
    inScope(undefined, async (scope) => {
      let running = 0;
      let most = 0;
      const items = Array.from({ length: 40 }, (_, i) => i);
      const results = orderedMap({
        items: stream(items),
        slots: ['a', 'b', 'c'],
        work: async (item) => {
          most = Math.max(most, ++running);
          await sleep((item * 7) % 5);
          running--;
          return item;
        },
        scope,
      });
      expect(await collect(results)).to.deep.equal(items);
      expect(most).to.equal(3);
    }));

  it('rejects with the first failure at once, while an earlier piece still hangs', async () => {
    const failure = new Error('the first failure');
    const start = performance.now();
    try {
      await inScope(undefined, async (scope) => {
        const results = orderedMap({
          items: stream([0, 1, 2]),
          slots: [0, 1, 2],
          work: async (item) => {
            if (item === 1) throw failure;
            await sleep(60_000, undefined, { signal: scope.signal });
            return item;
          },
          scope,
        });
        await collect(results);
      });
      expect.fail('It did not reject.');
    } catch (error) {
      expect(error).to.equal(failure);
    }
    expect(performance.now() - start).to.be.below(2000);
  });

  it('rejects with the failure of its items, also through others that take its results', async () => {
    const failure = new Error('no more items');
    async function* failing() {
      yield 0;
      await sleep(1);
      throw failure;
    }
    try {
      await inScope(undefined, async (scope) => {
        const slots = [0, 1];
        const work = async (item: number) => item;
        const inner = orderedMap({ items: failing(), slots, work, scope });
        await collect(orderedMap({ items: inner, slots, work, scope }));
      });
      expect.fail('It did not reject.');
    } catch (error) {
      expect(error).to.equal(failure);
    }
  });

  it('keeps the error of its consumer, and ends what still runs', async () => {
    const failure = new Error('no room');
    let ended = 0;
    try {
      await inScope(undefined, async (scope) => {
        const results = orderedMap({
          items: stream([0, 1, 2, 3]),
          slots: [0, 1],
          work: async (item) => {
            if (item > 0) await sleep(60_000, undefined, { signal: scope.signal }).finally(() => ended++);
            return item;
          },
          scope,
        });
        for await (const result of results) {
          expect(result).to.equal(0);
          throw failure;
        }
      });
      expect.fail('It did not reject.');
    } catch (error) {
      expect(error).to.equal(failure);
    }
    expect(ended).to.be.at.least(1);
  });
});
