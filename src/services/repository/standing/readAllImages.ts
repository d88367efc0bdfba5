import { scanVms } from '../scan.js';
import type { ImageOnDisk } from './facts.js';
import { readImagesAt } from './readImages.js';
import { join } from 'node:path';

/**
 * The images in all disks' directories: an overlay that somebody made may stand on an image of another disk. Some 200 bytes
 * of memory for each; only for whoever is about to move or remove images.
 * @throws repository_unavailable, repository_marker_foreign, the signal's reason
 */
export async function readAllImages(
  repository: { id: string; rootPath: string },
  signal: AbortSignal,
): Promise<ImageOnDisk[]> {
  const { id, rootPath: root } = repository;
  const images: ImageOnDisk[] = [];
  for await (const { disks } of scanVms(root, id, { signal })) {
    for (const { directory, names } of disks) {
      const places = names.map((name) => join(directory, name)).map((path) => ({ path, origin: path }));
      images.push(...(await readImagesAt(root, places, signal)));
    }
  }
  return images;
}
