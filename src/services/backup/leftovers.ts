import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { commitBackup, type PublishedBackup } from '../../db/job/commitBackup.js';
import { readSteps } from '../../db/job/journal.js';
import { fileExists } from '../../shared/files.js';
import { StrataError } from '../../shared/errors.js';
import type { HeldLease } from '../job/holdLease.js';
import type { Outcome, ServiceDeps } from '../deps.js';
import { removeFiles, syncDirectory } from '../repository/durable.js';
import { type BackupFiles, fenceOfPartial } from '../repository/layout.js';
import { readManifest } from '../repository/manifest.js';
import { heldImages, readImages } from '../repository/standing/index.js';
import type { BackupContext } from './context.js';
import { PUBLISH_STEP, publishedOf } from './publish.js';

/**
 * Removes the temporary files of dead attempts in the disk's directory: those whose fence is older than ours. Whoever
 * holds such a fence can no longer publish, and once its file is gone not even a late link can succeed. One on which
 * somebody's image stands stays.
 */
export async function removeDeadPartials(
  directory: string,
  fence: number,
  signal: AbortSignal,
): Promise<void> {
  const names = await readdir(directory);
  const dead = names.filter((name) => (fenceOfPartial(name) ?? Number.POSITIVE_INFINITY) < fence);
  if (dead.length === 0) return;
  const held = heldImages(await readImages(directory, '', signal), new Set(dead));
  await removeFiles(dead.filter((name) => !held.has(name)).map((name) => join(directory, name)));
}

/**
 * Finishes what an earlier attempt of the same job has published but not committed; called after the dead attempts'
 * temporary files are gone, so that no more can appear. Sidecars whose image never got its name are removed.
 * @returns undefined when there is nothing to finish
 */
export async function resumePublished(
  deps: ServiceDeps,
  held: HeldLease,
  context: BackupContext,
): Promise<(Outcome & { backup: PublishedBackup }) | undefined> {
  const steps = await readSteps(deps.ds, context.job.id);
  const root = context.repository.rootPath;
  for (const { step, data } of steps.reverse()) {
    if (step !== PUBLISH_STEP || data === null) continue;
    const files = data as unknown as BackupFiles;
    if (await fileExists(join(root, files.image))) return finish(deps, held, context, files);
    await removeFiles([join(root, files.digests), join(root, files.manifest)]);
  }
  return undefined;
}

async function finish(
  deps: ServiceDeps,
  held: HeldLease,
  context: BackupContext,
  files: BackupFiles,
): Promise<Outcome & { backup: PublishedBackup }> {
  const root = context.repository.rootPath;
  const manifest = await readManifest(join(root, files.manifest));
  const image = await stat(join(root, files.image));
  const ours = manifest?.backup_id === context.job.id && manifest.file_length === image.size;
  const parent = manifest?.parent_backup_id ?? null;
  const parentHolds = parent === null || context.lineage.some((layer) => layer.id === parent);
  if (!manifest || !ours || !parentHolds) {
    throw new StrataError(
      'manifest_invalid',
      `${files.image} was published by an earlier attempt, but its manifest does not fit.`,
    );
  }
  await syncDirectory(join(root, files.directory));
  await held.assertHeld();
  const backup = publishedOf(deps, context, manifest, files.image);
  return { next: await commitBackup(deps.ds, held.lease, backup), backup };
}
