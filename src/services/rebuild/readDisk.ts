import { lstat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { openDigestIndex } from '../../datapath/index.js';
import { backingNameOf } from '../../qcow2/index.js';
import { abortable } from '../../shared/abort.js';
import { errnoOf, isStrataError, StrataError } from '../../shared/errors.js';
import { lookAtManifest } from '../repository/manifest.js';
import { inParallel } from '../../shared/inParallel.js';
import { fenceOfPartial, sidecarsOf } from '../repository/layout.js';
import { type Manifest, resolveManifest } from '../repository/manifest.js';
import type { DiskDirectory } from '../repository/scan.js';
import { checkManifest } from './checkManifest.js';
import type { FoundBackup, FoundDisk, Problem, ProblemCode } from './facts.js';

/** Each waits with a listener on the signal; Node.js warns of more than 10. */
const READS_AT_ONCE = 8;

interface Reading {
  root: string;
  repositoryId: string;
  disk: DiskDirectory;
  signal: AbortSignal;
}

/**
 * Reads the manifests of a disk's directory and looks at the files that they name. Images are not read: a validation
 * does that. Changes nothing.
 * @throws repository_unavailable when a file can neither be read nor is certainly absent
 */
export async function readDisk(reading: Reading): Promise<FoundDisk> {
  const { vmContextId, diskId, directory, names } = reading.disk;
  const found: FoundDisk = {
    vmContextId,
    diskId,
    directory,
    backups: [],
    strays: [],
    highestFence: 0,
    problems: [],
  };
  for (const name of names) found.highestFence = Math.max(found.highestFence, fenceOfPartial(name) ?? 0);
  const manifests = names.filter((name) => name.endsWith('.json') && !name.startsWith('.'));
  await inParallel(manifests, READS_AT_ONCE, async (name) => readBackup(reading, name, found));
  found.backups.sort((a, b) => a.manifest.seq - b.manifest.seq);
  found.problems.sort((a, b) => (a.file < b.file ? -1 : 1));
  return found;
}

async function readBackup(reading: Reading, name: string, found: FoundDisk): Promise<void> {
  const { root, repositoryId, disk } = reading;
  const file = join(disk.directory, name);
  let backupId: string | null = null;
  const problem = (reason: ProblemCode, severity: Problem['severity'] = 'refused') => {
    found.problems.push({ file, backup_id: backupId, severity, reason });
  };
  const fact = await lookAtManifest(join(root, file));
  if (fact.state === 'missing') return;
  if (fact.state === 'unreadable') throw unavailable(file, fact.reason);
  if (fact.state === 'invalid') return problem('manifest_invalid');
  const { manifest, halfSwitched } = await resolve(
    reading,
    fact.value,
    join(disk.directory, fact.value.file),
  );
  const refusal = checkManifest(manifest, { ...disk, repositoryId, name });
  if (refusal === 'manifest_misplaced') found.strays.push({ manifest: fact.value, file });
  if (refusal) return problem(refusal);
  backupId = manifest.backup_id;
  found.highestFence = Math.max(found.highestFence, manifest.fence);
  const path = join(disk.directory, manifest.file);
  const image = await lookAtImage(reading, path);
  if ('refusal' in image) {
    // Its removal was cut after the image: there is nothing left to take in.
    if (image.refusal === 'image_missing' && manifest.expired_at !== undefined) return;
    return problem(image.refusal);
  }
  const backup: FoundBackup = { manifest, file, path, imageLength: image.length, halfSwitched };
  found.backups.push(backup);
  // What has expired is no restore point, and a merge may have written to it.
  if (manifest.expired_at !== undefined) return;
  if (image.length < manifest.file_length) problem('image_truncated', 'warning');
  if (image.length > manifest.file_length) problem('image_grown', 'warning');
  const digests = await lookAtDigests(join(root, sidecarsOf(path).digests), manifest);
  if (digests) problem(digests, 'warning');
}

/** Where a merge was cut, the header of the image says which half of the manifest holds. */
async function resolve(
  { root, repositoryId, disk }: Reading,
  found: Manifest,
  image: string,
): Promise<{ manifest: Manifest; halfSwitched: boolean }> {
  const ours = found.repository_id === repositoryId && found.vm_context_id === disk.vmContextId;
  if (found.next === undefined || !ours || image !== join(disk.directory, basename(found.file)))
    return { manifest: found, halfSwitched: false };
  try {
    const { manifest } = resolveManifest(found, await backingNameOf(join(root, image)));
    return { manifest, halfSwitched: true };
  } catch (error) {
    // Without its image the backup is told as missing, whatever its manifest says.
    if (errnoOf(error) === 'ENOENT' || isStrataError(error, 'unknown_format'))
      return { manifest: found, halfSwitched: false };
    throw unavailable(image, (error as Error).message, error);
  }
}

async function lookAtImage(
  { root, signal }: Reading,
  path: string,
): Promise<{ length: number } | { refusal: ProblemCode }> {
  try {
    const stats = await abortable(lstat(join(root, path)), signal);
    return stats.isFile() ? { length: stats.size } : { refusal: 'image_not_a_file' };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { refusal: 'image_missing' };
    if (errnoOf(error) === undefined) throw error;
    throw unavailable(path, (error as Error).message, error);
  }
}

/** The header only: to read every index of a repository through is the work of a validation. */
async function lookAtDigests(
  path: string,
  manifest: Manifest,
): Promise<'digests_missing' | 'digests_invalid' | undefined> {
  try {
    const index = await openDigestIndex(path);
    await index.close();
    const { backupId, virtualSizeBytes } = index.header;
    const belongs = backupId === manifest.backup_id && virtualSizeBytes === manifest.virtual_size;
    return belongs ? undefined : 'digests_invalid';
  } catch (error) {
    if (isStrataError(error, 'file_missing')) return 'digests_missing';
    if (isStrataError(error, 'digest_index_invalid')) return 'digests_invalid';
    if (errnoOf(error) === undefined) throw error;
    throw unavailable(path, (error as Error).message, error);
  }
}

function unavailable(file: string, why: string, cause?: unknown): StrataError {
  return new StrataError('repository_unavailable', `${file} cannot be read: ${why}`, { cause });
}
