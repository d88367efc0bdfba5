import { StrataError } from '../../shared/errors.js';
import type { Extent } from '../../shared/extents.js';
import {
  ALLOCATION,
  BASE_ALLOCATION,
  DIRTY_BITMAP,
  DIRTY_BITMAP_PREFIX,
  type NbdClient,
} from '../nbd/index.js';
import type { KnownRange } from './types.js';

/** What an export says about a range; all of it must be read where the server does not tell. */
export async function* rangeStatus(
  client: NbdClient,
  range: Extent,
): AsyncGenerator<KnownRange, void, undefined> {
  if (!client.metaContexts.includes(BASE_ALLOCATION)) {
    yield { ...range, zero: false };
    return;
  }
  for await (const { offset, length, flags } of client.statusExtents(BASE_ALLOCATION, range)) {
    yield { offset, length, zero: (flags & ALLOCATION.zero) !== 0 };
  }
}

/** The ranges of an export that are not known to read as zero. */
export async function* allocatedRanges(client: NbdClient): AsyncGenerator<Extent, void, undefined> {
  for await (const { offset, length, zero } of rangeStatus(client, { offset: 0, length: client.sizeBytes })) {
    if (!zero) yield { offset, length };
  }
}

/** The ranges that a dirty bitmap calls changed. @throws bitmap_missing */
export async function* dirtyRanges(
  client: NbdClient,
  bitmap: string,
  field: string,
): AsyncGenerator<Extent, void, undefined> {
  const context = DIRTY_BITMAP_PREFIX + bitmap;
  if (!client.metaContexts.includes(context)) throw bitmapMissing(bitmap, field);
  for await (const { offset, length, flags } of client.statusExtents(context)) {
    if ((flags & DIRTY_BITMAP.dirty) !== 0) yield { offset, length };
  }
}

export function bitmapMissing(bitmap: string, field: string, cause?: unknown): StrataError {
  return new StrataError('bitmap_missing', `The source does not offer the dirty bitmap "${bitmap}".`, {
    field,
    ...(cause === undefined ? {} : { cause }),
  });
}
