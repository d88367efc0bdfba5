import type { Stats } from 'node:fs';

/** st_blocks counts in these, whatever the file system's own blocks are (stat(2)). */
const BLOCK_UNIT = 512;

/**
 * The bytes of storage that a file needs. Less than its length where it has holes; never more than its length in whole
 * blocks, although the file system may have allocated more for now: XFS keeps room behind the end of a file that grows.
 */
export function storedBytes({ size, blocks, blksize }: Pick<Stats, 'size' | 'blocks' | 'blksize'>): number {
  return Math.min(blocks * BLOCK_UNIT, Math.ceil(size / blksize) * blksize);
}
