import { lstat, open } from 'node:fs/promises';
import { abortable } from '../../shared/abort.js';
import { errnoOf } from '../../shared/errors.js';
import { digestHeader } from '../repository/imageHeader.js';
import type { FileFact } from './facts.js';
import { readingTrouble, saysAbsent } from '../repository/trouble.js';

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
