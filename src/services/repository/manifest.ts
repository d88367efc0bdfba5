import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import type { BackupType, RequestedType, Tracker } from '../../entities/index.js';
import { errnoOf, isStrataError, StrataError } from '../../shared/errors.js';
import { readingTrouble } from './trouble.js';
import { readSmallText } from '../../shared/files.js';
import { removeFiles, renameOver, writeDurably } from './durable.js';
import { partialFiles, sidecarsOf } from './layout.js';

/**
 * What holds once the image that the manifest stands beside is the merged one: it refers to `parent_file`, or to nothing.
 */
export type NextLayer = Pick<
  Manifest,
  | 'fence'
  | 'backup_type'
  | 'parent_backup_id'
  | 'parent_file'
  | 'file_length'
  | 'file_mtime_ms'
  | 'size_bytes'
  | 'header_sha256'
>;

/** What an audit of a tracker that found no lie has looked at (docs/tracker-audit.md). */
export interface Audit {
  sampled: number;
  /** Absent in manifests of releases that had no such count. */
  unreadable?: number;
  seed: string;
}

/** All that is needed to rebuild the catalogue from the repository alone (docs/on-disk-format.md). */
export interface Manifest {
  format: 'strata-manifest';
  version: 1;
  repository_id: string;
  vm_context_id: string;
  vm_name: string;
  upstream_id: string;
  disk_id: number;
  chain_id: string;
  seq: number;
  backup_id: string;
  restore_point_id: string;
  /** Fence of the lease under which the file was published. */
  fence: number;
  backup_type: BackupType;
  requested_type: RequestedType;
  demoted_reason: string | null;
  parent_backup_id: string | null;
  /** Name of the parent's file in the same directory. */
  parent_file: string | null;
  change_id: string | null;
  /** Who told what the layer holds; null or absent where the whole disk was read, or is not known. */
  tracker?: Tracker | null;
  /** The blocks that the tracker called unchanged: how many were compared, how many the source could not read, and the seed that drew them. */
  audit?: Audit | null;
  /** Nothing kept others from writing to the source while it was read: it said `force_share`. Absent otherwise. */
  source_shared?: true;
  /** QEMU had marked the source as corrupt when it was read. Absent otherwise. */
  source_corrupt?: true;
  /** Name of the image in the same directory. */
  file: string;
  /** Length of the image as `stat` tells it, in bytes. */
  file_length: number;
  file_mtime_ms: number;
  /** SHA-256 of the image's first 64 KiB; absent in manifests of before. */
  header_sha256?: string;
  /** Bytes that the image takes on the file system. */
  size_bytes: number;
  virtual_size: number;
  bytes_transferred: number;
  content_id: string;
  /** The instant of the data: when the restore point was requested. */
  created_at: string;
  /** The backup is no restore point any more; its image may carry those above it. */
  expired_at?: string;
  /** The image is about to be switched for a merged one, or has just been (decision 14). */
  next?: NextLayer;
}

/** The manifest as text, with a SHA-256 over everything else in it. */
export function serialiseManifest(manifest: Manifest): string {
  const body = JSON.stringify(manifest, null, 2);
  return `${JSON.stringify({ ...manifest, sha256: sha256(body) }, null, 2)}\n`;
}

/**
 * Reads and checks a manifest.
 * @throws manifest_invalid when it is not JSON, not a manifest, or its checksum does not match
 */
export function parseManifest(text: string, where: string): Manifest {
  let parsed: Manifest & { sha256?: string };
  try {
    parsed = JSON.parse(text) as Manifest & { sha256?: string };
  } catch (error) {
    throw new StrataError('manifest_invalid', `${where} is not JSON.`, { cause: error });
  }
  if (
    typeof parsed !== 'object' ||
    parsed === null ||
    parsed.format !== 'strata-manifest' ||
    parsed.version !== 1
  ) {
    throw new StrataError('manifest_invalid', `${where} is not a manifest of version 1.`);
  }
  const { sha256: stated, ...manifest } = parsed;
  if (stated !== sha256(JSON.stringify(manifest, null, 2))) {
    throw new StrataError('manifest_invalid', `${where} does not match its checksum.`);
  }
  return manifest;
}

