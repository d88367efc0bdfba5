import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { abortable, withDeadline } from '../../shared/abort.js';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { fileExists, isUnder } from '../../shared/files.js';
import { MARKER_NAME } from '../repository/marker.js';

/** The root of a registered repository. */
export interface RepositoryRoot {
  name: string;
  rootPath: string;
}

/** The file systems of other repositories may take so long to answer: one that is gone does not hold up restores to elsewhere. */
const OTHERS_MS = 5_000;

/**
 * Refuses a directory that lies in a repository, by whatever way: by name (the repository may not be mounted now), by
 * symbolic links, by a mount of the repository or of a part of it at another place, or in a repository of another
 * installation, which its marker tells.
 * @param directory without symbolic links
 * @throws path_not_allowed
 */
export async function assertOutsideRepositories(
  directory: string,
  repositories: readonly RepositoryRoot[],
  signal: AbortSignal,
): Promise<void> {
  const mounts = await mountTable();
  const place = placeOf(directory, mounts);
  const above = await ancestors(directory);
  const deadline = withDeadline(signal, OTHERS_MS, 'The look at the roots of repositories');
  try {
    for (const { name, rootPath } of repositories) {
      const real = await rootUntil(rootPath, deadline.signal);
      const root = placeOf(real.path, mounts);
      const isInside =
        isUnder(directory, rootPath) ||
        isUnder(directory, real.path) ||
        (real.identity !== undefined && above.has(real.identity)) ||
        (place !== undefined &&
          root !== undefined &&
          place.device === root.device &&
          isUnder(place.path, root.path));
      if (isInside) throw inside(directory, `the repository ${name} (${rootPath})`);
    }
  } finally {
    deadline.clear();
  }
  for (const path of above.values()) {
    if (await fileExists(join(path, MARKER_NAME)))
      throw inside(directory, `a repository: ${path} has a ${MARKER_NAME}`);
  }
}

/** The directory and all above it, by device and inode. */
async function ancestors(directory: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (let path = directory; ; path = dirname(path)) {
    const { dev, ino } = await stat(path, { bigint: true });
    found.set(`${dev}:${ino}`, path);
    if (path === dirname(path)) return found;
  }
}

/** Where a root really is; by its name alone where there is nothing, or where its file system does not answer. */
async function rootUntil(path: string, signal: AbortSignal): Promise<{ path: string; identity?: string }> {
  const look = async () => {
    const real = await realpath(path);
    const { dev, ino } = await stat(real, { bigint: true });
    return { path: real, identity: `${dev}:${ino}` };
  };
  try {
    return await abortable(look(), signal);
  } catch (error) {
    if (errnoOf(error) === undefined && !signal.aborted) throw error;
    return { path };
  }
}

interface Mount {
  /** Number of the file system's device. */
  device: string;
  /** The directory of the file system that is mounted. */
  root: string;
  point: string;
}

/** Fields of /proc/PID/mountinfo (proc(5)): 2 the device, 3 the root, 4 the mount point; spaces and the like are octal. */
async function mountTable(): Promise<Mount[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  const plain = (text = '') =>
    text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return lines.flatMap((line) => {
    const [, , device, root, point] = line.split(' ');
    return device === undefined ? [] : [{ device, root: plain(root), point: plain(point) }];
  });
}

/** Where a path lies in its file system, which is one place however often and from where on it is mounted. */
function placeOf(path: string, mounts: readonly Mount[]): { device: string; path: string } | undefined {
  let found: Mount | undefined;
  // Of two mounts on one point the later one is seen.
  for (const mount of mounts) {
    if (isUnder(path, mount.point) && mount.point.length >= (found?.point.length ?? 0)) found = mount;
  }
  return found && { device: found.device, path: join(found.root, relative(found.point, path)) };
}

function inside(directory: string, what: string): StrataError {
  return new StrataError('path_not_allowed', `${directory} lies in ${what}; nothing is restored into one.`, {
    field: 'target.path',
  });
}
