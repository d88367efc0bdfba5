import { lstat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { contentId, openDigestIndex } from '../../datapath/index.js';
import { imageInfo } from '../../qcow2/index.js';
import { throwIfAborted } from '../../shared/abort.js';
import { errnoOf, isStrataError } from '../../shared/errors.js';
import { headerDigest } from '../repository/imageHeader.js';
import { byId, lineageOf } from '../chain/index.js';
import { secondsOfName, sidecarsOf } from '../repository/layout.js';
import type { Manifest } from '../repository/manifest.js';
import { storedBytes } from '../repository/durable.js';
import { checkManifest } from './checkManifest.js';
import type { ExistingDisk, FoundBackup, FoundDisk } from './facts.js';
import { isLink } from './plan.js';

/** What the VM's other files and the catalogue tell that no file of the image does. */
export interface Neighbours {
  vmName: string;
  upstreamId: string;
  /** Restore points of the VM's other disks, by the seconds in the names of their files. */
  points: ReadonlyMap<number, { id: string; createdAt: string }>;
}

export interface Reconstructing {
  root: string;
  repositoryId: string;
  found: FoundDisk;
  existing: ExistingDisk;
  neighbours: Neighbours;
  signal: AbortSignal;
}

/** What a lost backup stands on. */
interface Standing {
  id: string;
  seq: number;
  path: string;
}

/**
 * What the manifest of an image has said, as far as it follows from the image's header, its digest index, its name and its
 * neighbours. The content is that of the indexes; nothing has compared the image with them.
 * @param path of the image, relative to the root
 * @returns undefined where that is not enough, or says two things
 */
export async function reconstruct(input: Reconstructing, path: string): Promise<FoundBackup | undefined> {
  const { root, found, signal } = input;
  try {
    const index = await openDigestIndex(join(root, sidecarsOf(path).digests));
    await index.close();
    const { backupId, virtualSizeBytes } = index.header;
    const image = { type: 'file' as const, path: join(root, path), format: 'qcow2' as const };
    const info = await imageInfo(image, { signal });
    const below = standingOf(input, info.backingName);
    const isTold = virtualSizeBytes === info.virtualSizeBytes && isTheOne(found, path, backupId);
    if (!isTold || below === 'unknown') return undefined;
    const pathsOfBelow = pathsBelow(input, below);
    if (!pathsOfBelow) return undefined;
    const layers = [path, ...pathsOfBelow].map((layer) => join(root, sidecarsOf(layer).digests));
    const content = await contentId({ layers, virtualSizeBytes, signal });
    const manifest = await describe(input, { path, backupId, below, virtualSizeBytes, content });
    if (!manifest) return undefined;
    const { manifest: file } = sidecarsOf(path);
    const { size } = await lstat(join(root, path));
    return { manifest, file, path, imageLength: size, halfSwitched: false, isReconstructed: true };
  } catch (error) {
    throwIfAborted(signal);
    // Told by the name of the image, whatever else is wrong with it.
    const isItsOwn = isStrataError(
      error,
      'digest_index_invalid',
      'file_missing',
      'unknown_format',
      'image_corrupt',
    );
    if (isItsOwn || errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The backup that the header names, among those that were found and those that the catalogue has. */
function standingOf(
  { found, existing }: Reconstructing,
  name: string | undefined,
): Standing | undefined | 'unknown' {
  if (name === undefined) return undefined;
  const path = join(found.directory, name);
  const backup = found.backups.find((one) => one.path === path);
  if (backup) return { id: backup.manifest.backup_id, seq: backup.manifest.seq, path };
  const row = existing.rows.find((one) => one.path === path && !one.removed);
  return row ? { id: row.id, seq: row.seq, path } : 'unknown';
}

/** The index has the id of no other backup, and the manifests of those that stand on the image give it this one. */
function isTheOne({ backups }: FoundDisk, path: string, backupId: string): boolean {
  return backups.every(
    ({ manifest }) =>
      manifest.backup_id !== backupId &&
      (manifest.parent_file !== basename(path) || manifest.parent_backup_id === backupId),
  );
}

/** Paths of the images below, topmost first; undefined where they do not lead to a full. */
function pathsBelow({ found, existing }: Reconstructing, below: Standing | undefined): string[] | undefined {
  if (!below) return [];
  // What was found has precedence: the rows may be older.
  const links = byId([
    ...existing.rows.map(({ id, parentBackupId, path }) => ({
      id,
      parentId: parentBackupId,
      path: path ?? '',
    })),
    ...found.backups.map(({ manifest, path }) => ({
      id: manifest.backup_id,
      parentId: manifest.parent_backup_id,
      path,
    })),
  ]);
  const { layers, broken } = lineageOf(links, below.id);
  return broken === undefined ? layers.map(({ path }) => path) : undefined;
}

interface Told {
  path: string;
  backupId: string;
  below: Standing | undefined;
  virtualSizeBytes: number;
  content: string;
}

async function describe(
  { root, repositoryId, found, existing, neighbours }: Reconstructing,
  { path, backupId, below, virtualSizeBytes, content }: Told,
): Promise<Manifest | undefined> {
  const seconds = secondsOfName(basename(path));
  const chainId = existing.chainId ?? found.backups.at(-1)?.manifest.chain_id;
  if (seconds === undefined || chainId === undefined) return undefined;
  const image = await lstat(join(root, path));
  const point = neighbours.points.get(seconds);
  const type = typeOf(found, path, below);
  const manifest: Manifest = {
    format: 'strata-manifest',
    version: 1,
    repository_id: repositoryId,
    vm_context_id: found.vmContextId,
    vm_name: neighbours.vmName,
    upstream_id: neighbours.upstreamId,
    disk_id: found.diskId,
    chain_id: chainId,
    seq: seqOf(found, existing, seconds, below),
    backup_id: backupId,
    // The same at each rebuild.
    restore_point_id: point?.id ?? backupId.replace(/^bkp_/, 'rp_'),
    fence: found.highestFence,
    backup_type: type,
    requested_type: type,
    demoted_reason: null,
    parent_backup_id: below?.id ?? null,
    parent_file: below ? basename(below.path) : null,
    change_id: null,
    file: basename(path),
    file_length: image.size,
    file_mtime_ms: Math.floor(image.mtimeMs),
    header_sha256: await headerDigest(join(root, path)),
    size_bytes: storedBytes(image),
    virtual_size: virtualSizeBytes,
    bytes_transferred: 0,
    content_id: content,
    created_at: point?.createdAt ?? new Date(seconds * 1000).toISOString(),
  };
  const name = basename(sidecarsOf(path).manifest);
  const place = { repositoryId, vmContextId: found.vmContextId, diskId: found.diskId, name };
  return dirname(path) === found.directory && checkManifest(manifest, place) === undefined
    ? manifest
    : undefined;
}

/** Only one increment stands on a backup; the word in the name may be that of before a merge. */
function typeOf({ backups }: FoundDisk, path: string, below: Standing | undefined): Manifest['backup_type'] {
  if (!below) return 'full';
  const hasSibling = backups.some(
    ({ manifest }) => manifest.parent_backup_id === below.id && isLink(manifest),
  );
  return hasSibling || path.endsWith('-diff.qcow2') ? 'differential' : 'incremental';
}

/** A free place behind its parent and behind all that has an earlier name: it had one between them. */
function seqOf(
  found: FoundDisk,
  existing: ExistingDisk,
  seconds: number,
  below: Standing | undefined,
): number {
  const taken = new Set([
    ...existing.rows.map(({ seq }) => seq),
    ...found.backups.map(({ manifest }) => manifest.seq),
  ]);
  const earlier = found.backups.filter(({ path }) => (secondsOfName(basename(path)) ?? 0) < seconds);
  let seq = Math.max(0, below?.seq ?? 0, ...earlier.map(({ manifest }) => manifest.seq)) + 1;
  while (taken.has(seq)) seq++;
  return seq;
}
