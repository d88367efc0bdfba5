import { effectiveDigests } from '../digests/index.js';
import { alignExtents } from './align.js';
import { differingExtents } from './differences.js';
import { type DigestImage, digestImage } from './imageDigests.js';
import { intoImage } from './intoImage.js';
import { inScope, type Scope } from './scope.js';
import { createThrottle } from './throttle.js';
import type { LayerJob, LayerResult } from './types.js';
import { checkSourceSize, copyLayer } from './writeLayer.js';

export interface CopyDifferences extends LayerJob {
  /** Absolute path of an existing, empty QCOW2 overlay of the new size, with its backing file set. */
  overlay: string;
  /** Digest indexes of the parent and all below it, topmost first. */
  parentLayers: readonly string[];
}

/**
 * Copies into an overlay the blocks in which the source differs from the parent, which is known by its digests and not
 * read. The source's allocated ranges are read and digested; blocks that differ are read once more to be copied, and
 * indexed as they were written. Stable storage and failure as `copyChanges`.
 * @throws as copyChanges, and digest_index_invalid
 */
export async function copyDifferences(job: CopyDifferences): Promise<LayerResult> {
  checkSourceSize(job);
  const { virtualSizeBytes } = job;
  return inScope(job.signal, (scope) =>
    intoImage({ ...job, image: job.overlay, signal: scope.signal }, async (target) => {
      let scannedBytes = 0;
      const throttle = createThrottle(job.rate, scope.signal);
      const differing = differences(job, {
        source: job.source,
        scope,
        throttle,
        onRead: (bytes) => {
          scannedBytes += bytes;
        },
        onPosition: (bytesDone) => job.onProgress?.({ bytesDone, bytesTotal: virtualSizeBytes }),
      });
      const extents = alignExtents(differing, virtualSizeBytes);
      const result = await copyLayer(job, { target, targetIsEmpty: false, extents, throttle, scope });
      return { ...result, bytesRead: result.bytesRead + scannedBytes };
    }),
  );
}

function differences({ parentLayers, virtualSizeBytes }: CopyDifferences, scan: DigestImage) {
  return differingExtents(
    digestImage(scan),
    failingScope(effectiveDigests(parentLayers, virtualSizeBytes), scan.scope),
    virtualSizeBytes,
  );
}

/**
 * Passes items on, and a failure to the scope before anybody sees it: ending the other side of the comparison stops the
 * scope, and that stop would otherwise arrive first and hide the cause.
 */
async function* failingScope<T>(items: AsyncIterable<T>, scope: Scope): AsyncGenerator<T, void, undefined> {
  try {
    yield* items;
  } catch (error) {
    scope.fail(error);
    throw error;
  }
}
