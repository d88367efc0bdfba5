import { findBackup } from '../../db/chain/backups.js';
import { findRestorePoint } from '../../db/chain/restorePoints.js';
import { findContext } from '../../db/vm/vmContexts.js';
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type BackupJob, type PointNoteCode, SOURCE_CORRUPT, SOURCE_SHARED } from '../../entities/index.js';
import { imageInfo } from '../../qcow2/index.js';
import { isStrataError } from '../../shared/errors.js';
import { assertPlace, type Place } from '../job/openPlace.js';
import type { Under } from '../job/under.js';
import type { ServiceDeps } from '../deps.js';
import { backingPath } from '../repository/layout.js';
import { checkFile } from '../repository/checkFile.js';
import { syncDirectory } from '../repository/durable.js';
import { headerDigest } from '../repository/imageHeader.js';
import { sidecarsOf } from '../repository/layout.js';
import type { Manifest } from '../repository/manifest.js';
import { replaceManifest } from '../repository/manifest.js';
import { storedBytes } from '../repository/durable.js';
import { keepInQuarantine } from '../repository/quarantine.js';

/**
 * Writes the manifest of a catalogued backup anew, from the catalogue and its image; what lay in its place is kept in
 * quarantine. Only beside an image that QEMU finds in order and that stands where the catalogue says: its length and header
 * of today become those that later validations compare with. Content is not read; a deep validation does that.
 * @returns false where the image is not what the catalogue says: nothing is written
 * @throws repository_unavailable, lease_lost, database_unavailable, the signal's reason
 */
export async function writeManifest(
  { deps, held, io }: Under,
  place: Place,
  backupId: string,
): Promise<boolean> {
  const { root } = place;
  const { ds } = deps;
  const row = await findBackup(ds, backupId);
  if (!row?.repositoryPath) return false;
  const parentId = row.parentBackupId;
  const parent = parentId === null ? null : await findBackup(ds, parentId);
  if (!(await isAsRecorded(root, row, parent?.repositoryPath ?? null, io.signal))) return false;
  const manifest = await describe(deps, row, parent?.repositoryPath ?? null, {
    root,
    fence: held.lease.fence,
  });
  if (!manifest) return false;
  const { manifest: file } = sidecarsOf(row.repositoryPath);
  await assertPlace(place);
  await held.assertHeld();
  await keepInQuarantine(root, file, {
    file,
    reason: 'manifest_rewritten',
    message:
      'It did not belong to its image, or did not match its checksum; it was written anew from the catalogue.',
    chain_id: row.chainId,
    backup_id: row.id,
    job_id: held.lease.jobId,
    quarantined_at: deps.clock.now().toISOString(),
  });
  await replaceManifest({ root }, row.repositoryPath, held.lease.fence, manifest);
  await syncDirectory(join(root, dirname(file)));
  return true;
}

async function isAsRecorded(
  root: string,
  { repositoryPath, virtualSize, status }: BackupJob,
  parentPath: string | null,
  signal: AbortSignal,
): Promise<boolean> {
  const path = join(root, repositoryPath ?? '');
  const check = await checkFile(path, signal);
  if (check.state !== 'done' || check.corruptions > 0) return false;
  try {
    const info = await imageInfo({ type: 'file', path, format: 'qcow2' }, { signal, idle: 'disk' });
    const name = info.backingName;
    const below = name === undefined ? null : backingPath(root, repositoryPath ?? '', name);
    // A merge may have changed the size of an expired one.
    return below === parentPath && (status === 'expired' || info.virtualSizeBytes === virtualSize);
  } catch (error) {
    if (isStrataError(error, 'image_corrupt', 'unknown_format', 'source_io_error', 'file_missing'))
      return false;
    throw error;
  }
}

async function describe(
  { ds }: Pick<ServiceDeps, 'ds'>,
  row: BackupJob,
  parentPath: string | null,
  { root, fence }: { root: string; fence: number },
): Promise<Manifest | undefined> {
  const { repositoryPath, backupType, virtualSize, contentId, expiredAt } = row;
  const point = await findRestorePoint(ds, row.restorePointId);
  const vm = await findContext(ds, row.vmContextId);
  if (!point || !vm || !repositoryPath || !backupType || virtualSize === null || contentId === null)
    return undefined;
  const path = join(root, repositoryPath);
  const image = await stat(path);
  const said = (what: PointNoteCode) =>
    point.notes?.some(({ disk_id, code }) => disk_id === row.diskId && code === what);
  return {
    format: 'strata-manifest',
    version: 1,
    repository_id: row.repositoryId,
    vm_context_id: row.vmContextId,
    vm_name: vm.vmName,
    upstream_id: vm.upstreamId,
    disk_id: row.diskId,
    chain_id: row.chainId,
    seq: row.seq,
    backup_id: row.id,
    restore_point_id: row.restorePointId,
    fence,
    backup_type: backupType,
    requested_type: row.requestedType,
    demoted_reason: row.demotedReason,
    parent_backup_id: row.parentBackupId,
    parent_file: parentPath === null ? null : basename(parentPath),
    change_id: row.changeId,
    tracker: row.tracker,
    audit: null,
    ...(said(SOURCE_SHARED) ? { source_shared: true } : {}),
    ...(said(SOURCE_CORRUPT) ? { source_corrupt: true } : {}),
    file: basename(repositoryPath),
    file_length: image.size,
    file_mtime_ms: Math.floor(image.mtimeMs),
    header_sha256: await headerDigest(path),
    size_bytes: row.sizeBytes ?? storedBytes(image),
    virtual_size: virtualSize,
    bytes_transferred: row.bytesTransferred ?? 0,
    content_id: contentId,
    created_at: point.createdAt.toISOString(),
    ...(row.status === 'expired' ? { expired_at: (expiredAt ?? point.createdAt).toISOString() } : {}),
  };
}
