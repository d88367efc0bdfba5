import { BLOCK_SIZE, type Extent } from '../../shared/extents.js';

/** Blocks from `first` up to, and without, `end`. */
export interface BlockRange {
  first: number;
  end: number;
}

/** The bytes of the disk that the blocks hold; the last block ends with the disk. */
export function extentOf({ first, end }: BlockRange, virtualSizeBytes: number): Extent {
  const offset = first * BLOCK_SIZE;
  return { offset, length: Math.min(end * BLOCK_SIZE, virtualSizeBytes) - offset };
}
