import { join } from 'node:path';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { removeFiles, writeDurably } from './durable.js';

/** What says nothing on the file system: it is full, or the directory has never been made. */
const NO_ANSWER = new Set(['ENOSPC', 'EDQUOT', 'ENOENT']);

/**
 * Finds out by a small file whether a repository takes writes: a file system that had errors is read-only from then on,
 * and the QEMU tools tell that by messages only. The file has the name of a temporary one of this fence: where not even
 * its removal succeeds, the next attempt does it.
 * @throws repository_unavailable
 */
export async function assertWritable(directory: string, fence: number): Promise<void> {
  const probe = join(directory, `.probe.${fence}.partial`);
  try {
    await writeDurably(probe, '');
    await removeFiles([probe]);
  } catch (error) {
    if (NO_ANSWER.has(errnoOf(error) ?? '')) return;
    throw new StrataError(
      'repository_unavailable',
      `The repository cannot be written: ${(error as Error).message}`,
      { cause: error },
    );
  }
}
