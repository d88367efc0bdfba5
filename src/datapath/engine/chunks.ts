import { BLOCK_SIZE, type Extent } from '../../shared/extents.js';
import type { KnownRange, OpenSource } from '../sources/index.js';

/** One read of the source: big enough to make round trips cheap, small enough that 16 of them are little memory. */
export const CHUNK_BYTES = 512 * 1024;
/** Asking what is zero costs a round trip. Below this, reading is about as cheap; above, it may save everything. */
const ASK_STATUS_BYTES = 4 * 1024 * 1024;

/**
 * Cuts aligned extents into pieces to copy: known zeros whole, the rest into chunks of at most 512 KiB. All bounds are
 * multiples of 64 KiB, or the end of the disk.
 */
export async function* planChunks(
  extents: AsyncIterable<Extent>,
  source: Pick<OpenSource, 'status' | 'sizeBytes'>,
): AsyncGenerator<KnownRange, void, undefined> {
  for await (const extent of extents) {
    if (extent.length < ASK_STATUS_BYTES) yield* cut(extent);
    else yield* planLarge(extent, source);
  }
}

/** The server's ranges need not end at blocks: a block is known to be zero only if all of it is. */
async function* planLarge(
  extent: Extent,
  source: Pick<OpenSource, 'status' | 'sizeBytes'>,
): AsyncGenerator<KnownRange, void, undefined> {
  const end = extent.offset + extent.length;
  let position = extent.offset;
  for await (const range of source.status(extent)) {
    const rangeEnd = Math.min(range.offset + range.length, end);
    if (!range.zero) continue;
    const first = Math.max(position, Math.ceil(range.offset / BLOCK_SIZE) * BLOCK_SIZE);
    const stop = rangeEnd === end ? end : Math.floor(rangeEnd / BLOCK_SIZE) * BLOCK_SIZE;
    if (stop <= first) continue;
    yield* cut({ offset: position, length: first - position });
    yield { offset: first, length: stop - first, zero: true };
    position = stop;
  }
  yield* cut({ offset: position, length: end - position });
}

function* cut({ offset, length }: Extent): Generator<KnownRange, void, undefined> {
  for (let at = 0; at < length; at += CHUNK_BYTES) {
    yield { offset: offset + at, length: Math.min(CHUNK_BYTES, length - at), zero: false };
  }
}
