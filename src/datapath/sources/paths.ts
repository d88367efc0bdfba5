import { lstat, realpath } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { isUnder } from '../../shared/files.js';

/**
 * The path with all symbolic links resolved, if that lies under a root.
 * @param field where the path came from, for the error
 * @throws path_not_allowed for anything outside of the roots: it says nothing about what is there
 * @throws source_missing when the path lies under a root and nothing is there
 */
export async function allowedRealPath(
  path: string,
  roots: readonly string[],
  field: string,
): Promise<string> {
  if (!isAbsolute(path) || path.includes('\0')) throw notAllowed(field);
  const realRoots = await resolveRoots(roots);
  const within = (real: string | undefined): boolean =>
    real !== undefined && realRoots.some((root) => isUnder(real, root));
  const real = await realOf(path);
  if (real !== undefined) {
    if (within(real)) return real;
    throw notAllowed(field);
  }
  // A dangling link must look like any other forbidden path: else a link under a root would tell what exists elsewhere.
  if (within(await realOf(dirname(resolve(path)))) && (await isAbsent(path))) {
    throw new StrataError('source_missing', `There is no file ${path}.`, { field });
  }
  throw notAllowed(field);
}

async function resolveRoots(roots: readonly string[]): Promise<string[]> {
  const real = await Promise.all(roots.map((root) => realOf(root)));
  return real.filter((root) => root !== undefined);
}

/** Undefined when it cannot be resolved, for whatever reason: the caller may not learn which. */
async function realOf(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

async function isAbsent(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return false;
  } catch (error) {
    return errnoOf(error) === 'ENOENT';
  }
}

function notAllowed(field: string): StrataError {
  return new StrataError(
    'path_not_allowed',
    'The path, with its links resolved, is not below STRATA_SOURCE_ROOTS; strata up --allow PATH allows more.',
    { field },
  );
}
