import { expect } from 'chai';
import fc from 'fast-check';
import { equalBlocks } from '../../../../src/datapath/digests/equalBlocks.js';
import { digestBlocks } from '../../../../src/datapath/digests/block.js';
import type { DigestRun } from '../../../../src/datapath/digests/index.js';
import { runsOf } from '../../../../src/datapath/digests/splitRuns.js';
import { besideParent } from '../../../../src/datapath/engine/besideParent.js';
import { planChunks } from '../../../../src/datapath/engine/chunks.js';
import { BLOCK_SIZE, type Extent } from '../../../../src/shared/extents.js';
import { arbitraryCells, collect, runsOfCells } from '../digests/layers.js';

const BLOCKS = 20;
const SIZE = (BLOCKS - 1) * BLOCK_SIZE + 512;

async function* stream<T>(items: readonly T[]): AsyncGenerator<T, void, undefined> {
  for (const item of items) yield await Promise.resolve(item);
}

const blocksOf = (runs: readonly { first: number; count: number }[]) =>
  runs.flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i));
const blocksIn = ({ offset, length }: Extent) =>
  blocksOf([{ first: offset / BLOCK_SIZE, count: Math.ceil(length / BLOCK_SIZE) }]);

describe('Pieces beside the parent', () => {
  it('have its runs of their blocks; what lies between is told, and zeros upon zeros are left out', () =>
    fc.assert(
      fc.asyncProperty(
        arbitraryCells(BLOCKS),
        fc.array(fc.constantFrom('gap', 'data', 'zero'), { minLength: BLOCKS, maxLength: BLOCKS }),
        async (cells, kinds) => {
          const pieces = kinds.flatMap((kind, block) => {
            const offset = block * BLOCK_SIZE;
            const length = Math.min(BLOCK_SIZE, SIZE - offset);
            return kind === 'gap' ? [] : [{ offset, length, zero: kind === 'zero' }];
          });
          const parent = runsOfCells(cells.map((cell) => cell ?? 0));
          const told: DigestRun[] = [];
          const beside = await collect(
            besideParent(stream(pieces), stream(parent), SIZE, (run) => told.push(run)),
          );
          expect(blocksOf(told)).to.deep.equal(kinds.flatMap((kind, b) => (kind === 'gap' ? [b] : [])));
          for (const piece of beside) expect(blocksOf(piece.parent)).to.deep.equal(blocksIn(piece));
          const kept = kinds.flatMap((kind, b) =>
            kind === 'data' || (kind === 'zero' && (cells[b] ?? 0) !== 0) ? [b] : [],
          );
          expect(beside.flatMap(blocksIn)).to.deep.equal(kept);
          const last = beside.at(-1);
          if (last) expect(last.offset + last.length).to.be.at.most(SIZE);
        },
      ),
    ));

  it('are not given where the parent has a gap', async () => {
    const parent = stream<DigestRun>([{ kind: 'zero', first: 0, count: 3 }]);
    const beside = besideParent(stream([]), parent, SIZE, () => undefined);
    const outcome = await collect(beside).then(
      () => 'ended',
      (error: Error) => error.message,
    );
    expect(outcome).to.equal('The parent has no digest of block 3.');
  });
});

describe('Equal blocks', () => {
  it('are those whose bytes are the same in both', () =>
    fc.assert(
      fc.property(
        fc.array(fc.nat(2), { minLength: 8, maxLength: 8 }),
        fc.array(fc.nat(2), { minLength: 8, maxLength: 8 }),
        (a, b) => {
          const found = (fills: number[]) =>
            digestBlocks(Buffer.concat(fills.map((fill) => Buffer.alloc(BLOCK_SIZE, fill))));
          const equal = equalBlocks(5, found(a), runsOf(5, found(b)));
          expect([...equal]).to.deep.equal(a.map((fill, i) => (fill === b[i] ? 1 : 0)));
          const kept = runsOf(5, found(a), equal);
          expect(blocksOf(kept)).to.deep.equal(a.flatMap((fill, i) => (fill === b[i] ? [] : [5 + i])));
        },
      ),
      { numRuns: 30 },
    ));
});

describe('Many small extents near each other', () => {
  it('are asked for together, so that zeros are known without a question each', async () => {
    const extents = Array.from({ length: 1000 }, (_, i) => ({
      offset: 2 * i * BLOCK_SIZE,
      length: BLOCK_SIZE,
    }));
    const asked: Extent[] = [];
    const source = {
      sizeBytes: 2000 * BLOCK_SIZE,
      async *status(range: Extent) {
        asked.push(range);
        yield await Promise.resolve({ ...range, zero: true });
      },
    };
    const chunks = await collect(planChunks(stream(extents), source));
    expect(asked).to.deep.equal([{ offset: 0, length: 1999 * BLOCK_SIZE }]);
    expect(chunks).to.deep.equal(extents.map((extent) => ({ ...extent, zero: true })));
  });

  it('are only read where they are far apart, or few', async () => {
    const status = () => expect.fail('asked');
    const source = { sizeBytes: 2 ** 40, status };
    const sparse = Array.from({ length: 1000 }, (_, i) => ({
      offset: 8 * i * BLOCK_SIZE,
      length: BLOCK_SIZE,
    }));
    expect(await collect(planChunks(stream(sparse), source))).to.have.length(1000);
    expect(await collect(planChunks(stream(sparse.slice(0, 3)), source))).to.have.length(3);
  });
});
