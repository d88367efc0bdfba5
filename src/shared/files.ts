import { stat } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { errnoOf } from './errors.js';

/** True or false only where the answer is certain; any other trouble is thrown, never taken for absence (invariant 6). */
export async function fileExists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** True when `path` is `root` or lies below it. Both are absolute and free of symbolic links. */
export function isUnder(path: string, root: string): boolean {
  const folder = resolve(root);
  return path === folder || path.startsWith(folder === sep ? sep : folder + sep);
}
