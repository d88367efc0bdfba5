import { type ImageRef, imageInfo } from '../../qcow2/index.js';
import { StrataError } from '../../shared/errors.js';
import type { Extent } from '../../shared/extents.js';
import { contentIdOfRuns, type DigestRun, effectiveDigests } from '../digests/index.js';
import { connectSource, fileSource, type OpenSource } from '../sources/index.js';
import { differingExtents } from './differences.js';
import { digestImage } from './imageDigests.js';
import { inScope } from './scope.js';
import { createThrottle, type RateLimit } from './throttle.js';
import type { Progress } from './types.js';

export interface ReadBack {
  signal: AbortSignal;
  /** A private directory (mode 0700) with a short path, for unix sockets. */
  scratchDir: string;
  /** Limits the average rate of reading. */
  rate?: RateLimit;
  onProgress?: (progress: Progress) => void;
}

/**
 * Reads an image with all below it, and computes the content id of what it holds: equal to `contentId` of the digest
 * indexes of its chain if every byte is as it was written. Memory does not grow with the disk.
 * @param ref an image of Strata's own, or a restored one; images from outside go through openSource
 * @param virtualSizeBytes what is read of it; a block device may be larger
 * @throws content_mismatch when the image is smaller, and whatever reading it throws
 */
export async function contentIdOfImage(
  ref: ImageRef,
  virtualSizeBytes: number,
  readBack: ReadBack,
): Promise<string> {
  return overImage(ref, virtualSizeBytes, readBack, (runs) => contentIdOfRuns(runs, virtualSizeBytes));
}

/**
 * Reads an image with all below it, and tells the ranges in which it is not what the digest indexes of a chain say. Memory
 * does not grow with the disk.
 * @param chain digest indexes, topmost first, and what is read of the image in bytes
 * @param found told of each range, in order: whole blocks, except at the end of the disk
 * @throws as `contentIdOfImage`; digest_index_invalid, file_missing
 */
export async function differencesOfImage(
  ref: ImageRef,
  chain: { layers: readonly string[]; virtualSizeBytes: number },
  readBack: ReadBack,
  found: (range: Extent) => void,
): Promise<void> {
  const { layers, virtualSizeBytes } = chain;
  await overImage(ref, virtualSizeBytes, readBack, async (runs) => {
    const recorded = effectiveDigests(layers, virtualSizeBytes);
    for await (const extent of differingExtents(runs, recorded, virtualSizeBytes)) found(extent);
  });
}

async function overImage<T>(
  ref: ImageRef,
  virtualSizeBytes: number,
  { signal, scratchDir, rate, onProgress }: ReadBack,
  work: (runs: AsyncIterable<DigestRun>) => Promise<T>,
): Promise<T> {
  return inScope(signal, async (scope) => {
    const source = await openTrusted(ref, virtualSizeBytes, scratchDir, scope.signal);
    try {
      const runs = digestImage({
        source,
        scope,
        throttle: createThrottle(rate, scope.signal),
        onPosition: (bytesDone) => onProgress?.({ bytesDone, bytesTotal: virtualSizeBytes }),
      });
      return await work(runs);
    } finally {
      await source.close();
    }
  });
}

async function openTrusted(
  ref: ImageRef,
  virtualSizeBytes: number,
  scratchDir: string,
  signal: AbortSignal,
): Promise<OpenSource> {
  if (ref.type === 'file') {
    const info = await imageInfo(ref, { signal });
    checkLargeEnough(info.virtualSizeBytes, virtualSizeBytes);
    return fileSource(ref, virtualSizeBytes, scratchDir, signal);
  }
  const source = await connectSource({ uri: ref.uri, signal });
  if (source.sizeBytes >= virtualSizeBytes) return { ...source, sizeBytes: virtualSizeBytes };
  await source.close();
  throw tooSmall(source.sizeBytes, virtualSizeBytes);
}

function checkLargeEnough(actual: number, expected: number): void {
  if (actual < expected) throw tooSmall(actual, expected);
}

function tooSmall(actual: number, expected: number): StrataError {
  return new StrataError('content_mismatch', `The image has ${actual} bytes, and should have ${expected}.`);
}
