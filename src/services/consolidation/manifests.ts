import { join } from 'node:path';
import { isStrataError, StrataError } from '../../shared/errors.js';
import { syncDirectory } from '../repository/durable.js';
import { sidecarsOf } from '../repository/layout.js';
import { type Manifest, readManifest } from '../repository/manifest.js';
import { replaceManifest } from '../repository/manifest.js';
import type { Place } from '../job/openPlace.js';

/** @throws manifest_invalid when it is missing, damaged, or another backup's */
export async function readOwnManifest({ root }: Place, backupId: string, image: string): Promise<Manifest> {
  const path = join(root, sidecarsOf(image).manifest);
  const manifest = await readManifest(path);
  if (manifest?.backup_id === backupId) return manifest;
  throw new StrataError('manifest_invalid', `${path} is not the manifest of backup ${backupId}.`);
}

/**
 * Lets the manifests of expired backups say so, before anything becomes of their files: a catalogue that is rebuilt must
 * not offer points that are being taken apart. One that is missing or damaged offers nothing.
 */
export async function expireManifests(
  place: Place,
  fence: number,
  backups: readonly { id: string; path: string }[],
  now: Date,
): Promise<void> {
  let changed = false;
  for (const { id, path } of backups) {
    const manifest = await ownManifestOrNone(place, id, path);
    if (!manifest || manifest.expired_at !== undefined) continue;
    await replaceManifest(place, path, fence, { ...manifest, expired_at: now.toISOString() });
    changed = true;
  }
  if (changed) await syncDirectory(join(place.root, place.directory));
}

async function ownManifestOrNone(place: Place, id: string, image: string): Promise<Manifest | undefined> {
  try {
    return await readOwnManifest(place, id, image);
  } catch (error) {
    if (isStrataError(error, 'manifest_invalid')) return undefined;
    throw error;
  }
}
