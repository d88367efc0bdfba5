import { constants, copyFile, rm } from 'node:fs/promises';
import { errnoOf } from '../../shared/errors.js';

/** What file systems say that cannot share blocks between files; ENOSYS and ENOTTY come from some FUSE and network ones. */
const CANNOT_CLONE = new Set(['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY']);

/**
 * Makes `to` a file of its own that shares its blocks with `from` (FICLONE), in no time and without room.
 * @returns false where the file system cannot; then there is no `to`
 */
export async function tryClone(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch (error) {
    if (!CANNOT_CLONE.has(errnoOf(error) ?? '')) throw error;
    await rm(to, { force: true });
    return false;
  }
}
