import { type ImageRef, type MapOptions, mapImage } from '../../qcow2/index.js';
import { BLOCK_SIZE } from '../../shared/extents.js';
import { type BlockDigests, digestBlocks } from '../digests/block.js';
import { blockCount, type DigestRun, DIGEST_BYTES } from '../digests/index.js';
import { runsOf } from '../digests/splitRuns.js';
import type { OpenSource } from '../sources/index.js';
import { gatherBatches, type HeldRange } from './batches.js';
import { type BlockRange, extentOf } from './blockRange.js';
import { type Batch, BATCH_BYTES, type OpenFile } from './hashBatch.js';
import { createHashPool, type HashPool } from './hashPool.js';
import { openImageFiles } from './imageFiles.js';
import { orderedMap } from './orderedMap.js';
import type { Scope } from './scope.js';
import { type ScopedReaders, scopedReaders } from './scopedReaders.js';
import type { Throttle } from './throttle.js';

export interface DigestImage {
  source: OpenSource;
  scope: Scope;
  throttle: Throttle;
  /** Read through the page cache, for what was just written. By default direct I/O, which tells what the disk holds. */
  throughCache?: boolean;
  /** Blocks before this one need not be digested; 0 by default. */
  fromBlock?: number;
  /** Digests the batches, and is left open; by default a pool of its own. */
  pool?: HashPool;
  onRead?: (bytes: number) => void;
  /** Called with how far the disk has been digested, in bytes from its beginning. */
  onPosition?: (bytes: number) => void;
}

/**
 * The digests of every block of a disk, in order, as runs that cover it without gaps. Only allocated ranges are read:
 * directly from the files, on threads, where `qemu-img map` says where the bytes lie; else through the source's reader.
 */
export async function* digestImage(image: DigestImage): AsyncGenerator<DigestRun, void, undefined> {
  const end = blockCount(image.source.sizeBytes);
  let next = image.fromBlock ?? 0;
  for await (const run of digestHeld(image, false)) {
    if (run.first > next) yield { kind: 'zero', first: next, count: run.first - next };
    yield run;
    next = run.first + run.count;
  }
  if (next < end) yield { kind: 'zero', first: next, count: end - next };
}

/**
 * The digests of what an image has, in order; what is in no run is zero, or not the image's own.
 * @param zeros also what the image says to be zero without storing it
 */
export async function* digestHeld(
  image: DigestImage,
  zeros: boolean,
): AsyncGenerator<DigestRun, void, undefined> {
  const { source, scope, fromBlock = 0 } = image;
  const opened = await openImageFiles(source.imageRef, image.throughCache === true, scope.signal).catch(
    (error: unknown) => {
      throw source.readError(error);
    },
  );
  const pool = image.pool ?? createHashPool({ readError: source.readError });
  const readers = scopedReaders(source, scope);
  try {
    const mapOptions = { startOffset: fromBlock * BLOCK_SIZE, idle: pool.idle, signal: scope.signal };
    const ranges =
      opened.files.length > 0
        ? fileRanges(source.imageRef, opened.files, zeros, mapOptions)
        : source.allocated();
    const slots = Array.from({ length: Math.max(pool.parallel, 8) }, () => ({}));
    const results = orderedMap({
      items: gatherBatches(ranges, source.sizeBytes),
      slots,
      work: async (item, slot: { buffer?: Buffer }) =>
        'kind' in item ? [item] : digestBatch(image, { pool, readers }, item, slot),
      scope,
    });
    for await (const runs of results) {
      yield* runs;
      const last = runs.at(-1);
      if (last) image.onPosition?.(Math.min((last.first + last.count) * BLOCK_SIZE, source.sizeBytes));
    }
    image.onPosition?.(source.sizeBytes);
  } finally {
    readers.detach();
    if (!image.pool) await pool.close();
    await opened.close();
  }
}

async function digestBatch(
  { source, throttle, onRead }: DigestImage,
  { pool, readers }: { pool: HashPool; readers: ScopedReaders },
  batch: Batch,
  slot: { buffer?: Buffer },
): Promise<DigestRun[]> {
  await throttle(batch.length);
  onRead?.(batch.length);
  if (batch.reads.every(({ place }) => place !== undefined)) {
    return runsOfBlocks(batch.blocks, await pool.hash(batch));
  }
  slot.buffer ??= Buffer.allocUnsafeSlow(BATCH_BYTES);
  let at = 0;
  for (const range of batch.blocks) {
    const { offset, length } = extentOf(range, source.sizeBytes);
    const reader = await readers.reader(Math.floor(offset / BATCH_BYTES));
    await reader.read(offset, slot.buffer.subarray(at, at + length));
    at += length;
  }
  return runsOfBlocks(batch.blocks, digestBlocks(slot.buffer.subarray(0, batch.length)));
}

/** The runs of blocks that were digested one after the other. */
function runsOfBlocks(blocks: readonly BlockRange[], { digests, zero }: BlockDigests): DigestRun[] {
  let from = 0;
  return blocks.flatMap(({ first, end }) => {
    const to = from + end - first;
    const part = {
      digests: digests.subarray(from * DIGEST_BYTES, to * DIGEST_BYTES),
      zero: zero.subarray(from, to),
    };
    from = to;
    return runsOf(first, part);
  });
}

/** The ranges with data of an image and its backing files, with the file that holds each, by its depth in the chain. */
async function* fileRanges(
  ref: ImageRef,
  files: readonly OpenFile[],
  zeros: boolean,
  options: MapOptions,
): AsyncGenerator<HeldRange, void, undefined> {
  for await (const { start, length, zero, data, depth, offset, present } of mapImage(ref, options)) {
    if (!data || zero) {
      if (zeros && present === true) yield { offset: start, length, zero: true };
      continue;
    }
    const file = files[depth];
    const stored = file !== undefined && offset !== undefined;
    yield { offset: start, length, ...(stored ? { place: { file, offset } } : {}) };
  }
}
