import { type AuditResult, auditTracker } from '../audit/auditTracker.js';
import { createBlockSampler } from '../audit/blockSampler.js';
import { createSeededRandom } from '../audit/seededRandom.js';
import { type DigestRun, effectiveDigests } from '../digests/index.js';
import type { Extent } from '../../shared/extents.js';
import { alignExtents } from './align.js';
import { intoImage } from './intoImage.js';
import { inScope } from './scope.js';
import { createThrottle } from './throttle.js';
import type { LayerJob, LayerResult } from './types.js';
import { checkSourceSize, copyLayer } from './writeLayer.js';

export interface CopyChanges extends LayerJob {
  /** Absolute path of an existing, empty QCOW2 overlay of the new size, with its backing file set. */
  overlay: string;
  /** In order, without overlaps; widened to blocks of 64 KiB here. */
  extents: Iterable<Extent> | AsyncIterable<Extent>;
  /** Digest indexes of the parent and all below it, topmost first. */
  parentLayers: readonly string[];
  /** So many of the blocks that are in no extent are compared with the parent, drawn by the seed, and the last one with data. */
  audit: { blocks: number; seed: string };
}

export interface ChangesResult extends LayerResult {
  audit: AuditResult;
}

/**
 * Copies changed extents into an overlay, with a digest index of what it then holds. Blocks that are the same in the
 * parent are not written. Both are on stable storage when it resolves. When it rejects, the index is removed, no process
 * and no connection is left, and the overlay's content is undefined. Where the audit finds a difference, the extents were
 * not all that has changed: the layer must be thrown away.
 * @throws source_changed (size), extents_invalid, extents_out_of_range, file_exists (digest index), digest_index_invalid,
 *   nbd_*, no_space, tool_failed, or the signal's reason
 */
export async function copyChanges(job: CopyChanges): Promise<ChangesResult> {
  checkSourceSize(job);
  const { extents, virtualSizeBytes, onProgress, audit } = job;
  // Most lists arrive as a stream and have no known total: the position on the disk is told.
  const report = ({ offset, length }: Extent) =>
    onProgress?.({ bytesDone: offset + length, bytesTotal: virtualSizeBytes });
  return inScope(job.signal, async (scope) => {
    const throttle = createThrottle(job.rate, scope.signal);
    const sampler = createBlockSampler(audit.blocks, createSeededRandom(audit.seed));
    const parent = {
      runs: effectiveDigests(job.parentLayers, virtualSizeBytes),
      unchanged: (run: DigestRun) => sampler.offer(run),
    };
    const result = await intoImage({ ...job, image: job.overlay, signal: scope.signal }, (target) => {
      const aligned = alignExtents(extents, virtualSizeBytes);
      const copy = { target, targetIsEmpty: false, extents: aligned, parent, throttle, scope };
      return copyLayer(job, copy, report);
    });
    return { ...result, audit: await auditTracker(sampler.take(), { source: job.source, scope, throttle }) };
  });
}
