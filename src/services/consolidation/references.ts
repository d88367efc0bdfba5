import { basename, join } from 'node:path';
import { StrataError } from '../../shared/errors.js';
import { type ImageOnDisk, readImages } from '../repository/standing/index.js';
import type { LayerFact } from './facts.js';

/** The images of a directory, with what each stands on. */
export interface References {
  images: readonly ImageOnDisk[];
}

/**
 * Reads the header of every image in a directory. What is no QCOW2 image stands on nothing.
 * @param directory relative to the root
 * @throws repository_unavailable when one cannot be read: what it stands on must not be guessed
 */
export async function readReferences(
  root: string,
  directory: string,
  signal: AbortSignal,
): Promise<References> {
  const images = await readImages(root, directory, signal);
  for (const { path, below } of images) {
    for (const each of below) {
      if (each.state !== 'unknown') continue;
      const where = join(root, path);
      throw new StrataError('repository_unavailable', `${where} cannot be looked at: ${each.reason}.`);
    }
  }
  return { images };
}

/** The layers, with the images that the catalogue does not know and that stand on them. Temporary files are left out. Pure. */
export function withStrangers(layers: readonly LayerFact[], { images }: References): LayerFact[] {
  const known = new Set(layers.map(({ path }) => path));
  const strangers = images.filter(({ path }) => !known.has(path) && !basename(path).startsWith('.'));
  return layers.map((layer) => {
    const realPath = images.find(({ path }) => path === layer.path)?.realPath;
    const standing = strangers.filter(({ below }) =>
      below.some((each) => each.state === 'file' && each.realPath === realPath),
    );
    return { ...layer, strangers: standing.length };
  });
}
