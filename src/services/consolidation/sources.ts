import { join } from 'node:path';
import { byId, type Layer, wholeLineageOf } from '../chain/index.js';
import { contentId } from '../../datapath/index.js';
import { StrataError } from '../../shared/errors.js';
import { sidecarsOf } from '../repository/layout.js';
import { noteContent } from '../../db/chain/health.js';
import type { MergePlan } from './facts.js';
import { holdsItsIndex } from './prove.js';
import type { Work } from './work.js';

/**
 * The layers whose content the merges of a plan move into another file, where restore points are given up for that: every one
 * but the base, whose point is among those that go. An expired one may be the base of a merge that was cut, which holds more
 * than its index says. Pure.
 */
export function sourcesOf(layers: readonly Layer[], { steps }: Pick<MergePlan, 'steps'>): Layer[] {
  const known = byId(layers);
  return steps.flatMap((step) => {
    if (step.action !== 'merge') return [];
    const merged = [step.backup_id, ...step.removes].flatMap((id) => known.get(id) ?? []);
    const givesUp = merged.slice(1).some(({ expired }) => !expired);
    return givesUp ? merged.slice(0, -1).filter(({ expired }) => !expired) : [];
  });
}

/** What reading them is worth, in bytes of progress. */
export function worthOfSources(sources: readonly Layer[]): number {
  return sources.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/**
 * Reads what is to be merged before any restore point is given up for it: where a kept backup has rotted unseen, the one that
 * was to go may be the last that is sound (invariant 8). Changes no file.
 * @throws content_mismatch, and the backup is known to be wrong where it is not its index; digest_index_invalid, repository_unavailable, file_missing
 * @throws target_unreliable where a second reading finds it right
 */
export async function proveSources(
  work: Work,
  layers: readonly Layer[],
  sources: readonly Layer[],
): Promise<void> {
  const { root } = work.place;
  const known = byId(layers);
  const indexOf = ({ path }: Layer) => join(root, sidecarsOf(path).digests);
  for (const layer of sources) {
    const onShare = work.progress.begin('checking', worthOfSources([layer]));
    const below = (layer.parentId === null ? [] : wholeLineageOf(known, layer.parentId)).map(indexOf);
    const file = { top: layer, image: join(root, layer.path), digests: indexOf(layer) };
    if (await holdsItsIndex(work, file, below, onShare)) continue;
    // Read once more before it is accused: of a disk that gives one thing and then another, nothing is removed either.
    if (await holdsItsIndex(work, file, below, () => undefined))
      throw new StrataError(
        'target_unreliable',
        `The disk of ${root} gave the file of ${layer.id} wrong, and right when it was asked once more; nothing was removed.`,
        { details: { backup_id: layer.id } },
      );
    await blame(work, layer, [file.digests, ...below]);
    throw new StrataError(
      'content_mismatch',
      `The file of ${layer.id} does not hold what was backed up; nothing was removed for it. A deep validation says where.`,
      { details: { backup_id: layer.id } },
    );
  }
}

/** Where the indexes are those of the restore point, it is the file that is wrong. @throws digest_index_invalid */
async function blame({ deps, io }: Work, layer: Layer, indexes: readonly string[]): Promise<void> {
  const byIndex = await contentId({
    layers: indexes,
    virtualSizeBytes: layer.virtualSize,
    signal: io.signal,
  });
  if (byIndex === layer.contentId) await noteContent(deps.ds, layer.id, 'wrong');
}
