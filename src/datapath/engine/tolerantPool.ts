import { BLOCK_SIZE } from '../../shared/extents.js';
import { saysBadSector } from '../../shared/badSector.js';
import type { BlockDigests } from '../digests/block.js';
import { DIGEST_BYTES } from '../digests/index.js';
import type { Batch, BatchRead } from './hashBatch.js';
import type { HashPool } from './hashPool.js';

/**
 * A pool that reads on where a sector cannot be read: its block gets a digest of zero bytes, which no block has, and is
 * told. Whoever uses it asks whether the disk gave anything at all before he believes in bad sectors.
 * @param pool its failures keep the `code` of the system error
 * @param onUnreadable is called before the batch of the block resolves, with the number of the block
 */
export function tolerantPool(pool: HashPool, onUnreadable: (block: number) => void): HashPool {
  return {
    ...pool,
    hash: async (batch) => {
      try {
        return await pool.hash(batch);
      } catch (error) {
        if (!saysBadSector(error)) throw error;
        return hashEach(pool, batch, onUnreadable);
      }
    },
  };
}

async function hashEach(
  pool: HashPool,
  batch: Batch,
  onUnreadable: (block: number) => void,
): Promise<BlockDigests> {
  const count = Math.ceil(batch.length / BLOCK_SIZE);
  const whole: BlockDigests = { digests: Buffer.alloc(count * DIGEST_BYTES), zero: new Uint8Array(count) };
  for (let i = 0; i < count; i++) {
    try {
      const { digests, zero } = await pool.hash(blockOf(batch, i));
      digests.copy(whole.digests, i * DIGEST_BYTES);
      whole.zero[i] = zero[0] ?? 0;
    } catch (error) {
      if (!saysBadSector(error)) throw error;
      onUnreadable(blockAt(batch, i));
    }
  }
  return whole;
}

/** The number of a batch's block. */
function blockAt({ blocks }: Batch, index: number): number {
  let rest = index;
  for (const { first, end } of blocks) {
    if (rest < end - first) return first + rest;
    rest -= end - first;
  }
  throw new RangeError(`A batch has no block ${index}.`);
}

/** The part of a batch that reads one of its blocks. */
function blockOf(batch: Batch, index: number): Batch {
  const { length, reads } = batch;
  const block = blockAt(batch, index);
  const start = index * BLOCK_SIZE;
  const end = Math.min(start + BLOCK_SIZE, length);
  return {
    blocks: [{ first: block, end: block + 1 }],
    length: end - start,
    reads: reads.flatMap(({ at, length: bytes, place }): BatchRead[] => {
      const from = Math.max(at, start);
      const to = Math.min(at + bytes, end);
      if (from >= to) return [];
      const part = { at: from - start, length: to - from };
      return [place ? { ...part, place: { file: place.file, offset: place.offset + from - at } } : part];
    }),
  };
}
