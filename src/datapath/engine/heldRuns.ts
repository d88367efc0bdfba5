import { type ImageRef, type MapOptions, mapImage } from '../../qcow2/index.js';
import { BLOCK_SIZE } from '../../shared/extents.js';
import { blockCount, type DigestRun, sliceRun } from '../digests/runs.js';
import { fileSource, type OpenSource } from '../sources/index.js';
import type { BlockRange } from './blockRange.js';
import { type DigestImage, digestImage } from './imageDigests.js';

/**
 * An image without what it stands on: what it does not hold itself is then neither read nor taken for its own.
 * @param image absolute path of a QCOW2 file of Strata's own, with clusters of 64 KiB
 */
export function openLayer(
  image: string,
  virtualSizeBytes: number,
  scratchDir: string,
  signal: AbortSignal,
): OpenSource {
  const ref = { type: 'file', path: image, format: 'qcow2', noBacking: true } as const satisfies ImageRef;
  return fileSource(ref, virtualSizeBytes, scratchDir, signal);
}

/**
 * The digests of what an image itself holds, read from the file: what its digest index ought to say.
 * @param image its source is that of `openLayer`
 * @param overlay it stands on another, so that only what it holds is in its layer; otherwise it provides the whole disk
 */
export function heldRuns(image: DigestImage, overlay: boolean): AsyncGenerator<DigestRun, void, undefined> {
  const { source, scope, pool, fromBlock = 0 } = image;
  if (!overlay) return digestImage(image);
  const { signal } = scope;
  const options = { startOffset: fromBlock * BLOCK_SIZE, idle: pool?.idle ?? false, signal };
  return runsWithin(digestImage(image), heldBlocks(source.imageRef, options));
}

/** The blocks that a file itself says something of, as data or as zeros, in order. */
async function* heldBlocks(ref: ImageRef, options: MapOptions): AsyncGenerator<BlockRange, void, undefined> {
  for await (const { start, length, present } of mapImage(ref, options)) {
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
