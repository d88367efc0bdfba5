import { basename } from 'node:path';
import {
  type ImageOnDisk,
  isOfNoCatalogue,
  listQuarantined,
  quarantineDays,
  readImages,
  readQuarantined,
} from '../repository/standing/index.js';
import type { PlannedLayer } from './facts.js';

/** The images of a directory, and those that were set aside from it and are brought back, with what each stands on. */
export interface References {
  images: readonly ImageOnDisk[];
}

/**
 * Reads the header of every image in a directory. What is no QCOW2 image stands on nothing.
 * @param directory relative to the root
 * @throws repository_unavailable when the directory or the quarantine cannot be listed
 */
export async function readReferences(
  root: string,
  directory: string,
  signal: AbortSignal,
): Promise<References> {
  const here = await readImages(root, directory, signal);
  const taken = new Set(here.map(({ path }) => path));
  // Where its place is taken it is not brought back, and a copy of a backup would keep the base for ever.
  const quarantined = (await quarantinedFrom(root, directory, signal)).filter(
    ({ origin }) => !taken.has(origin),
  );
  return { images: [...here, ...quarantined] };
}

/** Those that a reconciliation brings back, or leaves to people where there are several: their bases stay. */
async function quarantinedFrom(root: string, directory: string, signal: AbortSignal): Promise<ImageOnDisk[]> {
  const days = await quarantineDays(root, signal);
  const files = await listQuarantined(root, { days, directory, signal });
  const ofNoCatalogue = files.filter(({ reason }) => isOfNoCatalogue(reason));
  return (await readQuarantined(root, ofNoCatalogue, signal)).filter(({ qcow2 }) => qcow2);
}

/** The layers, with the images that the catalogue does not know and that stand on them. Temporary files are left out. Pure. */
export function withStrangers(layers: readonly PlannedLayer[], { images }: References): PlannedLayer[] {
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
