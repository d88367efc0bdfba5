import { BLOCK_SIZE } from '../../shared/extents.js';
import type { HashPool } from './hashPool.js';
import { heldRuns, openLayer } from './heldRuns.js';
import { inScope } from './scope.js';
import { createThrottle } from './throttle.js';
import type { LayerJob, LayerResult } from './types.js';
import { withDigestWriter } from './writeLayer.js';

export interface IndexLayer extends Omit<LayerJob, 'source'> {
  /** Absolute path of a QCOW2 file with clusters of 64 KiB, which nobody writes any more. */
  image: string;
  /** The image stands on another: only what it holds itself is in its layer. Otherwise it provides the whole disk. */
  overlay: boolean;
  /** Digests its blocks, and is left open; by default a pool of its own. */
  pool?: HashPool;
}

/**
 * Writes the digest index of an image that somebody else has written, by reading what it holds: by direct I/O, so that
 * the digests are of what the disk has. The index is on stable storage when it resolves, and removed when it rejects.
 * @throws file_exists (index), tool_failed, repository_unavailable, or the signal's reason
 */
export async function indexLayer(job: IndexLayer): Promise<LayerResult> {
  const { virtualSizeBytes, scratchDir, onProgress } = job;
  return inScope(job.signal, async (scope) => {
    const source = openLayer(job.image, virtualSizeBytes, scratchDir, scope.signal);
    let bytesRead = 0;
    const image = {
      source,
      scope,
      throttle: createThrottle(job.rate, scope.signal),
      ...(job.pool ? { pool: job.pool } : {}),
      onRead: (bytes: number) => {
        bytesRead += bytes;
      },
      onPosition: (bytesDone: number) => onProgress?.({ bytesDone, bytesTotal: virtualSizeBytes }),
    };
    const held = heldRuns(image, job.overlay);
    try {
      const { dataBlocks, zeroBlocks } = await withDigestWriter(job, async (writer) => {
        for await (const run of held) await writer.append([run]);
      });
      const bytesWritten = Math.min(dataBlocks * BLOCK_SIZE, virtualSizeBytes);
      return { bytesRead, bytesWritten, dataBlocks, zeroBlocks };
    } finally {
      await source.close();
    }
  });
}
