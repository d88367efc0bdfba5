import { lstat, realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, sep } from 'node:path';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { isUnder } from '../../shared/files.js';

/** What is at the target's path. `path` has no symbolic links in its directory. */
export type TargetFacts =
  | { kind: 'free'; path: string; parent: string; name: string }
  | { kind: 'taken'; path: string; parent: string; name: string; identity: FileIdentity }
  | { kind: 'device'; path: string };

/** Tells a file from any other that could come to have its name. Strings: the numbers are 64 bits wide. */
export interface FileIdentity {
  inode: string;
  size: string;
  mtime_ns: string;
}

const FIELD = { field: 'target.path' };

/**
 * Looks at a restore's target, and refuses one that is outside of the allowed directories by where it really is.
 * @param roots directories that restores may write to
 * @param repositoryRoot nothing is restored into the repository itself
 * @throws path_not_allowed, or invalid_request when the directory does not exist
 */
export async function inspectTarget(
  path: string,
  roots: readonly string[],
  repositoryRoot: string,
): Promise<TargetFacts> {
  const name = basename(path);
  if (!isAbsolute(path) || path.includes('\0') || path.endsWith(sep) || ['', '.', '..'].includes(name)) {
    throw new StrataError('path_not_allowed', 'The target is the absolute path of a file.', FIELD);
  }
  const parent = await realDirectory(dirname(path));
  await assertInside(parent, roots, repositoryRoot);
  const real = join(parent, name);
  const found = await lstatIfAny(real);
  if (!found) return { kind: 'free', path: real, parent, name };
  if (found.isBlockDevice()) return { kind: 'device', path: real };
  if (found.isSymbolicLink()) return linkedDevice(real, parent, name, { roots, repositoryRoot });
  return { kind: 'taken', path: real, parent, name, identity: await identityOf(real) };
}

/** The identity of a file; of a symbolic link, not of what it leads to. */
export async function identityOf(path: string): Promise<FileIdentity> {
  const { ino, size, mtimeNs } = await lstat(path, { bigint: true });
  return { inode: String(ino), size: String(size), mtime_ns: String(mtimeNs) };
}

/** The names below /dev/disk are links: what they lead to has to be a device that is allowed itself. */
async function linkedDevice(
  path: string,
  parent: string,
  name: string,
  { roots, repositoryRoot }: { roots: readonly string[]; repositoryRoot: string },
): Promise<TargetFacts> {
  const taken: TargetFacts = { kind: 'taken', path, parent, name, identity: await identityOf(path) };
  try {
    if (!(await stat(path)).isBlockDevice()) return taken;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ELOOP') return taken;
    throw error;
  }
  const device = await realpath(path);
  await assertInside(dirname(device), roots, repositoryRoot);
  return { kind: 'device', path: device };
}

async function realDirectory(path: string): Promise<string> {
  try {
    const real = await realpath(path);
    if ((await stat(real)).isDirectory()) return real;
    throw new StrataError('invalid_request', `${path} is not a directory.`, FIELD);
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) throw error;
    throw new StrataError('invalid_request', `The directory ${path} does not exist.`, {
      ...FIELD,
      cause: error,
    });
  }
}

async function assertInside(
  directory: string,
  roots: readonly string[],
  repositoryRoot: string,
): Promise<void> {
  const allowed: string[] = [];
  for (const root of roots) allowed.push(...(await realPathIfAny(root)));
  if (!allowed.some((root) => isUnder(directory, root))) {
    throw new StrataError(
      'path_not_allowed',
      `${directory} is not below a directory that restores may write to.`,
      FIELD,
    );
  }
  if (isUnder(directory, await realpath(repositoryRoot))) {
    throw new StrataError('path_not_allowed', `${directory} is in the repository itself.`, FIELD);
  }
}

async function realPathIfAny(path: string): Promise<string[]> {
  try {
    return [await realpath(path)];
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

async function lstatIfAny(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
