import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeFiles } from './durable.js';
import { fenceOfPartial } from './layout.js';
import { heldImages, readImages } from './standing/index.js';

/**
 * Removes the temporary files of dead attempts in the disk's directory: those whose fence is older than ours. Whoever
 * holds such a fence can no longer publish, and once its file is gone not even a late link can succeed. One on which
 * somebody's image stands stays.
 */
export async function removeDeadPartials(
  directory: string,
  fence: number,
  signal: AbortSignal,
): Promise<void> {
  const names = await readdir(directory);
  const dead = names.filter((name) => (fenceOfPartial(name) ?? Number.POSITIVE_INFINITY) < fence);
  if (dead.length === 0) return;
  const held = heldImages(await readImages(directory, '', signal), new Set(dead));
  await removeFiles(dead.filter((name) => !held.has(name)).map((name) => join(directory, name)));
}
