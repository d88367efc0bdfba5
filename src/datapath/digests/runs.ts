import { BLOCK_SIZE } from '../../shared/extents.js';

/** Length of one block's digest in bytes: BLAKE3 truncated to 128 bits. */
export const DIGEST_BYTES = 16;

/** Consecutive blocks of 64 KiB that hold data. `digests` has `count` times 16 bytes. */
export interface DataRun {
  kind: 'data';
  /** Number of the first block: guest offset / 65536. */
  first: number;
  count: number;
  digests: Buffer;
}

/** Consecutive blocks that are zero from their first byte to their last. */
export interface ZeroRun {
  kind: 'zero';
  first: number;
  count: number;
}

/** What a layer, or a whole chain, has in `count` blocks from block `first` on. */
export type DigestRun = DataRun | ZeroRun;

/** Number of blocks of a disk; the last one may be partial. */
export function blockCount(virtualSizeBytes: number): number {
  return Math.ceil(virtualSizeBytes / BLOCK_SIZE);
}

/** The part of a run between the blocks `first` (inclusive) and `end` (exclusive), which must lie in it. */
export function sliceRun(run: DigestRun, first: number, end: number): DigestRun {
  if (run.kind === 'zero') return { kind: 'zero', first, count: end - first };
  const from = (first - run.first) * DIGEST_BYTES;
  return {
    kind: 'data',
    first,
    count: end - first,
    digests: run.digests.subarray(from, from + (end - first) * DIGEST_BYTES),
  };
}
