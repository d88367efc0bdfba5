import { type ImageRef, mapImage } from '../../qcow2/index.js';
import { BLOCK_SIZE } from '../../shared/extents.js';
import { blockCount, type DigestRun, sliceRun } from '../digests/runs.js';
import { fileSource } from '../sources/index.js';
import { digestImage } from './imageDigests.js';
import { inScope } from './scope.js';
import { createThrottle } from './throttle.js';
import type { LayerJob, LayerResult } from './types.js';
import { withDigestWriter } from './writeLayer.js';

export interface IndexLayer extends Omit<LayerJob, 'source' | 'rate'> {
  /** Absolute path of a QCOW2 file with clusters of 64 KiB, which nobody writes any more. */
  image: string;
  /** The image stands on another: only what it holds itself is in its layer. Otherwise it provides the whole disk. */
  overlay: boolean;
}

/**
 * Writes the digest index of an image that somebody else has written, by reading what it holds: by direct I/O, so that
 * the digests are of what the disk has. The index is on stable storage when it resolves, and removed when it rejects.
 * @throws file_exists (index), tool_failed, repository_unavailable, or the signal's reason
 */
export async function indexLayer(job: IndexLayer): Promise<LayerResult> {
  const { image, virtualSizeBytes, scratchDir, onProgress } = job;
  // Without its backing file: what the image does not hold is then neither read nor taken for its own.
  const ref = { type: 'file', path: image, format: 'qcow2', noBacking: true } as const satisfies ImageRef;
  return inScope(job.signal, async (scope) => {
    const source = fileSource(ref, virtualSizeBytes, scratchDir, scope.signal);
    let bytesRead = 0;
    const runs = digestImage({
      source,
      scope,
      throttle: createThrottle(undefined, scope.signal),
      onRead: (bytes) => {
        bytesRead += bytes;
      },
      onPosition: (bytesDone) => onProgress?.({ bytesDone, bytesTotal: virtualSizeBytes }),
    });
    const held = job.overlay ? runsWithin(runs, heldBlocks(ref, scope.signal)) : runs;
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

/** Blocks from `first` up to, and without, `end`. */
export interface BlockRange {
  first: number;
  end: number;
}

/** The blocks that a file itself says something of, as data or as zeros, in order. */
async function* heldBlocks(ref: ImageRef, signal: AbortSignal): AsyncGenerator<BlockRange, void, undefined> {
  for await (const { start, length, present } of mapImage(ref, { signal })) {
    if (present !== true) continue;
    yield { first: Math.floor(start / BLOCK_SIZE), end: blockCount(start + length) };
  }
}

/** The parts of `runs` that lie in `ranges`. Both are in order; the runs have no gaps. */
export async function* runsWithin(
  runs: AsyncIterable<DigestRun>,
  ranges: AsyncIterable<BlockRange>,
): AsyncGenerator<DigestRun, void, undefined> {
  const rest = runs[Symbol.asyncIterator]();
  let run: DigestRun | undefined;
  try {
    for await (const range of ranges) {
      let block = range.first;
      while (block < range.end) {
        while (!run || run.first + run.count <= block) {
          const { value, done } = await rest.next();
          if (done) return;
          run = value;
        }
        const end = Math.min(range.end, run.first + run.count);
        yield sliceRun(run, block, end);
        block = end;
      }
    }
  } finally {
    await rest.return?.();
  }
}
