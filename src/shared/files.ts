import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { errnoOf } from './errors.js';

/** open(2) on Linux: a descriptor that names a file and does nothing with it; Node has no name for the flag. */
export const O_PATH = 0o10000000;

/** True or false only where the answer is certain; any other trouble is thrown, never taken for absence (invariant 6). */
export async function fileExists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/**
 * Opens a file for reading without waiting: `open(2)` of a FIFO that has come to its name would wait for a writer for ever, in a
 * thread that nothing can stop. A FIFO reads as empty or fails with EAGAIN.
 */
export function openAtOnce(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_NONBLOCK);
}

/**
 * The text of a small file. What is longer is cut, so that neither a device nor a huge file in its place fills the memory: only
 * for text of which the reader can tell that it is whole.
 * @param mostBytes no more is read
 */
export async function readSmallText(path: string, mostBytes: number): Promise<string> {
  const file = await openAtOnce(path);
  try {
    const buffer = Buffer.allocUnsafe(mostBytes);
    let length = 0;
    while (length < mostBytes) {
      const { bytesRead } = await file.read(buffer, length, mostBytes - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.toString('utf8', 0, length);
  } finally {
    await file.close();
  }
}

/** True when `path` is `root` or lies below it. Both are absolute and free of symbolic links. */
export function isUnder(path: string, root: string): boolean {
  const folder = resolve(root);
  return path === folder || path.startsWith(folder === sep ? sep : folder + sep);
}
