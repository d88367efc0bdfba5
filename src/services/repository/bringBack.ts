import { link } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { removeFiles, syncDirectory } from './durable.js';
import { sidecarsOf } from './layout.js';
import { listQuarantined, quarantineDays, readQuarantined, type Quarantined } from './standing/index.js';

/**
 * Gives an image that was set aside its place again, with the sidecars that lie beside it there: sidecars first, the image last,
 * as a backup is published. Nothing is replaced. A kill leaves both names of a file; what is left in quarantine then goes
 * by its age.
 * @param image where it belongs, relative to the root
 * @returns the files that have their place again, relative to the root
 * @throws repository_unavailable when the quarantine cannot be looked at
 */
export async function bringBackImage(root: string, image: string, signal: AbortSignal): Promise<string[]> {
  const days = await quarantineDays(root, signal);
  const files = await listQuarantined(root, { days, directory: dirname(image), signal });
  const { digests, manifest } = sidecarsOf(image);
  const candidates = files.filter(({ origin, reason }) => origin === image && reason !== 'healed');
  // As the plan counts them: what is no image must not take the place of one that lies there, too.
  const found = (await readQuarantined(root, candidates, signal)).findLast(({ qcow2 }) => qcow2);
  const own = candidates.find(({ path }) => path === found?.path);
  if (!own) return [];
  // Sidecars of the same day: those of another are another file's.
  const beside = [digests, manifest].flatMap(
    (path) => files.findLast(({ origin, day }) => origin === path && day === own.day) ?? [],
  );
  const back: Quarantined[] = [];
  for (const file of [...beside, own]) if (await giveBack(root, file, file === own)) back.push(file);
  await syncDirectory(join(root, dirname(image)));
  for (const { path, note } of back)
    await removeFiles([path, ...(note === undefined ? [] : [note])].map((each) => join(root, each)));
  await syncDirectory(join(root, dirname(own.path)));
  return back.map(({ origin }) => origin);
}

async function giveBack(root: string, { path, origin }: Quarantined, isImage: boolean): Promise<boolean> {
  try {
    await link(join(root, path), join(root, origin));
    return true;
  } catch (error) {
    const taken = errnoOf(error) === 'EEXIST';
    // A sidecar that is there is nearer to the image than one in quarantine.
    if (taken) return false;
    const what = isImage ? 'The image' : 'A sidecar';
    throw new StrataError('repository_unavailable', `${what} ${origin} cannot be brought back.`, {
      cause: error,
    });
  }
}
