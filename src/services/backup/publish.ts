import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { commitBackup, type PublishedBackup } from '../../db/job/commitBackup.js';
import { TRACKER_LIED } from '../../db/chain/doubt.js';
import { PUBLISH_STEP, recordStep } from '../../db/job/journal.js';
import { type BackupRequest, SOURCE_CORRUPT, SOURCE_SHARED, type Tracker } from '../../entities/index.js';
import type { DiskSource } from '../../shared/sources.js';
import { assertPlace } from '../job/openPlace.js';
import type { Outcome, ServiceDeps } from '../deps.js';
import { publishFile, syncDirectory, writeDurably } from '../repository/durable.js';
import { headerDigest } from '../repository/imageHeader.js';
import { type Audit, type Manifest, serialiseManifest } from '../repository/manifest.js';
import { storedBytes } from '../repository/durable.js';
import type { NewBackup, Written } from './attempt.js';
import type { BackupContext } from './context.js';
import { trackerOf } from '../chain/index.js';

/** What a new image holds, proved. */
interface Proved extends Written {
  contentId: string;
}

/**
 * Gives the flushed files their final names and commits (durable order of invariants.md). The image comes last:
 * its name is what makes the backup exist. Between that and the commit a crash is finished by `resumePublished`.
 */
export async function publish(
  backup: NewBackup,
  proved: Proved,
): Promise<Outcome & { backup: PublishedBackup }> {
  const { deps, held, context, files, partial } = backup;
  const { root } = context;
  const manifest = await describe(backup, proved);
  await Promise.all([
    writeDurably(join(root, partial.manifest), serialiseManifest(manifest)),
    recordStep(deps.ds, held.lease, PUBLISH_STEP, 'begun', { ...files }),
  ]);
  await assertPlace(context);
  await held.assertHeld();
  await publishFile(join(root, partial.digests), join(root, files.digests));
  await publishFile(join(root, partial.manifest), join(root, files.manifest));
  await publishFile(join(root, partial.image), join(root, files.image));
  await syncDirectory(join(root, files.directory));
  const published = publishedOf(deps, context, manifest, files.image);
  // Before the commit, by which others learn of the backup.
  await proved.letGo?.();
  return { next: await commitBackup(deps.ds, held.lease, published), backup: published };
}

/** The row of a published file, from its manifest: also how a crash between rename and commit is finished. */
export function publishedOf(
  deps: ServiceDeps,
  context: BackupContext,
  manifest: Manifest,
  image: string,
): PublishedBackup {
  return {
    backupType: manifest.backup_type,
    demotedReason: manifest.demoted_reason,
    parentBackupId: manifest.parent_backup_id,
    repositoryPath: image,
    virtualSize: manifest.virtual_size,
    sizeBytes: manifest.size_bytes,
    bytesTransferred: manifest.bytes_transferred,
    changeId: manifest.change_id,
    contentId: manifest.content_id,
    tracker: manifest.tracker ?? null,
    distrustBackups: deps.audit.distrustBackups,
    notes: notesOf(context, manifest),
    ...(context.job.request.verify === undefined ? {} : { verify: context.job.request.verify }),
  };
}

function notesOf({ lineage: [latest] }: BackupContext, manifest: Manifest): PublishedBackup['notes'] {
  const notes: PublishedBackup['notes'] = [];
  if (latest && manifest.virtual_size > latest.virtualSize) notes.push('disk_grown');
  if (latest && manifest.virtual_size < latest.virtualSize) notes.push('disk_shrunk');
  if (manifest.demoted_reason === TRACKER_LIED) notes.push('tracker_lied');
  if (manifest.audit?.unreadable) notes.push('source_unreadable');
  if (manifest.source_shared) notes.push(SOURCE_SHARED);
  if (manifest.source_corrupt) notes.push(SOURCE_CORRUPT);
  return notes;
}

async function describe(
  { context, held, plan, files, partial, virtualSize }: NewBackup,
  proved: Proved,
): Promise<Manifest> {
  const { job, repository, vm, restorePoint } = context;
  const path = join(context.root, partial.image);
  const image = await stat(path);
  const parent = context.lineage.find((layer) => layer.id === plan.parent?.id);
  return {
    format: 'strata-manifest',
    version: 1,
    repository_id: repository.id,
    vm_context_id: vm.vmContextId,
    vm_name: vm.vmName,
    upstream_id: vm.upstreamId,
    disk_id: job.diskId,
    chain_id: job.chainId,
    seq: job.seq,
    backup_id: job.id,
    restore_point_id: restorePoint.id,
    fence: held.lease.fence,
    backup_type: plan.type,
    requested_type: job.requestedType,
    demoted_reason: plan.demotedReason,
    parent_backup_id: parent?.id ?? null,
    parent_file: parent ? basename(parent.path) : null,
    change_id: proved.changeId,
    tracker: plan.mode === 'changes' ? listerOf(job.request) : null,
    audit: proved.audit ? auditOf(proved.audit) : null,
    ...(isShared(job.request.source) ? { source_shared: true } : {}),
    ...(proved.sourceCorrupt ? { source_corrupt: true } : {}),
    file: basename(files.image),
    file_length: image.size,
    file_mtime_ms: Math.floor(image.mtimeMs),
    header_sha256: await headerDigest(path),
    size_bytes: storedBytes(image),
    virtual_size: virtualSize,
    bytes_transferred: proved.bytesTransferred,
    content_id: proved.contentId,
    created_at: restorePoint.createdAt.toISOString(),
  };
}

function isShared(source: DiskSource): boolean {
  return source.type === 'file' && source.force_share === true;
}

function auditOf({ sampled, unreadable = 0, seed }: Audit): Audit {
  return { sampled, unreadable, seed };
}

/** The tracker that an audit can catch: what an agent pushes has no source to compare with. */
function listerOf(request: BackupRequest): Tracker | null {
  const tracker = trackerOf(request);
  return tracker === 'extents' || tracker === 'bitmap' ? tracker : null;
}
