import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** All that is below a directory, links not followed: a directory that goes while the others are read holds nothing, which Node's own `recursive` takes for an error. */
async function entriesBelow(root: string): Promise<Dirent[]> {
  const found: Dirent[] = [];
  const left = [root];
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    const entries = await readdir(path, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' && path !== root) return [];
      throw error;
    });
    found.push(...entries);
    left.push(...entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(path, name)));
  }
  return found;
}

const pathIn = (root: string, entry: Dirent) => relative(root, join(entry.parentPath, entry.name));

/** Sorted paths, relative to `root`, of all files and directories below: for directories in which somebody works meanwhile. */
export async function namesBelow(root: string): Promise<string[]> {
  return (await entriesBelow(root)).map((entry) => pathIn(root, entry)).sort();
}

/** Sorted paths, relative to `root`, of all below that is no directory. */
export async function filesBelow(root: string): Promise<string[]> {
  const entries = await entriesBelow(root);
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => pathIn(root, entry))
    .sort();
}
