import { lstat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { backingNameOf } from '../../qcow2/index.js';
import { abortable, throwIfAborted } from '../../shared/abort.js';
import { errnoOf } from '../../shared/errors.js';
import { headerDigest } from '../repository/imageHeader.js';
import { sidecarsOf } from '../repository/layout.js';
import { type Manifest, resolveManifest } from '../repository/manifest.js';
import { readImages } from '../repository/standing/index.js';
import { checkManifest } from './checkManifest.js';
import type { ExistingDisk, FoundBackup, FoundDisk, Problem, ProblemCode } from './facts.js';
import { type Neighbours, reconstruct } from './reconstruct.js';

export interface Completing {
  root: string;
  repositoryId: string;
  found: FoundDisk;
  existing: ExistingDisk;
  neighbours: Neighbours;
  signal: AbortSignal;
}

/**
 * Looks at the images that have no manifest of their own and that the catalogue lacks: each is taken in as far as files prove
 * what it is, by its manifest beside another image, or by header, digest index and neighbours; or it is named. No file is touched.
 * @returns the disk with the backups that were found so, oldest first
 * @throws repository_unavailable when a file can neither be read nor is certainly absent
 */
export async function completeDisk(completing: Completing): Promise<FoundDisk> {
  const { found } = completing;
  const images = await strangersOf(completing);
  if (images.length === 0) return found;
  const disk: FoundDisk = { ...found, backups: [...found.backups], problems: [...found.problems] };
  const note = (path: string, severity: Problem['severity'], reason: ProblemCode, id: string | null) => {
    const { manifest } = sidecarsOf(path);
    // What was said of its own manifest is answered, or said again.
    disk.problems = disk.problems.filter(({ file }) => file !== manifest && file !== path);
    disk.problems.push({ file: path, backup_id: id, severity, reason });
  };
  const rest: string[] = [];
  for (const path of images) {
    throwIfAborted(completing.signal);
    const backup = await byStrayManifest(completing, path);
    if (!backup) rest.push(path);
    else {
      disk.backups.push(backup);
      note(path, 'warning', 'manifest_elsewhere', backup.manifest.backup_id);
    }
  }
  disk.backups.sort(bySeq);
  // Names sort as the chain does: what an image stands on is taken in before it.
  for (const path of rest.sort()) {
    const backup = await reconstruct({ ...completing, found: disk }, path);
    if (backup) disk.backups.push(backup);
    if (backup) note(path, 'warning', 'manifest_rebuilt', backup.manifest.backup_id);
    else if (!disk.problems.some(({ file }) => file === sidecarsOf(path).manifest))
      note(path, 'refused', 'image_without_manifest', null);
    disk.backups.sort(bySeq);
  }
  disk.problems.sort((a, b) => (a.file < b.file ? -1 : 1));
  return disk;
}

function bySeq(a: FoundBackup, b: FoundBackup): number {
  return a.manifest.seq - b.manifest.seq;
}

/** Images under final names that no manifest and no row claims, relative to the root. */
async function strangersOf({ root, found, existing, signal }: Completing): Promise<string[]> {
  const claimed = new Set([
    ...found.backups.map(({ path }) => path),
    ...existing.rows.map(({ path }) => path),
  ]);
  const images = await readImages(root, found.directory, signal);
  return images.flatMap(({ path, qcow2, isLink = false }) => {
    const isFinal = qcow2 && !isLink && path.endsWith('.qcow2') && !basename(path).startsWith('.');
    return isFinal && !claimed.has(path) ? [path] : [];
  });
}

/** Its manifest was copied, renamed or swapped: the image itself says whether it is the right one. */
async function byStrayManifest(
  { root, repositoryId, found, signal }: Completing,
  path: string,
): Promise<FoundBackup | undefined> {
  const name = basename(sidecarsOf(path).manifest);
  const place = { vmContextId: found.vmContextId, diskId: found.diskId, repositoryId, name };
  for (const stray of found.strays) {
    if (stray.manifest.file !== basename(path)) continue;
    if (found.backups.some(({ manifest }) => manifest.backup_id === stray.manifest.backup_id)) continue;
    const manifest = await proved(join(root, path), stray.manifest, signal);
    if (!manifest || checkManifest(manifest, place) !== undefined) continue;
    const { size } = await lstat(join(root, path));
    return { manifest, file: stray.file, path, imageLength: size, halfSwitched: false };
  }
  return undefined;
}

/** The manifest, as it holds, where length and header of the image are those that it names. */
async function proved(image: string, stray: Manifest, signal: AbortSignal): Promise<Manifest | undefined> {
  try {
    const name = await abortable(backingNameOf(image), signal);
    const { manifest } = resolveManifest(stray, name);
    const { size } = await lstat(image);
    const header = manifest.header_sha256;
    const isRight =
      (name ?? null) === manifest.parent_file &&
      size === manifest.file_length &&
      (header === undefined || header === (await headerDigest(image)));
    return isRight ? manifest : undefined;
  } catch (error) {
    throwIfAborted(signal);
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
