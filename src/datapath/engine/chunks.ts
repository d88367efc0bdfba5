import { BLOCK_SIZE, type Extent } from '../../shared/extents.js';
import type { KnownRange, OpenSource } from '../sources/index.js';

/** One read of the source: big enough to make round trips cheap, small enough that 16 of them are little memory. */
export const CHUNK_BYTES = 512 * 1024;
/** Asking what is zero costs a round trip. Below this, reading is about as cheap; above, it may save everything. */
const ASK_STATUS_BYTES = 4 * 1024 * 1024;
/** Extents near each other are asked for together: together they cover at least this part of where they lie. */
const LEAST_DENSITY = 1 / 4;
const WIDEST_GROUP_BYTES = 256 * 1024 * 1024;

type Statuses = Pick<OpenSource, 'status' | 'sizeBytes'>;

/**
 * Cuts aligned extents into pieces to copy: known zeros whole, the rest into chunks of at most 512 KiB. All bounds are
 * multiples of 64 KiB, or the end of the disk.
 */
export async function* planChunks(
  extents: AsyncIterable<Extent>,
  source: Statuses,
): AsyncGenerator<KnownRange, void, undefined> {
  for await (const group of groupNear(extents)) {
    if (group.bytes >= ASK_STATUS_BYTES) yield* planGroup(group.extents, source);
    else for (const extent of group.extents) yield* cut(extent);
  }
}

interface Group {
  extents: Extent[];
  bytes: number;
}

/** After a TRIM a tracker may name a hundred thousand small extents that are all zero: one question answers for many. */
async function* groupNear(extents: AsyncIterable<Extent>): AsyncGenerator<Group, void, undefined> {
  let group: Group | undefined;
  for await (const extent of extents) {
    const bytes: number = (group?.bytes ?? 0) + extent.length;
    const begin = group?.extents[0]?.offset ?? extent.offset;
    const span = extent.offset + extent.length - begin;
    if (group && (span > WIDEST_GROUP_BYTES || bytes < span * LEAST_DENSITY)) {
      yield group;
      group = undefined;
    }
    if (group) {
      group.extents.push(extent);
      group.bytes = bytes;
    } else group = { extents: [extent], bytes: extent.length };
  }
  if (group) yield group;
}

/** The server's ranges need not end at blocks: a block is known to be zero only if all of it is. */
async function* planGroup(
  extents: readonly Extent[],
  source: Statuses,
): AsyncGenerator<KnownRange, void, undefined> {
  const ranges = source.status(spanOf(extents))[Symbol.asyncIterator]();
  try {
    let range = await nextRange(ranges);
    for (const { offset, length } of extents) {
      const end = offset + length;
      let position = offset;
      while (range && range.offset < end) {
        const rangeEnd: number = range.offset + range.length;
        const first = Math.max(position, Math.ceil(range.offset / BLOCK_SIZE) * BLOCK_SIZE);
        const stop = rangeEnd >= end ? end : Math.floor(rangeEnd / BLOCK_SIZE) * BLOCK_SIZE;
        if (range.zero && stop > first) {
          yield* cut({ offset: position, length: first - position });
          yield { offset: first, length: stop - first, zero: true };
          position = stop;
        }
        // It may go on into the next extent.
        if (rangeEnd > end) break;
        range = await nextRange(ranges);
      }
      yield* cut({ offset: position, length: end - position });
    }
  } finally {
    await ranges.return?.();
  }
}

function spanOf(extents: readonly Extent[]): Extent {
  const offset = extents[0]?.offset ?? 0;
  const last = extents.at(-1);
  return { offset, length: last ? last.offset + last.length - offset : 0 };
}

async function nextRange(ranges: AsyncIterator<KnownRange>): Promise<KnownRange | undefined> {
  const { value, done } = await ranges.next();
  return done ? undefined : value;
}

function* cut({ offset, length }: Extent): Generator<KnownRange, void, undefined> {
  for (let at = 0; at < length; at += CHUNK_BYTES) {
    yield { offset: offset + at, length: Math.min(CHUNK_BYTES, length - at), zero: false };
  }
}
