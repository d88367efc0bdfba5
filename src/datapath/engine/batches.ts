import { BLOCK_SIZE } from '../../shared/extents.js';
import { BATCH_BYTES, type Batch, type BatchRead, type Place } from './hashBatch.js';

/** A range of the guest disk that holds data, and where its bytes lie. */
export interface DataRange {
  offset: number;
  length: number;
  /** Where its first byte lies; absent where the image does not store the bytes as they are. */
  place?: Place;
}

/**
 * Gathers ranges, which are in order and need not end at blocks, into batches of whole blocks: a block's bytes may lie in
 * several places. Blocks that no range touches are in no batch.
 */
export async function* gatherBatches(
  ranges: AsyncIterable<DataRange>,
  virtualSizeBytes: number,
): AsyncGenerator<Batch, void, undefined> {
  let batch: { first: number; end: number; reads: BatchRead[] } | undefined;
  const finish = ({ first, end, reads }: NonNullable<typeof batch>): Batch => {
    const start = first * BLOCK_SIZE;
    return { first, length: Math.min(end * BLOCK_SIZE, virtualSizeBytes) - start, reads };
  };
  for await (const range of ranges) {
    let at = range.offset;
    const end = Math.min(range.offset + range.length, virtualSizeBytes);
    while (at < end) {
      const block = Math.floor(at / BLOCK_SIZE);
      if (batch && (block > batch.end || (block === batch.end && isFull(batch)))) {
        yield finish(batch);
        batch = undefined;
      }
      batch ??= { first: block, end: block, reads: [] };
      const start = batch.first * BLOCK_SIZE;
      const stop = Math.min(end, start + BATCH_BYTES);
      batch.reads.push(readOf(range, at, stop, start));
      batch.end = Math.ceil(stop / BLOCK_SIZE);
      at = stop;
    }
  }
  if (batch) yield finish(batch);
}

function isFull({ first, end }: { first: number; end: number }): boolean {
  return (end - first) * BLOCK_SIZE >= BATCH_BYTES;
}

function readOf({ offset, place }: DataRange, from: number, to: number, batchStart: number): BatchRead {
  const read: BatchRead = { at: from - batchStart, length: to - from };
  return place ? { ...read, place: { file: place.file, offset: place.offset + from - offset } } : read;
}
