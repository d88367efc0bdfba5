import { copyFile, mkdir, opendir, stat } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { throwIfAborted } from '../../shared/abort.js';
import { errnoOf } from '../../shared/errors.js';

/** Where the demonstration's files come from, until there are enough. */
export const FILE_SOURCES: readonly string[] = [
  '/etc',
  '/usr/share/doc',
  '/usr/share/common-licenses',
  '/usr/include',
  '/usr/lib/python3',
  '/usr/share',
  '/usr/lib',
];

const LARGEST_FILE = 8 * 1024 * 1024;
const READABLE_BY_ALL = 0o004;

/**
 * Copies files of this machine to a directory until they are `budget` bytes: only regular files that everybody may read,
 * so that no secret gets into the image.
 * @returns how many files, and their bytes
 */
export async function collectFiles(
  sources: readonly string[],
  target: string,
  budget: number,
  signal?: AbortSignal,
): Promise<{ files: number; bytes: number }> {
  const sum = { files: 0, bytes: 0 };
  const seen = new Set<string>();
  for (const source of sources) {
    const copyTo = join(target, basename(source));
    for await (const path of walk(source)) {
      throwIfAborted(signal);
      if (sum.bytes >= budget) return sum;
      if (seen.has(path)) continue;
      seen.add(path);
      const size = await copyIfPublic(path, join(copyTo, relative(source, path)), budget - sum.bytes);
      if (size === undefined) continue;
      sum.files += 1;
      sum.bytes += size;
    }
  }
  return sum;
}

/** Every regular file below a directory; links are not followed, directories that may not be read are passed over. */
async function* walk(directory: string): AsyncGenerator<string> {
  let entries: Awaited<ReturnType<typeof opendir>>;
  try {
    entries = await opendir(directory);
  } catch (error) {
    if (isUnavailable(error)) return;
    throw error;
  }
  for await (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else if (entry.isFile()) yield path;
  }
}

async function copyIfPublic(path: string, target: string, room: number): Promise<number | undefined> {
  try {
    const { mode, size } = await stat(path);
    if ((mode & READABLE_BY_ALL) === 0 || size > Math.min(room, LARGEST_FILE)) return undefined;
    await mkdir(dirname(target), { recursive: true });
    await copyFile(path, target);
    return size;
  } catch (error) {
    // The machine lives: a file may go, or become unreadable, between the listing and the copy.
    if (isUnavailable(error)) return undefined;
    throw error;
  }
}

function isUnavailable(error: unknown): boolean {
  return ['ENOENT', 'EACCES', 'EPERM', 'ENOTDIR'].includes(errnoOf(error) ?? '');
}
