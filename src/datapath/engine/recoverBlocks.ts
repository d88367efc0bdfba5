import { BLOCK_SIZE, type Extent, totalLength } from '../../shared/extents.js';
import { digestBlocks } from '../digests/block.js';
import { equalBlocks } from '../digests/equalBlocks.js';
import { type DigestRun, readDigestIndex, sliceRun } from '../digests/index.js';
import type { OpenSource } from '../sources/index.js';
import { extentOf } from './blockRange.js';
import { BATCH_BYTES } from './hashBatch.js';
import { inScope, type Scope } from './scope.js';
import { scopedReaders } from './scopedReaders.js';
import { createThrottle, type RateLimit } from './throttle.js';

export interface RecoverBlocks {
  source: OpenSource;
  /** Digest index of the layer that has lost them. */
  digests: string;
  /** In order; whole blocks, except at the end of the disk. */
  ranges: readonly Extent[];
  /** Size of the layer's disk in bytes. */
  virtualSizeBytes: number;
  rate: RateLimit;
  signal: AbortSignal;
  /** Given each piece, in order; the bytes are only his until he is done. Pieces before a failure prove nothing. */
  onPiece: (offset: number, bytes: Buffer) => Promise<void>;
}

/**
 * Finds again what a layer has held: blocks of the source whose digest is the one that was recorded when the layer was
 * written are, byte for byte, what it held; blocks of zeros need no source.
 * @returns false as soon as the source holds anything else by now, or the index has no digest of a block
 * @throws digest_index_invalid, file_missing, and what reading the source throws
 */
export async function recoverBlocks(job: RecoverBlocks): Promise<boolean> {
  const { source, digests, ranges } = job;
  const last = ranges.at(-1);
  if (last && last.offset + last.length > source.sizeBytes) return false;
  return inScope(job.signal, async (scope) => {
    const readPiece = pieceReader(job, scope);
    let recovered = 0;
    // To its end, whatever is wanted of it: only then its checksum has been verified.
    for await (const run of readDigestIndex(digests)) {
      for (const part of partsOf(run, job)) {
        const bytes = await readPiece(part);
        if (bytes === undefined) return false;
        await job.onPiece(part.first * BLOCK_SIZE, bytes);
        recovered += bytes.length;
      }
    }
    return recovered === totalLength(ranges);
  });
}

/** What of a run lies in the ranges, in pieces of at most a batch. */
function* partsOf(run: DigestRun, { ranges }: RecoverBlocks): Generator<DigestRun, void, undefined> {
  for (const { offset, length } of ranges) {
    const end = Math.min(run.first + run.count, Math.ceil((offset + length) / BLOCK_SIZE));
    const most = BATCH_BYTES / BLOCK_SIZE;
    for (let first = Math.max(run.first, offset / BLOCK_SIZE); first < end; first += most) {
      yield sliceRun(run, first, Math.min(end, first + most));
    }
  }
}

/** Reads what the source has in place of a part; undefined where it is something else. */
function pieceReader({ source, virtualSizeBytes, rate }: RecoverBlocks, scope: Scope) {
  const readers = scopedReaders(source, scope);
  const throttle = createThrottle(rate, scope.signal);
  return async (part: DigestRun): Promise<Buffer | undefined> => {
    const { first, count } = part;
    const { offset, length } = extentOf({ first, end: first + count }, virtualSizeBytes);
    const bytes = Buffer.alloc(length);
    if (part.kind === 'zero') return bytes;
    await throttle(length);
    await (await readers.reader(0)).read(offset, bytes);
    return equalBlocks(first, digestBlocks(bytes), [part]).every((equal) => equal === 1) ? bytes : undefined;
  };
}
