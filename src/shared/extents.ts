import { StrataError } from './errors.js';

/** A range of the guest disk, in bytes. `offset` >= 0, `length` > 0. */
export interface Extent {
  offset: number;
  length: number;
}

/** The unit of digests, of change lists after normalising, and of QCOW2 clusters: 64 KiB. */
export const BLOCK_SIZE = 65536;

/**
 * @param virtualSize size of the disk in bytes
 * @param field where the extent stands
 * @throws extents_invalid for a number that is not a safe non-negative integer, or a length of 0
 * @throws extents_out_of_range for an extent beyond the end of the disk
 */
export function checkExtent({ offset, length }: Extent, virtualSize: number, field: string): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length <= 0) {
    throw new StrataError(
      'extents_invalid',
      `An extent has an offset >= 0 and a length > 0, in whole bytes.`,
      { field },
    );
  }
  if (offset + length > virtualSize) {
    throw new StrataError(
      'extents_out_of_range',
      `The extent ${offset}+${length} ends beyond the disk's ${virtualSize} bytes.`,
      { field },
    );
  }
}

/** Sum of the lengths, in bytes. */
export function totalLength(extents: readonly Extent[]): number {
  return extents.reduce((sum, extent) => sum + extent.length, 0);
}
