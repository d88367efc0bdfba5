import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { abortable, throwIfAborted } from '../../shared/abort.js';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { diskDirectory } from './layout.js';
import { assertRepository } from './marker.js';

/** Where files are set aside, below the repository's root. Never scanned. */
export const QUARANTINE_NAME = '.quarantine';

/** Ids of VM contexts; hidden names and `lost+found`, which only root may list, are none. */
const CONTEXT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,190}$/;
const DISK = /^disk-(0|[1-9]\d{0,3})$/;

/** One `<ctx>/disk-<n>/`, as it was listed. */
export interface DiskDirectory {
  vmContextId: string;
  diskId: number;
  /** Relative to the root. */
  directory: string;
  names: string[];
}

export interface VmDirectory {
  vmContextId: string;
  disks: DiskDirectory[];
}

export interface RepositoryScan {
  root: string;
  repositoryId: string;
  directories: DiskDirectory[];
}

/**
 * Lists the disks' directories, VM by VM; memory is that of one VM's names. What was yielded is proved only when the
 * iteration ends without an error: the marker is asked for before and after, because a repository that is unmounted
 * in between looks like one that has lost its files (invariant 6).
 * @throws repository_unavailable when the marker is missing or anything cannot be listed; that is never absence
 * @throws repository_marker_foreign, or the signal's reason
 */
export async function* scanVms(
  root: string,
  repositoryId: string,
  { signal }: { signal: AbortSignal },
): AsyncGenerator<VmDirectory, void, undefined> {
  await abortable(assertRepository(root, repositoryId), signal);
  for (const vm of await entriesOf(root, signal)) {
    if (!CONTEXT.test(vm.name) || vm.isFile()) continue;
    const disks: DiskDirectory[] = [];
    for (const { name } of await entriesOf(join(root, vm.name), signal)) {
      const match = DISK.exec(name);
      if (!match) continue;
      throwIfAborted(signal);
      const diskId = Number(match[1]);
      const directory = diskDirectory(vm.name, diskId);
      const names = (await entriesOf(join(root, directory), signal)).map((entry) => entry.name);
      disks.push({ vmContextId: vm.name, diskId, directory, names });
    }
    if (disks.length > 0) yield { vmContextId: vm.name, disks };
  }
  await abortable(assertRepository(root, repositoryId), signal);
}

/** The whole scan at once: some 100 bytes of memory for each file. @throws as `scanVms` */
export async function scanRepository(
  root: string,
  repositoryId: string,
  options: { signal: AbortSignal },
): Promise<RepositoryScan> {
  const directories: DiskDirectory[] = [];
  for await (const vm of scanVms(root, repositoryId, options)) directories.push(...vm.disks);
  return { root, repositoryId, directories };
}

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

async function entriesOf(path: string, signal: AbortSignal): Promise<Dirent[]> {
  try {
    return await abortable(readdir(path, { withFileTypes: true }), signal);
  } catch (error) {
    throwIfAborted(signal);
    throw new StrataError('repository_unavailable', `${path} cannot be listed.`, { cause: error });
  }
}
