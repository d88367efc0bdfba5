import { join } from 'node:path';
import { removeFiles, renameOver, writeDurably } from './durable.js';
import { partialFiles, sidecarsOf } from './layout.js';
import { type Manifest, serialiseManifest } from './manifest.js';

/**
 * Replaces a backup's manifest: whole, flushed, under the fence's own name first, so that no reader meets half of one. The caller flushes the
 * directory.
 * @param image relative to the root
 */
export async function replaceManifest(
  { root }: { root: string },
  image: string,
  fence: number,
  manifest: Manifest,
): Promise<void> {
  const files = sidecarsOf(image);
  const temporary = join(root, partialFiles(files, fence).manifest);
  // Left by a call that failed between the two.
  await removeFiles([temporary]);
  await writeDurably(temporary, serialiseManifest(manifest));
  await renameOver(temporary, join(root, files.manifest));
}
