import { open } from 'node:fs/promises';
import { errnoOf } from '../../shared/errors.js';

const TAIL_BYTES = 4096;

/** The last lines of a log file, at most `lines` of them and 4 KiB; says so when there is no file. */
export async function logTail(path: string, lines = 15): Promise<string> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const start = Math.max(0, size - TAIL_BYTES);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
      return buffer.toString('utf8', 0, bytesRead).trimEnd().split('\n').slice(-lines).join('\n');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '(no log was written)';
    throw error;
  }
}
