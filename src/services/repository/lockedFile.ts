import { relative } from 'node:path';
import { findOpener } from '../../datapath/index.js';
import { lockedFile } from '../../qcow2/index.js';
import { isStrataError, StrataError } from '../../shared/errors.js';
import { isUnder } from '../../shared/files.js';

/** The file of a repository that somebody has locked, where that is what an error says; absolute. */
export function lockedFileOf(error: unknown, root: string): string | undefined {
  const path = isStrataError(error) ? lockedFile(error) : undefined;
  return path !== undefined && isUnder(path, root) ? path : undefined;
}

/**
 * What a lock means that a tool could not get: on a file of the repository it is not the source that is in use, and the
 * remedy is to end whoever has it.
 * @returns repository_file_in_use with the process, where it can be seen; any other error as it is
 */
export async function explainLock<T>(error: T, root: string): Promise<T | StrataError> {
  const path = lockedFileOf(error, root);
  if (path === undefined) return error;
  const holder = await findOpener(path);
  const who = holder ?? 'a process that cannot be seen from here (of another user, container or host)';
  return new StrataError(
    'repository_file_in_use',
    `${relative(root, path)} of the repository ${root} is locked by ${who}; end it: nobody but Strata opens these files for writing.`,
    { cause: error, details: { path, holder: holder ?? null } },
  );
}
