import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, readlink, rmdir, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, StrataError } from '../../shared/errors.js';

/**
 * A directory that is open. What is reached by `at` is in this very directory, in child processes too, whatever is put in
 * the place of its path or of a directory above: whoever may write there cannot lead a restore elsewhere.
 */
export interface TargetDirectory {
  /** Its path when it was opened, without symbolic links. */
  path: string;
  /** Leads to the directory, or to a name in it. */
  at(name?: string): string;
  /** @throws target_changed where its path leads elsewhere by now */
  assertInPlace(): Promise<void>;
  sync(): Promise<void>;
  /** Removes a file in it. */
  remove(name: string): Promise<void>;
  close(): Promise<void>;
}

const FIELD = { field: 'target.path' };

/**
 * Opens a directory, and nothing that was put in its place.
 * @param path without symbolic links, as it was checked
 * @throws target_changed
 */
export async function openTargetDirectory(path: string): Promise<TargetDirectory> {
  const { handle, at } = await openAt(path, path);
  const { dev, ino } = await handle.stat({ bigint: true });
  const directory: TargetDirectory = {
    path,
    at,
    assertInPlace: async () => {
      // The first tells that a directory above was moved and linked to, the second that another stands there.
      const isThere = (await readlink(at())) === path;
      const there = await lstat(path, { bigint: true }).catch((error: unknown) => {
        throw errnoOf(error) === undefined ? error : exchanged(path, error);
      });
      if (!isThere || there.dev !== dev || there.ino !== ino) throw exchanged(path);
    },
    sync: () => handle.sync(),
    remove: (name) => unlink(at(name)),
    close: () => handle.close(),
  };
  try {
    await directory.assertInPlace();
    return directory;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** A directory of this process alone, in another one. */
export interface PrivateDirectory {
  at(name?: string): string;
  close(): Promise<void>;
}

/** @throws target_changed where somebody has put another directory in its place */
export async function makePrivateDirectory(parent: TargetDirectory, name: string): Promise<PrivateDirectory> {
  await mkdir(parent.at(name), { mode: 0o700 });
  const { handle, at } = await openAt(parent.at(name), join(parent.path, name));
  try {
    if (!isPrivate(await handle.stat(), (await statfs(at())).type)) throw exchanged(join(parent.path, name));
    return { at, close: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Removes a directory and the files in it. A link that was put in its place is removed and not followed. One that is not
 * there is removed already.
 */
export async function removeDirectoryAt(parent: TargetDirectory, name: string): Promise<void> {
  const path = parent.at(name);
  try {
    if (!(await lstat(path)).isDirectory()) return await unlink(path);
    const { handle, at } = await openAt(path, join(parent.path, name));
    try {
      for (const file of await readdir(at())) await unlink(at(file));
    } finally {
      await handle.close();
    }
    await rmdir(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
}

async function openAt(path: string, shown: string) {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  try {
    const handle = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const at = (name?: string) => {
      const self = `/proc/${process.pid}/fd/${handle.fd}`;
      return name === undefined ? self : `${self}/${name}`;
    };
    return { handle, at };
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) throw exchanged(shown, error);
    throw error;
  }
}

/**
 * File systems whose servers or mount options decide on owners and modes, whatever mkdir(2) asks for (`f_type`, statfs(2)): NFS
 * with root squashed, SMB, CIFS (its `dir_mode` is 0755 unless told otherwise, mount.cifs(8)), FUSE, 9P, NTFS.
 */
const FOREIGN_RIGHTS = new Set([0x6969, 0xfe534d42, 0xff534d42, 0x65735546, 0x01021997, 0x7366746e]);

/** Whether a directory that has just been made is this process's alone, as far as its file system lets it be. Pure. */
export function isPrivate({ uid, mode }: { uid: number; mode: number }, fileSystem: number): boolean {
  return FOREIGN_RIGHTS.has(fileSystem) || (uid === process.geteuid?.() && (mode & 0o077) === 0);
}

function exchanged(path: string, cause?: unknown): StrataError {
  return new StrataError(
    'target_changed',
    `${path} is not the directory any more that the restore began in.`,
    {
      ...FIELD,
      details: { path },
      ...(cause === undefined ? {} : { cause }),
    },
  );
}
