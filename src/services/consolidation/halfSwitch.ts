import { join } from 'node:path';
import { markMerging } from '../../db/chain/layers.js';
import { findBackup } from '../../db/chain/backups.js';
import { backingNameOf } from '../../qcow2/index.js';
import { StrataError } from '../../shared/errors.js';
import { clearPlace, openPlace } from '../job/openPlace.js';
import type { Under } from '../job/under.js';
import { syncDirectory } from '../repository/durable.js';
import { resolveManifest } from '../repository/manifest.js';
import { replaceManifest } from '../repository/manifest.js';
import { readOwnManifest } from './manifests.js';
import { finishSwitch } from './switch.js';

/**
 * Brings a switch to an end that a dead worker has left half done; called before any other work on a chain. What the
 * image refers to decides: a new image is carried through, an old one is left as it was. Safe to repeat.
 * @throws repository_unavailable, manifest_invalid, lease_lost, database_unavailable
 */
export async function finishHalfSwitch(under: Under): Promise<void> {
  const { deps, held } = under;
  const { mergingBackupId: id, kind, fence } = held.lease;
  if (id === undefined) return;
  const place = await openPlace(under, kind);
  const row = await findBackup(deps.ds, id);
  const path = row?.repositoryPath;
  if (!row || !path)
    throw new StrataError('wrong_state', `Backup ${id}, whose file was being switched, has none.`);
  // The dead worker's files first: what it has not renamed by now it never will.
  const directory = await clearPlace(under, place);
  const found = await readOwnManifest(place, id, path);
  const { manifest, switched } = resolveManifest(found, await backingNameOf(join(place.root, path)));
  // The fence check of every change to the files: a worker that lost the chain must not write an older state.
  await held.assertHeld();
  if (switched || (found.next === undefined && manifest.parent_backup_id !== row.parentBackupId)) {
    return finishSwitch({ deps, held, place }, { id, path }, manifest);
  }
  if (found.next !== undefined) {
    await replaceManifest(place, path, fence, manifest);
    await syncDirectory(directory);
  }
  await markMerging(deps.ds, held.lease, null);
}
