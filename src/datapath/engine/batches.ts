import { BLOCK_SIZE } from '../../shared/extents.js';
import type { ZeroRun } from '../digests/index.js';
import { BATCH_BYTES, type Batch, type BatchRead, type Place } from './hashBatch.js';

/** A range of the guest disk that an image has, and where its bytes lie. */
export interface HeldRange {
  offset: number;
  length: number;
  /** Zero as a whole, which the image says without storing it. */
  zero?: true;
  /** Where its first byte lies; absent where the image does not store the bytes as they are. */
  place?: Place;
}

/**
 * Gathers ranges, which are in order and need not end at blocks, into batches of whole blocks: a block's bytes may lie in
 * several places, and what lies together in a file is one read, also where its blocks are scattered over the disk. Blocks
 * that no range touches are in no batch; ranges of zeros become runs, in their place between the batches.
 */
export async function* gatherBatches(
  ranges: AsyncIterable<HeldRange>,
  virtualSizeBytes: number,
): AsyncGenerator<Batch | ZeroRun, void, undefined> {
  let batch: Batch | undefined;
  let next = 0;
  for await (const range of ranges) {
    const end = Math.min(range.offset + range.length, virtualSizeBytes);
    if (range.zero) {
      if (batch) yield batch;
      batch = undefined;
      const first = Math.max(next, Math.floor(range.offset / BLOCK_SIZE));
      next = Math.max(first, Math.ceil(end / BLOCK_SIZE));
      if (next > first) yield { kind: 'zero', first, count: next - first };
      continue;
    }
    for (let at = range.offset; at < end; ) {
      const block = Math.floor(at / BLOCK_SIZE);
      if (batch && block >= next && batch.length >= BATCH_BYTES) {
        yield batch;
        batch = undefined;
      }
      batch ??= { blocks: [], length: 0, reads: [] };
      at = extend(batch, range, at, end, virtualSizeBytes);
      next = Math.ceil(at / BLOCK_SIZE);
    }
  }
  if (batch) yield batch;
}

/**
 * Adds as much of a range to a batch as there is room for.
 * @returns where the rest of it begins, in bytes of the disk
 */
function extend(batch: Batch, range: HeldRange, from: number, end: number, virtualSizeBytes: number): number {
  const block = Math.floor(from / BLOCK_SIZE);
  let last = batch.blocks.at(-1);
  if (last === undefined || block > last.end) {
    last = { first: block, end: block };
    batch.blocks.push(last);
  }
  // Where the bytes of the last blocks begin: those before them lie in front of them, without the gap.
  const before = batch.length - bytesOf(last, virtualSizeBytes);
  const start = last.first * BLOCK_SIZE;
  const to = Math.min(end, start + BATCH_BYTES - before);
  last.end = Math.max(last.end, Math.ceil(to / BLOCK_SIZE));
  batch.length = before + bytesOf(last, virtualSizeBytes);
  addRead(batch.reads, readOf(range, from, to, before + from - start));
  return to;
}

function bytesOf({ first, end }: { first: number; end: number }, virtualSizeBytes: number): number {
  return Math.min(end * BLOCK_SIZE, virtualSizeBytes) - Math.min(first * BLOCK_SIZE, virtualSizeBytes);
}

function readOf({ offset, place }: HeldRange, from: number, to: number, at: number): BatchRead {
  const read: BatchRead = { at, length: to - from };
  return place ? { ...read, place: { file: place.file, offset: place.offset + from - offset } } : read;
}

/** One read for what lies one after the other both in the batch and in a file. */
function addRead(reads: BatchRead[], read: BatchRead): void {
  const last = reads.at(-1);
  const follows =
    last?.place !== undefined &&
    last.at + last.length === read.at &&
    last.place.file === read.place?.file &&
    last.place.offset + last.length === read.place.offset;
  if (follows) last.length += read.length;
  else reads.push(read);
}
