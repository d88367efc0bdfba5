import { lstat, open, readdir } from 'node:fs/promises';
import { abortable } from '../../shared/abort.js';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { digestHeader } from '../repository/imageHeader.js';
import type { FileFact } from './facts.js';
import { readingTrouble, saysAbsent } from './trouble.js';

/**
 * Names in a directory; undefined when it certainly does not exist.
 * @throws repository_unavailable when it cannot be listed: an empty answer would make every file missing (invariant 6)
 */
export async function listNames(path: string, signal: AbortSignal): Promise<string[] | undefined> {
  try {
    return await abortable(readdir(path), signal);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    if (error instanceof StrataError) throw error;
    throw new StrataError('repository_unavailable', `The directory ${path} cannot be listed.`, {
      cause: error,
    });
  }
}

/** Change time of a file in ms; null where it cannot be had, of which whoever reads the file tells. */
export async function changeTimeOf(path: string, signal: AbortSignal): Promise<number | null> {
  try {
    return (await abortable(lstat(path), signal)).ctimeMs;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return null;
  }
}

/**
 * Looks at an image as a file and digests its beginning. `missing` only where both the listing and the look-up of the
 * name say so.
 * @param listed whether the name is in its directory's listing
 */
export async function lookAtFile(path: string, listed: boolean, signal: AbortSignal): Promise<FileFact> {
  try {
    const found = await abortable(lstat(path), signal);
    if (!found.isFile()) return { state: 'unreadable', reason: `${path} is not a regular file` };
    const file = await open(path, 'r');
    try {
      const header = await digestHeader(file);
      return { state: 'present', length: found.size, mtimeMs: found.mtimeMs, ctimeMs: found.ctimeMs, header };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!saysAbsent(error)) return { state: 'unreadable', reason: readingTrouble(error) };
    return listed
      ? { state: 'unreadable', reason: `${path} vanished while it was looked at` }
      : { state: 'missing' };
  }
}
