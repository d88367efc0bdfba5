import { type Extent, totalLength } from '../../shared/extents.js';
import { alignExtents } from './align.js';
import { intoImage } from './intoImage.js';
import { inScope } from './scope.js';
import { createThrottle } from './throttle.js';
import type { LayerJob, LayerResult } from './types.js';
import { checkSourceSize, copyLayer } from './writeLayer.js';

export interface CopyChanges extends LayerJob {
  /** Absolute path of an existing, empty QCOW2 overlay of the new size, with its backing file set. */
  overlay: string;
  /** Sorted and without overlaps; widened to blocks of 64 KiB here. Only these are in the layer. */
  extents: readonly Extent[] | AsyncIterable<Extent>;
}

/**
 * Copies changed extents into an overlay, with a digest index of what it then holds. Both are on stable storage when it
 * resolves. When it rejects, the index is removed, no process and no connection is left, and the overlay's content is
 * undefined.
 * @throws source_changed (size), extents_invalid, extents_out_of_range, file_exists (digest index), nbd_*, no_space,
 *   tool_failed, or the signal's reason
 */
export async function copyChanges(job: CopyChanges): Promise<LayerResult> {
  checkSourceSize(job);
  const { extents, virtualSizeBytes, onProgress } = job;
  // A list that arrives as a stream has no known total: the position on the disk is told instead.
  const total = isList(extents) ? totalLength(extents) : undefined;
  let copied = 0;
  const report = ({ offset, length }: Extent) => {
    copied += length;
    const bytesDone = total === undefined ? offset + length : Math.min(copied, total);
    onProgress?.({ bytesDone, bytesTotal: total ?? virtualSizeBytes });
  };
  return inScope(job.signal, (scope) =>
    intoImage({ ...job, image: job.overlay, signal: scope.signal }, (target) => {
      const throttle = createThrottle(job.rate, scope.signal);
      const aligned = alignExtents(extents, virtualSizeBytes);
      return copyLayer(job, { target, targetIsEmpty: false, extents: aligned, throttle, scope }, report);
    }),
  );
}

function isList(extents: readonly Extent[] | AsyncIterable<Extent>): extents is readonly Extent[] {
  return Array.isArray(extents);
}
