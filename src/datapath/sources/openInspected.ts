import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { errnoOf, StrataError } from '../../shared/errors.js';
import type { FileIdentity } from './paths.js';

/** What a name gives that has been taken away, or that became a symbolic link. */
const EXCHANGED = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

/**
 * Opens the file that was checked against the roots, and no other that has come to its path since: a symbolic link put
 * there would lead anywhere. The caller closes it.
 * @param path with all symbolic links resolved
 * @throws source_changed when something else is there now
 */
export async function openInspected(path: string, inspected: FileIdentity): Promise<FileHandle> {
  const file = await openNoLink(path);
  try {
    const { dev, ino } = await file.stat({ bigint: true });
    if (dev === inspected.dev && ino === inspected.ino) return file;
    throw exchanged(path);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openNoLink(path: string): Promise<FileHandle> {
  try {
    // O_NONBLOCK: a FIFO put there meanwhile must not hang the worker.
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw EXCHANGED.has(errnoOf(error) ?? '') ? exchanged(path, error) : error;
  }
}

function exchanged(path: string, cause?: unknown): StrataError {
  return new StrataError('source_changed', 'The source was replaced after it was inspected.', {
    details: { path },
    ...(cause === undefined ? {} : { cause }),
  });
}
