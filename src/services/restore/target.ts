import { lstat, realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, sep } from 'node:path';
import { filesBehind } from '../../datapath/index.js';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { isUnder } from '../../shared/files.js';
import { assertOutsideRepositories, type RepositoryRoot } from './outsideRepositories.js';

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

/** Where restores may write. */
export interface TargetRules {
  /** Directories that restores may write to. */
  roots: readonly string[];
  /** All that are registered: nothing is restored into any of them. */
  repositories: readonly RepositoryRoot[];
  signal: AbortSignal;
}

/**
 * Looks at a restore's target, and refuses one that is outside of the allowed directories, or in a repository, by where it
 * really is. Whether it is a device decides what is there, and not its name.
 * @throws path_not_allowed, or invalid_request when the directory does not exist; target_changed
 */
export async function inspectTarget(path: string, rules: TargetRules): Promise<TargetFacts> {
  try {
    return await inspect(path, rules);
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) throw error;
    throw new StrataError('target_changed', `${path} was exchanged while it was looked at.`, {
      ...FIELD,
      cause: error,
    });
  }
}

async function inspect(path: string, rules: TargetRules): Promise<TargetFacts> {
  const name = basename(path);
  if (!isAbsolute(path) || path.includes('\0') || path.endsWith(sep) || ['', '.', '..'].includes(name)) {
    throw new StrataError('path_not_allowed', 'The target is the absolute path of a file.', FIELD);
  }
  const parent = await realDirectory(dirname(path));
  await assertInside(parent, rules);
  await assertOutsideRepositories(parent, rules.repositories, rules.signal);
  const real = join(parent, name);
  const found = await lstatIfAny(real);
  if (!found) return { kind: 'free', path: real, parent, name };
  if (found.isBlockDevice()) return device(real, rules);
  if (found.isSymbolicLink()) return linkedDevice(real, parent, name, rules);
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
  rules: TargetRules,
): Promise<TargetFacts> {
  const taken: TargetFacts = { kind: 'taken', path, parent, name, identity: await identityOf(path) };
  try {
    if (!(await stat(path)).isBlockDevice()) return taken;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ELOOP') return taken;
    throw error;
  }
  const real = await realpath(path);
  await assertInside(dirname(real), rules);
  return device(real, rules);
}

/** A loop device over an image of a repository would be a way into it. */
async function device(path: string, { repositories, signal }: TargetRules): Promise<TargetFacts> {
  for (const file of await filesBehind(path)) {
    await assertOutsideRepositories(dirname(await realpath(file)), repositories, signal);
  }
  return { kind: 'device', path };
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

async function assertInside(directory: string, { roots }: TargetRules): Promise<void> {
  const allowed: string[] = [];
  for (const root of roots) allowed.push(...(await realPathIfAny(root)));
  if (allowed.some((root) => isUnder(directory, root))) return;
  throw new StrataError(
    'path_not_allowed',
    `${directory} is not below a directory that restores may write to.`,
    FIELD,
  );
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
