import { join } from 'node:path';
import type { Layer } from '../chain/index.js';
import { contentId, mergeIndexes } from '../../datapath/index.js';
import { both } from '../../shared/both.js';
import { asStrataError } from '../../shared/errors.js';
import { removePartials } from '../repository/durable.js';
import { partialFiles, sidecarsOf } from '../repository/layout.js';
import { type BuiltImage, buildAlone, buildMerged, overlayOf, type Run } from './build.js';
import { readOwnManifest } from './manifests.js';
import { worthOf } from './progress.js';
import { proveMerged } from './prove.js';
import type { Strategy } from './strategy.js';
import { switchFiles } from './switch.js';
import type { Work } from './work.js';

/** Tells the journal how far a merge is. */
export type Note = (step: 'merged' | 'proved' | 'switched', data: Record<string, unknown>) => Promise<void>;

export interface MergeInput extends Run {
  /** What the run stands on, topmost first. */
  below: readonly Layer[];
  /** A strategy instead of the one that fits. */
  forced?: Strategy;
}

/** Merges an expired run into its top, proves it, and switches the file. What the run's files held is then of no more use. */
export async function mergeRun(work: Work, input: MergeInput, note: Note): Promise<Strategy> {
  const { top, run, below } = input;
  const base = run.at(-1) ?? run[0];
  return replaceFile(work, { top, below, merged: [top, ...run], type: base.type }, note, (target) =>
    buildMerged(work, input, target, input.forced),
  );
}

/** Replaces a backup's file by one that stands alone; what it stood on stays as it is. */
export async function standAlone(
  work: Work,
  lineage: readonly [Layer, ...Layer[]],
  note: Note,
): Promise<Strategy> {
  const [top] = lineage;
  return replaceFile(work, { top, below: [], merged: lineage, type: 'full' }, note, (target) =>
    buildAlone(work, lineage, target),
  );
}

interface Replacement {
  top: Layer;
  /** The layers that become one, topmost first, and what that one stands on. */
  merged: readonly Layer[];
  below: readonly Layer[];
  type: Layer['type'];
}

async function replaceFile(
  work: Work,
  { top, merged, below, type }: Replacement,
  note: Note,
  build: (target: string) => Promise<BuiltImage>,
): Promise<Strategy> {
  const { place, held } = work;
  const { root } = place;
  const partial = partialFiles(sidecarsOf(top.path), held.lease.fence);
  // Without a manifest of its own the file could not be switched: known before any work is done.
  await readOwnManifest(place, top.id, top.path);
  try {
    const digests = join(root, partial.digests);
    // The index is made of indexes alone, while QEMU works.
    const [{ strategy, path }, byIndex] = await both(
      build(join(root, partial.image)),
      buildIndex(work, { top, merged, below }, digests),
    );
    const about = { backup_id: top.id, strategy };
    await note('merged', about);
    await proveMerged(
      work,
      { top, image: path, digests, byIndex, below },
      indexesOf(root, below),
      worthOf(merged) / 2,
    );
    await note('proved', about);
    await switchFiles(work, { top, image: path, digests, type, below: below[0] });
    await note('switched', about);
    return strategy;
  } catch (failure) {
    const error = asStrataError(failure);
    const overlay = overlayOf(partial.image, held.lease.fence);
    await removePartials(root, [overlay, partial.image, partial.digests, partial.manifest], error);
    throw error;
  }
}

/** Writes the merged index, flushed. @returns the content id of the restore point by it and those below */
async function buildIndex(
  { place: { root }, io }: Work,
  { top, merged, below }: Omit<Replacement, 'type'>,
  target: string,
): Promise<string> {
  const { virtualSize: virtualSizeBytes } = top;
  await mergeIndexes(
    target,
    { virtualSizeBytes, backupId: top.id },
    { layers: indexesOf(root, merged), alone: below.length === 0, signal: io.signal },
  );
  return contentId({ layers: [target, ...indexesOf(root, below)], virtualSizeBytes, signal: io.signal });
}

function indexesOf(root: string, layers: readonly Layer[]): string[] {
  return layers.map(({ path }) => join(root, sidecarsOf(path).digests));
}
