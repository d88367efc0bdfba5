import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { commitBackup, type PublishedBackup } from '../../db/job/commitBackup.js';
import { readSteps } from '../../db/job/journal.js';
import { fileExists } from '../../shared/files.js';
import { StrataError } from '../../shared/errors.js';
import type { Outcome } from '../deps.js';
import { removeFiles, syncDirectory } from '../repository/durable.js';
import type { BackupFiles } from '../repository/layout.js';
import { readManifest } from '../repository/manifest.js';
import type { Begun } from './attempt.js';
import { publishedOf } from './publish.js';
import { PUBLISH_STEP } from '../../db/job/journal.js';

/**
 * Finishes what an earlier attempt of the same job has published but not committed; called after the dead attempts'
 * temporary files are gone, so that no more can appear. Sidecars whose image never got its name are removed.
 * @returns undefined when there is nothing to finish
 */
export async function resumePublished(
  begun: Begun,
): Promise<(Outcome & { backup: PublishedBackup }) | undefined> {
  const { deps, context } = begun;
  const { root } = context;
  const steps = await readSteps(deps.ds, context.job.id);
  for (const { step, data } of steps.reverse()) {
    if (step !== PUBLISH_STEP || data === null) continue;
    const files = data as unknown as BackupFiles;
    if (await fileExists(join(root, files.image))) return finish(begun, files);
    await removeFiles([join(root, files.digests), join(root, files.manifest)]);
  }
  return undefined;
}

async function finish(
  { deps, held, context }: Begun,
  files: BackupFiles,
): Promise<Outcome & { backup: PublishedBackup }> {
  const { root } = context;
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
