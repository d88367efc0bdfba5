import { type FileHandle, link, mkdir, open, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf, StrataError } from '../../shared/errors.js';
import type { Stats } from 'node:fs';

/** Flushes a file's content and metadata to stable storage. */
export async function syncFile(path: string): Promise<void> {
  await withHandle(path, 'r', (handle) => handle.sync());
}

/** Flushes a directory: the names in it are then on stable storage. */
export async function syncDirectory(path: string): Promise<void> {
  await withHandle(path, 'r', (handle) => handle.sync());
}

/** Writes a new file and flushes it; refuses a name that exists. */
export async function writeDurably(path: string, content: string): Promise<void> {
  await withHandle(path, 'wx', async (handle) => {
    await handle.writeFile(content);
    await handle.sync();
  });
}

/**
 * Gives a file its final name without ever replacing another file: a link (which fails where the name exists, as
 * rename(2) does not), then the removal of the old name. A crash in between leaves two names of one file.
 * The caller flushes the directory.
 * @throws file_exists when the final name is taken
 */
export async function publishFile(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    // A retransmitted request to an NFS server may say "exists" of the link that it has just made.
    if (errnoOf(error) !== 'EEXIST' || !(await isSameFile(from, to))) throw explainLink(error, from, to);
  }
  await unlink(from);
}

/**
 * Gives a file another name, and replaces what has that name in one instant (rename(2)): whoever opens the name finds the one file
 * or the other, whole. The caller has flushed the file, and flushes the directory.
 */
export async function renameOver(from: string, to: string): Promise<void> {
  await rename(from, to);
}

/** Gives a file a second name, which must be free. The caller flushes the directory. @throws the system's EEXIST */
export async function addName(path: string, name: string): Promise<void> {
  await link(path, name);
}

function explainLink(error: unknown, from: string, to: string): unknown {
  switch (errnoOf(error)) {
    case 'EEXIST':
      return new StrataError('file_exists', `${to} exists already.`, { cause: error });
    case 'ENOENT':
      return new StrataError('file_missing', `${from} is gone.`, { cause: error });
    case 'EPERM':
    case 'ENOTSUP':
      return new StrataError(
        'repository_unsupported',
        'The file system of the repository has no hard links.',
        { cause: error },
      );
    default:
      return error;
  }
}

async function isSameFile(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([stat(a), stat(b)]);
  return one.dev === other.dev && one.ino === other.ino;
}

/**
 * Creates a directory below an existing one, and makes every name on the way durable, also those that an attempt before
 * has created and not lived to flush.
 * @returns the first directory that had to be created; undefined when all were there
 */
export async function makeDirectory(root: string, path: string): Promise<string | undefined> {
  const made = await mkdir(path, { recursive: true, mode: 0o750 });
  for (let parent = dirname(path); parent.length >= root.length; parent = dirname(parent))
    await syncDirectory(parent);
  return made;
}

/** Removes empty directories from the lowest up to the first one of a path; ends at one that is not empty, or not there. */
export async function removeDirectories(first: string, lowest: string): Promise<void> {
  try {
    for (let path = lowest; path.length >= first.length; path = dirname(path)) await rmdir(path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}

/** Removes files that may or may not exist. */
export async function removeFiles(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true });
}

/**
 * Leaves nothing half-written behind; where even that fails, the next attempt removes it.
 * @param cause why the files are given up
 * @throws the cause, with what has hindered the removal
 */
export async function removePartials(
  root: string,
  paths: readonly string[],
  cause: StrataError,
): Promise<void> {
  try {
    await removeFiles(paths.map((path) => join(root, path)));
  } catch (error) {
    throw new StrataError(
      cause.code,
      `${cause.message} Its temporary files could not be removed: ${(error as Error).message}`,
      {
        cause: new AggregateError([cause, error]),
        details: cause.details,
      },
    );
  }
}

/** Bytes that the file takes on the file system. */
export async function allocatedBytes(path: string): Promise<number> {
  const { blocks } = await stat(path);
  return blocks * 512;
}

async function withHandle<T>(
  path: string,
  flags: string,
  work: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  const handle = await open(path, flags, 0o640);
  try {
    return await work(handle);
  } finally {
    await handle.close();
  }
}

/** st_blocks counts in these, whatever the file system's own blocks are (stat(2)). */
const BLOCK_UNIT = 512;

/**
 * The bytes of storage that a file needs. Less than its length where it has holes; never more than its length in whole
 * blocks, although the file system may have allocated more for now: XFS keeps room behind the end of a file that grows.
 */
export function storedBytes({ size, blocks, blksize }: Pick<Stats, 'size' | 'blocks' | 'blksize'>): number {
  return Math.min(blocks * BLOCK_UNIT, Math.ceil(size / blksize) * blksize);
}
