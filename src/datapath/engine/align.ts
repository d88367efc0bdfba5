import { StrataError } from '../../shared/errors.js';
import { BLOCK_SIZE, type Extent } from '../../shared/extents.js';
import { type BlockRange, extentOf } from './blockRange.js';

/**
 * Widens extents to whole blocks and joins those that touch, one by one. The last block is clipped to the disk's end.
 * @param extents in increasing order, without overlaps
 * @throws extents_invalid for an extent that is empty, malformed or out of order
 * @throws extents_out_of_range for an extent beyond the end of the disk
 */
export async function* alignExtents(
  extents: AsyncIterable<Extent> | Iterable<Extent>,
  virtualSizeBytes: number,
): AsyncGenerator<Extent, void, undefined> {
  let held: BlockRange | undefined;
  let previousEnd = 0;
  for await (const extent of extents) {
    check(extent, previousEnd, virtualSizeBytes);
    previousEnd = extent.offset + extent.length;
    const first = Math.floor(extent.offset / BLOCK_SIZE);
    const end = Math.ceil(previousEnd / BLOCK_SIZE);
    if (held && first <= held.end) {
      held.end = end;
      continue;
    }
    if (held) yield extentOf(held, virtualSizeBytes);
    held = { first, end };
  }
  if (held) yield extentOf(held, virtualSizeBytes);
}

function check({ offset, length }: Extent, previousEnd: number, virtualSizeBytes: number): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || length <= 0 || offset < previousEnd) {
    throw new StrataError(
      'extents_invalid',
      `The extent ${offset}+${length} is empty, malformed or out of order.`,
    );
  }
  if (offset + length > virtualSizeBytes) {
    throw new StrataError(
      'extents_out_of_range',
      `The extent ${offset}+${length} ends beyond the disk's ${virtualSizeBytes} bytes.`,
    );
  }
}
