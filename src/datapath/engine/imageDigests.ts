import { type ImageRef, type MapOptions, mapImage } from '../../qcow2/index.js';
import { BLOCK_SIZE } from '../../shared/extents.js';
import { type BlockDigests, digestBlocks } from '../digests/block.js';
import { blockCount, type DigestRun } from '../digests/index.js';
import { runsOf } from '../digests/splitRuns.js';
import type { OpenSource } from '../sources/index.js';
import { type DataRange, gatherBatches } from './batches.js';
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
  const { source, scope } = image;
  const opened = await openImageFiles(source.imageRef, image.throughCache === true, scope.signal).catch(
    (error: unknown) => {
      throw source.readError(error);
    },
  );
  const pool = image.pool ?? createHashPool({ readError: source.readError });
  const readers = scopedReaders(source, scope);
  try {
    // Where only QEMU can read the bytes, they are read from the beginning.
    const fromBlock = opened.files.length > 0 ? (image.fromBlock ?? 0) : 0;
    const mapOptions = { startOffset: fromBlock * BLOCK_SIZE, idle: pool.idle, signal: scope.signal };
    const ranges =
      opened.files.length > 0 ? fileRanges(source.imageRef, opened.files, mapOptions) : source.allocated();
    const slots = Array.from({ length: Math.max(pool.parallel, 8) }, () => ({}));
    const results = orderedMap({
      items: gatherBatches(ranges, source.sizeBytes),
      slots,
      work: (batch, slot: { buffer?: Buffer }) => digestBatch(image, { pool, readers }, batch, slot),
      scope,
    });
    let next = fromBlock;
    for await (const { first, digests } of results) {
      if (first > next) yield { kind: 'zero', first: next, count: first - next };
      yield* runsOf(first, digests);
      next = first + digests.zero.length;
      image.onPosition?.(Math.min(next * BLOCK_SIZE, source.sizeBytes));
    }
    const end = blockCount(source.sizeBytes);
    if (next < end) yield { kind: 'zero', first: next, count: end - next };
    image.onPosition?.(source.sizeBytes);
  } finally {
    readers.detach();
    if (!image.pool) await pool.close();
    await opened.close();
  }
}

async function digestBatch(
  { throttle, onRead }: DigestImage,
  { pool, readers }: { pool: HashPool; readers: ScopedReaders },
  batch: Batch,
  slot: { buffer?: Buffer },
): Promise<{ first: number; digests: BlockDigests }> {
  await throttle(batch.length);
  onRead?.(batch.length);
  if (batch.reads.every(({ place }) => place !== undefined)) {
    return { first: batch.first, digests: await pool.hash(batch) };
  }
  slot.buffer ??= Buffer.allocUnsafeSlow(BATCH_BYTES);
  const bytes = slot.buffer.subarray(0, batch.length);
  const reader = await readers.reader(Math.floor((batch.first * BLOCK_SIZE) / BATCH_BYTES));
  await reader.read(batch.first * BLOCK_SIZE, bytes);
  return { first: batch.first, digests: digestBlocks(bytes) };
}

/** The ranges with data of an image and its backing files, with the file that holds each, by its depth in the chain. */
async function* fileRanges(
  ref: ImageRef,
  files: readonly OpenFile[],
  options: MapOptions,
): AsyncGenerator<DataRange, void, undefined> {
  for await (const { start, length, zero, data, depth, offset } of mapImage(ref, options)) {
    if (!data || zero) continue;
    const file = files[depth];
    const stored = file !== undefined && offset !== undefined;
    yield { offset: start, length, ...(stored ? { place: { file, offset } } : {}) };
  }
}
