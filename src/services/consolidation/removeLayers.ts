import { join } from 'node:path';
import { type Layer, noteFilesRemoved } from '../chain/index.js';
import { removeFiles, syncDirectory } from '../repository/durable.js';
import { sidecarsOf } from '../repository/layout.js';
import { assertPlace } from '../job/openPlace.js';
import { assertFootingKnown, assertNothingStandsOn } from '../repository/standing/index.js';
import { readReferences } from './references.js';
import type { Work } from './work.js';

/**
 * Unlinks the files of expired backups on which nothing stands, and notes it. Images go first, the newest before what it
 * stands on, and manifests last: a manifest that says `expired_at` explains what is left of a removal that was cut.
 * @param layers newest first
 * @throws chain_broken when an image that stays refers to one of them, image_unreadable when one may; then nothing is removed
 */
export async function removeLayers(work: Work, layers: readonly Layer[]): Promise<void> {
  if (layers.length === 0) return;
  const { deps, held, io, place } = work;
  work.progress.begin('removing');
  const directory = join(place.root, place.directory);
  const files = layers.map(({ path }) => sidecarsOf(path));
  // The last look before files are unlinked: the headers, not the catalogue, say what stands on them.
  const { images } = await readReferences(place.root, place.directory, io.signal);
  const doomed = files.map(({ image }) => image);
  assertFootingKnown(images, doomed);
  assertNothingStandsOn(images, doomed);
  await assertPlace(place);
  await held.assertHeld();
  const inOrder = [
    ...files.map(({ image }) => image),
    ...files.map(({ digests }) => digests),
    ...files.map(({ manifest }) => manifest),
  ];
  await removeFiles(inOrder.map((path) => join(place.root, path)));
  await syncDirectory(directory);
  await noteFilesRemoved(
    deps.ds,
    held.lease,
    layers.map(({ id }) => id),
  );
}