/**
 * The manifest that holds, given what the image beside it refers to: where a merge was cut, the image tells on which side
 * of the switch it is. Pure.
 * @param backingName the name in the image's header; undefined for none
 */
export function resolveManifest(
  { next, ...manifest }: Manifest,
  backingName: string | undefined,
): { manifest: Manifest; switched: boolean } {
  const switched = next !== undefined && next.parent_file === (backingName ?? null);
  return { manifest: switched ? { ...manifest, ...next } : manifest, switched };
}

/** Far more than a manifest has; what is longer is none. */
const MOST_BYTES = 256 * 1024;

/** Reads the manifest at `path`; undefined when there is certainly none. */
export async function readManifest(path: string): Promise<Manifest | undefined> {
  try {
    return parseManifest(await readSmallText(path, MOST_BYTES), path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** A file beside an image, as it was found. `unreadable` proves nothing. */
export type SidecarFact<T> =
  | { state: 'read'; value: T }
  | { state: 'missing' }
  | { state: 'invalid'; reason: string }
  | { state: 'unreadable'; reason: string };

/** Reads a manifest and checks its checksum. */
export async function lookAtManifest(path: string): Promise<SidecarFact<Manifest>> {
  try {
    const value = await readManifest(path);
    return value ? { state: 'read', value } : { state: 'missing' };
  } catch (error) {
    if (isStrataError(error, 'manifest_invalid')) return { state: 'invalid', reason: error.message };
    return { state: 'unreadable', reason: readingTrouble(error) };
  }
}

/** What the catalogue records of a backup that its manifest says, too. */
export interface RecordedBackup {
  id: string;
  repositoryId: string;
  vmContextId: string;
  diskId: number;
  chainId: string;
  seq: number;
  restorePointId: string;
  requestedType: RequestedType;
  type: BackupType;
  parentId: string | null;
  changeId: string | null;
  /** Image, relative to the repository's root. */
  path: string;
  virtualSize: number;
  sizeBytes: number;
  contentId: string;
}

/** What the manifest has to say, by the catalogue. The parent's file is not compared where its row is missing. */
export function recordedFields(
  backup: RecordedBackup,
  parent: Pick<RecordedBackup, 'path'> | undefined,
): Partial<Manifest> {
  return {
    repository_id: backup.repositoryId,
    vm_context_id: backup.vmContextId,
    disk_id: backup.diskId,
    chain_id: backup.chainId,
    seq: backup.seq,
    backup_id: backup.id,
    restore_point_id: backup.restorePointId,
    requested_type: backup.requestedType,
    backup_type: backup.type,
    parent_backup_id: backup.parentId,
    ...(backup.parentId !== null && !parent ? {} : { parent_file: parent ? basename(parent.path) : null }),
    change_id: backup.changeId,
    file: basename(backup.path),
    virtual_size: backup.virtualSize,
    size_bytes: backup.sizeBytes,
    content_id: backup.contentId,
  };
}

/**
 * Replaces a backup's manifest: whole, flushed, under the fence's own name first, so that no reader meets half of one. The
 * caller flushes the directory.
 * @param image relative to the root
 */
export async function replaceManifest(
  { root }: { root: string },
  image: string,
  fence: number,
  manifest: Manifest,
): Promise<void> {
  const files = sidecarsOf(image);
  const temporary = join(root, partialFiles(files, fence).manifest);
  // Left by a call that failed between the two.
  await removeFiles([temporary]);
  await writeDurably(temporary, serialiseManifest(manifest));
  await renameOver(temporary, join(root, files.manifest));
}
