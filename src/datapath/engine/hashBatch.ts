import { read } from 'node:fs';
import { promisify } from 'node:util';
import { type BlockDigests, digestBlocks } from '../digests/block.js';

const readFd = promisify(read);

/** Consecutive blocks to digest, and where their bytes lie in files. What no read covers is zero. */
export interface Batch {
  /** Number of the first block. */
  first: number;
  /** Bytes of the guest disk: whole blocks, but for the end of the disk. */
  length: number;
  reads: BatchRead[];
}

export interface BatchRead {
  /** Offset in the batch. */
  at: number;
  length: number;
  /** Open file and the offset in it; absent where the image does not store the bytes as they are (compressed). */
  file?: { fd: number; offset: number };
}

/** Most bytes in a batch: eight blocks. Two threads with four such reads each kept a disk and both cores busy. */
export const BATCH_BYTES = 512 * 1024;

/** Reads a batch into `buffer` (at least as long) and digests it. */
export async function hashBatch(batch: Batch, buffer: Buffer): Promise<BlockDigests> {
  const bytes = buffer.subarray(0, batch.length);
  const covered = batch.reads.reduce((sum, { length }) => sum + length, 0);
  if (covered < batch.length) bytes.fill(0);
  await Promise.all(batch.reads.map((one) => readPiece(one, bytes)));
  return digestBlocks(bytes);
}

async function readPiece({ at, length, file }: BatchRead, bytes: Buffer): Promise<void> {
  if (!file) throw new TypeError('The bytes do not lie in a file.');
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await readFd(file.fd, bytes, at + filled, length - filled, file.offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  // QEMU reads zeros where a file ends before its last cluster does.
  bytes.fill(0, at + filled, at + length);
}
