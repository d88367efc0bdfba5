import { expect } from 'chai';
import type { Batch } from '../../../../src/datapath/engine/hashBatch.js';
import type { HashPool } from '../../../../src/datapath/engine/hashPool.js';
import { tolerantPool } from '../../../../src/datapath/engine/tolerantPool.js';

const BLOCK = 65_536;

/** A pool on a file of which some places cannot be read; a block's digest is its number. */
function poolWith(bad: readonly number[], code = 'EIO'): HashPool {
  return {
    idle: true,
    parallel: 1,
    close: async () => undefined,
    hash: async ({ blocks, reads }) => {
      const places = reads.map(({ length: bytes, place }) => [place?.offset ?? -1, bytes] as const);
      const failed = places.some(([offset, bytes]) => bad.some((at) => offset <= at && at < offset + bytes));
      if (failed) throw Object.assign(new Error('read'), { code });
      const numbers = blocks.flatMap(({ first, end }) =>
        Array.from({ length: end - first }, (_, i) => first + i),
      );
      const digests = Buffer.concat(numbers.map((number) => Buffer.alloc(16, number)));
      return { digests, zero: new Uint8Array(numbers.length) };
    },
  };
}

const file = { fd: 1 };
/** Blocks 10, 11, 20, and 21, in two pieces that meet in the middle of a block; the last is short. */
const batch: Batch = {
  blocks: [
    { first: 10, end: 12 },
    { first: 20, end: 22 },
  ],
  length: 3 * BLOCK + 512,
  reads: [
    { at: 0, length: 1.5 * BLOCK, place: { file, offset: 1_000_000 } },
    { at: 1.5 * BLOCK, length: 1.5 * BLOCK + 512, place: { file, offset: 9_000_000 } },
  ],
};

describe('a pool that reads on behind bad sectors', () => {
  it('tells the blocks that cannot be read, and digests all others', async () => {
    const unreadable: number[] = [];
    const pool = tolerantPool(poolWith([9_000_000, 9_000_000 + 1.5 * BLOCK + 100]), (block) =>
      unreadable.push(block),
    );
    const { digests } = await pool.hash(batch);
    expect(unreadable).to.deep.equal([11, 21]);
    expect([0, 1, 2, 3].map((i) => digests[i * 16])).to.deep.equal([10, 0, 20, 0]);
  });

  it('fails as before for what is no sector', async () => {
    const pool = tolerantPool(poolWith([1_000_000], 'ESTALE'), () => expect.fail('It is no bad sector.'));
    const failure = await pool.hash(batch).catch((error: unknown) => error);
    expect(failure).to.include({ code: 'ESTALE' });
  });
});
