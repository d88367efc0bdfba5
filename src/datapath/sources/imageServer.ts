import { type ImageRef, mapImage, serveImage } from '../../qcow2/index.js';
import { isStrataError } from '../../shared/errors.js';
import type { Extent } from '../../shared/extents.js';
import { connectNbd, DIRTY_BITMAP_PREFIX } from '../nbd/index.js';
import { withField } from './checks.js';
import { bitmapMissing, dirtyRanges } from './exportStatus.js';
import { socketIn } from './scratch.js';

export interface ImageServing {
  ref: Extract<ImageRef, { type: 'file' }>;
  scratchDir: string;
  signal?: AbortSignal;
}

/** Serves an image for reading on a private socket, with one of its persistent bitmaps if one is named. */
export async function serveForReading({ ref, scratchDir, signal }: ImageServing, bitmap?: string) {
  const named = bitmap === undefined ? {} : { bitmap };
  return serveImage(
    {
      ref,
      readOnly: true,
      socketPath: socketIn(scratchDir),
      ...(ref.direct === true ? { cache: 'none' } : {}),
      ...named,
    },
    signal ? { signal } : {},
  );
}

/** The ranges that a bitmap stored in a QCOW2 file calls changed. @throws bitmap_missing */
export async function* storedBitmapRanges(
  serving: ImageServing,
  bitmap: string,
): AsyncGenerator<Extent, void, undefined> {
  if (serving.ref.format !== 'qcow2') throw bitmapMissing(bitmap, 'source.bitmap');
  const server = await serveBitmap(serving, bitmap);
  try {
    const { signal } = serving;
    const metaContexts = [DIRTY_BITMAP_PREFIX + bitmap];
    const client = await connectNbd(server.uri, { metaContexts, ...(signal ? { signal } : {}) });
    try {
      yield* dirtyRanges(client, bitmap, 'source.bitmap');
    } finally {
      await client.close();
    }
  } finally {
    await endQuietly([server]);
  }
}

async function serveBitmap(serving: ImageServing, bitmap: string) {
  try {
    return await serveForReading(serving, bitmap);
  } catch (error) {
    throw isStrataError(error, 'bitmap_missing') ? withField(error, 'source.bitmap') : error;
  }
}

/** The ranges of an image that hold data, by `qemu-img map`. */
export async function* mappedRanges({ ref, signal }: ImageServing): AsyncGenerator<Extent, void, undefined> {
  for await (const { start, length, zero, data } of mapImage(ref, signal ? { signal } : {})) {
    if (data && !zero) yield { offset: start, length };
  }
}

/** Closes servers and files that were only read: how they end does not matter to what was read from them. */
export async function endQuietly(handles: readonly { close(): Promise<void> }[]): Promise<void> {
  await Promise.allSettled(handles.map((handle) => handle.close()));
}
