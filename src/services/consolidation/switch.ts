import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { commitSwitch, type Layer } from '../chain/index.js';
import { markMerging } from '../../db/chain/layers.js';
import type { BackupType } from '../../entities/index.js';
import { renameOver, syncDirectory } from '../repository/durable.js';
import { headerDigest } from '../repository/imageHeader.js';
import { sidecarsOf } from '../repository/layout.js';
import { assertPlace } from '../job/openPlace.js';
import type { Manifest, NextLayer } from '../repository/manifest.js';
import { storedBytes } from '../repository/durable.js';
import { replaceManifest } from '../repository/manifest.js';
import { readOwnManifest } from './manifests.js';
import type { Work } from './work.js';

export interface SwitchInput {
  top: Layer;
  /** Absolute paths of the proved files. */
  image: string;
  digests: string;
  /** What the file becomes. */
  type: BackupType;
  below: Layer | undefined;
}

/**
 * Gives a proved file the name of the backup that it replaces (decision 14, "The switch"). The rename of the image is the
 * one instant at which the backup stops standing on the run; on both sides of it the manifest is right.
 */
export async function switchFiles(work: Work, input: SwitchInput): Promise<void> {
  const { deps, held, place } = work;
  work.progress.begin('switching');
  const { root } = place;
  const { top } = input;
  const files = sidecarsOf(top.path);
  const manifest = await readOwnManifest(place, top.id, top.path);
  const next = await describeNext(work, input);
  await markMerging(deps.ds, held.lease, top.id);
  await assertPlace(place);
  await held.assertHeld();
  await renameOver(input.digests, join(root, files.digests));
  await replaceManifest(place, top.path, held.lease.fence, { ...manifest, next });
  await syncDirectory(join(root, place.directory));
  await held.assertHeld();
  await renameOver(input.image, join(root, top.path));
  await finishSwitch(work, top, { ...manifest, ...next });
}

/** What is left to do once the image has its name; also for a switch that was cut there. Cancellation is not heard. */
export async function finishSwitch(
  { deps, held, place }: Pick<Work, 'deps' | 'held' | 'place'>,
  top: Pick<Layer, 'id' | 'path'>,
  manifest: Manifest,
): Promise<void> {
  const directory = join(place.root, place.directory);
  await syncDirectory(directory);
  await replaceManifest(place, top.path, held.lease.fence, manifest);
  await syncDirectory(directory);
  await commitSwitch(deps.ds, held.lease, {
    backupId: top.id,
    backupType: manifest.backup_type,
    parentBackupId: manifest.parent_backup_id,
    sizeBytes: manifest.size_bytes,
  });
}

async function describeNext({ held }: Work, { image, type, below }: SwitchInput): Promise<NextLayer> {
  const stats = await stat(image);
  return {
    fence: held.lease.fence,
    backup_type: type,
    parent_backup_id: below?.id ?? null,
    parent_file: below ? basename(below.path) : null,
    file_length: stats.size,
    file_mtime_ms: Math.floor(stats.mtimeMs),
    header_sha256: await headerDigest(image),
    size_bytes: storedBytes(stats),
  };
}
