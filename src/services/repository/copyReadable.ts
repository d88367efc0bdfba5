import { type FileHandle, open } from 'node:fs/promises';
import { createThrottle, type RateLimit, type Throttle } from '../../datapath/index.js';
import { throwIfAborted } from '../../shared/abort.js';
import { saysBadSector } from '../../shared/badSector.js';
import { BLOCK_SIZE } from '../../shared/extents.js';

/** Read at once; where that fails, each block by itself. */
const PIECE_BYTES = 16 * BLOCK_SIZE;

export interface CopyReadable {
  from: string;
  /** Must not exist. */
  to: string;
  /** Limits the average rate of reading. */
  rate: RateLimit;
  signal: AbortSignal;
}

/**
 * Copies a file to a name that must not exist, and goes on where the disk does not give a sector: its whole block of 64 KiB, a
 * cluster of the images, is a hole in the copy. **Whoever uses the copy proves it.**
 * Not `fs.copyFile`: where a read fails with EIO, that of Node.js 20 (libuv 1.46) goes on with bytes from the beginning of the
 * file, and reports no error.
 */
export async function copyReadable({ from, to, rate, signal }: CopyReadable): Promise<void> {
  const throttle = createThrottle(rate, signal);
  const source = await open(from, 'r');
  try {
    const target = await open(to, 'wx');
    try {
      await copyPieces(source, target, throttle, signal);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function copyPieces(
  source: FileHandle,
  target: FileHandle,
  throttle: Throttle,
  signal: AbortSignal,
): Promise<void> {
  const { size, mode } = await source.stat();
  await target.chmod(mode);
  await target.truncate(size);
  const buffer = Buffer.allocUnsafe(PIECE_BYTES);
  for (let offset = 0; offset < size; offset += PIECE_BYTES) {
    throwIfAborted(signal);
    const piece = buffer.subarray(0, Math.min(PIECE_BYTES, size - offset));
    await throttle(piece.length);
    if (await copyPiece(source, target, piece, offset)) continue;
    for (let at = 0; at < piece.length; at += BLOCK_SIZE)
      await copyPiece(source, target, piece.subarray(at, at + BLOCK_SIZE), offset + at);
  }
}

/** @returns false where the disk does not give all of it; then nothing of it is in the target */
async function copyPiece(
  source: FileHandle,
  target: FileHandle,
  piece: Buffer,
  offset: number,
): Promise<boolean> {
  try {
    for (let done = 0; done < piece.length; ) {
      const { bytesRead } = await source.read(piece, done, piece.length - done, offset + done);
      if (bytesRead === 0) return false;
      done += bytesRead;
    }
  } catch (error) {
    if (saysBadSector(error)) return false;
    throw error;
  }
  await target.write(piece, 0, piece.length, offset);
  return true;
}
