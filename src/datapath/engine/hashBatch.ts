import { read } from 'node:fs';
import { promisify } from 'node:util';
import { errnoOf } from '../../shared/errors.js';
import { type BlockDigests, digestBlocks } from '../digests/block.js';
import { DIRECT_ALIGNMENT } from '../../shared/alignedBuffers.js';
import { readDirect } from '../../shared/readDirect.js';
import type { BlockRange } from './blockRange.js';

/** Reads from a file, and says how many bytes. The one that returns them at once blocks its thread. */
export type ReadFile = (
  fd: number,
  target: Buffer,
  at: number,
  length: number,
  position: number,
) => number | Promise<number>;

const readFd = promisify(read);
const readSoon: ReadFile = async (...args) => (await readFd(...args)).bytesRead;

/** An open file, twice: `direct` bypasses the page cache, and is absent where the file system cannot. */
export interface OpenFile {
  fd: number;
  direct?: number;
  /** `fd` bypasses it, too: a block device. */
  directOnly?: true;
}

/**
 * Blocks to digest, and where their bytes lie in files. What no read covers is zero. The blocks are in order and need not be
 * neighbours: in the batch they lie one after the other, so that scattered blocks cost no more than others.
 */
export interface Batch {
  /** None of them empty, with gaps between them. */
  blocks: BlockRange[];
  /** Bytes of all its blocks: whole ones, but for the end of the disk. */
  length: number;
  reads: BatchRead[];
}

export interface BatchRead {
  /** Offset in the batch, in bytes. */
  at: number;
  length: number;
  /** Where the bytes lie; absent where the image does not store them as they are (compressed). */
  place?: Place;
}

export interface Place {
  file: OpenFile;
  /** Offset in the file, in bytes. */
  offset: number;
}

/** Most bytes in a batch: eight blocks. Two threads with four such reads each kept a disk and both cores busy. */
export const BATCH_BYTES = 512 * 1024;

/**
 * Reads a batch into `buffer` (at least as long) and digests it. Direct I/O is used where it can be: it shows what is on
 * the disk and not what is in the page cache, was twice as fast on a busy machine, and leaves the cache to others.
 */
export async function hashBatch(
  batch: Batch,
  buffer: Buffer,
  readFile: ReadFile = readSoon,
): Promise<BlockDigests> {
  const bytes = buffer.subarray(0, batch.length);
  const covered = batch.reads.reduce((sum, { length }) => sum + length, 0);
  if (covered < batch.length) bytes.fill(0);
  await Promise.all(batch.reads.map((one) => readPiece(one, bytes, readFile)));
  return digestBlocks(bytes);
}

async function readPiece({ at, length, place }: BatchRead, bytes: Buffer, readFile: ReadFile): Promise<void> {
  if (!place) throw new TypeError('The bytes do not lie in a file.');
  const { file, offset } = place;
  let filled = await readInPlace({ at, length, place }, bytes, readFile);
  if (file.directOnly) {
    const read = async (target: Buffer, position: number) =>
      readFile(file.fd, target, 0, target.length, position);
    filled += await readDirect(read, bytes.subarray(at + filled, at + length), offset + filled);
  }
  while (filled < length && !file.directOnly) {
    const bytesRead = await readFile(file.fd, bytes, at + filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  // QEMU reads zeros where a file ends before its last cluster does.
  bytes.fill(0, at + filled, at + length);
}

/** @returns how many bytes it read: possibly none, for the page cache to do the rest */
async function readInPlace(
  { at, length, place }: BatchRead,
  bytes: Buffer,
  readFile: ReadFile,
): Promise<number> {
  const direct = place?.file.direct;
  if (!place || direct === undefined) return 0;
  if ([at, length, place.offset].some((number) => number % DIRECT_ALIGNMENT !== 0)) return 0;
  try {
    return await readFile(direct, bytes, at, length, place.offset);
  } catch (error) {
    // Some file systems accept the flag, and then want an alignment that nobody can know beforehand.
    if (errnoOf(error) === 'EINVAL') return 0;
    throw error;
  }
}
