import { join } from 'node:path';
import type { DataSource } from '../../db/database.js';
import { readReach } from '../../db/chain/layerProofs.js';
import { findBackup } from '../../db/chain/backups.js';
import type { RestoreFormat } from '../../entities/index.js';
import { chainInfo } from '../../qcow2/index.js';
import { StrataError } from '../../shared/errors.js';
import type { OpenPlace } from '../job/openPlace.js';
import { isRecordedChain } from '../repository/checkFile.js';
import { byId, lineageOf, loadLayers } from '../chain/index.js';
import { checkRestorable } from './plan.js';

/** A restore job with all that the catalogue knows of its backup. */
export interface RestoreRequest {
  jobId: string;
  backupId: string;
  targetPath: string;
  format: RestoreFormat;
  verify: boolean;
  allowDamaged: boolean;
  /** The catalogue knows already that the backup is damaged. */
  knownDamaged: boolean;
  /** The request's own limit; null: none. */
  maxBytesPerSecond: number | null;
  /** The repository's root. */
  root: string;
  /** The backup and those it stands on, topmost first, with the paths of their images relative to the root. */
  layers: readonly { path: string }[];
  /** The same images by absolute paths. */
  images: string[];
  /** Bytes. */
  virtualSize: number;
  contentId: string;
}

/**
 * Reads a restore job and refuses a backup that must not be restored.
 * @throws not_found, wrong_state, backup_damaged, database_unavailable
 */
export async function loadRequest(
  ds: DataSource,
  { job, root }: Pick<OpenPlace<'restore'>, 'job' | 'root'>,
): Promise<RestoreRequest> {
  const backup = await findBackup(ds, job.backupId);
  if (!backup) throw new StrataError('not_found', `The backup of restore ${job.id} is gone.`);
  const rows = byId(await loadLayers(ds, job.chainId));
  const { layers, broken } = lineageOf(rows, backup.id);
  const reach = await readReach(ds, backup.id);
  checkRestorable({ id: backup.id, status: backup.status, layers, broken, reach }, job);
  const top = layers[0];
  if (!top) throw new StrataError('internal', `Backup ${backup.id} has no layer.`);
  return {
    jobId: job.id,
    backupId: backup.id,
    targetPath: job.target.path,
    format: job.format,
    verify: job.verify,
    allowDamaged: job.allowDamaged,
    knownDamaged: top.health === 'damaged',
    maxBytesPerSecond: job.maxBytesPerSecond,
    root,
    layers,
    images: layers.map((layer) => join(root, layer.path)),
    virtualSize: top.virtualSize,
    contentId: top.contentId,
  };
}

/**
 * Checks that the files stand on each other as the catalogue says, so that QEMU opens nothing else: a header that was
 * tampered with could name any file of the host.
 * @throws backup_damaged, file_missing
 */
export async function assertRecordedChain(images: readonly string[], signal: AbortSignal): Promise<void> {
  const found = await chainInfo(images[0] ?? '', { signal });
  if (isRecordedChain(found, images)) return;
  throw new StrataError('backup_damaged', 'The files do not stand on each other as the catalogue says.', {
    details: { recorded: images, found: found.map(({ filename }) => filename) },
  });
}
