import { open } from 'node:fs/promises';
import { throwIfAborted } from '../../shared/abort.js';
import { createThrottle, type RateLimit } from './throttle.js';

export interface CopyFileWhole {
  from: string;
  /** Must not exist. */
  to: string;
  /** Limits the average rate of reading. */
  rate: RateLimit;
  signal: AbortSignal;
}

const PIECE_BYTES = 1024 ** 2;

/**
 * Copies a file byte by byte, so that it can be slowed down and stopped, which copyFile cannot. The copy is not flushed, and
 * is left where this fails: both are the caller's to settle.
 * @throws a system error, or the signal's reason
 */
export async function copyFileWhole({ from, to, rate, signal }: CopyFileWhole): Promise<void> {
  const throttle = createThrottle(rate, signal);
  const piece = Buffer.allocUnsafe(PIECE_BYTES);
  const source = await open(from, 'r');
  try {
    const target = await open(to, 'wx', 0o640);
    try {
      for (;;) {
        throwIfAborted(signal);
        const { bytesRead } = await source.read(piece, 0, PIECE_BYTES);
        if (bytesRead === 0) return;
        await throttle(bytesRead);
        await target.writeFile(piece.subarray(0, bytesRead));
      }
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}
