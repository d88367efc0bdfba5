import { basename, join } from 'node:path';
import type { Layer } from '../chain/index.js';
import { copyFileWhole, copyOut, underLimit } from '../../datapath/index.js';
import { commitImage, createImage } from '../../qcow2/index.js';
import { both } from '../../shared/both.js';
import { StrataError } from '../../shared/errors.js';
import { recordCapacity } from '../job/recordCapacity.js';
import { tryClone } from '../repository/clone.js';
import { addName, allocatedBytes, removeFiles, syncFile } from '../repository/durable.js';
import { worthOf } from './progress.js';
import { pickStrategy, type Strategy } from './strategy.js';
import type { Work } from './work.js';

/** A merged image that is flushed and has not got its name yet. */
export interface BuiltImage {
  strategy: Strategy;
  /** Absolute path of the private file; in place it is a second name of the base. */
  path: string;
}

export interface Run {
  top: Layer;
  /** Topmost first; the last one is the base. */
  run: readonly [Layer, ...Layer[]];
}

/**
 * Merges a run by `qemu-img commit` of an empty private overlay of its top: neither the top nor what lies between is
 * opened for writing. In place the base must be expired, and nothing but the run may stand on it.
 * @param target absolute path of the private file
 * @param forced a strategy instead of the one that fits the case
 */
export async function buildMerged(
  work: Work,
  { top, run }: Run,
  target: string,
  forced?: Strategy,
): Promise<BuiltImage> {
  const { root } = work.place;
  const pathOf = (layer: Layer) => join(root, layer.path);
  const base = run.at(-1) ?? run[0];
  const onShare = work.progress.begin('merging', worthOf([top, ...run]) / 2);
  const overlay = overlayOf(target, work.held.lease.fence);
  const [strategy] = await both(
    prepareBase(work, base, target, forced),
    createImage(
      overlay,
      { virtualSizeBytes: top.virtualSize, backing: { name: basename(top.path), format: 'qcow2' } },
      work.io,
    ),
  );
  // What comes next changes files: nobody else may have the chain by now.
  await work.held.assertHeld();
  const into = strategy === 'in_place' ? pathOf(base) : target;
  const between = [top, ...run.slice(0, -1)].map(pathOf);
  // Stopped for a lower limit and begun again it is what a killed one is: the overlay reads right, and nothing else does yet.
  await underLimit(work.io.rate, work.io.signal, (bytesPerSecond, signal, onDone) =>
    commitImage(
      overlay,
      {
        base: into,
        dropTop: true,
        ...(strategy === 'in_place' ? {} : { layers: [...between, into] }),
        ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
        onProgress: (percent) => {
          onDone(percent / 100);
          onShare(percent / 100);
        },
      },
      { signal },
    ),
  );
  await removeFiles([overlay]);
  await syncFile(into);
  // By a name that carries the fence: whoever takes over removes it first, so a worker that wakes up switches nothing.
  if (strategy === 'in_place') await addName(into, target);
  return { strategy, path: target };
}

/** The empty overlay beside the private file of a merge. */
export function overlayOf(target: string, fence: number): string {
  return `${target.replace(/\.partial$/, '')}.over.${fence}.partial`;
}

/** Makes the private base where there is one, and says how. */
async function prepareBase(
  { deps, place, io }: Work,
  base: Layer,
  target: string,
  forced: Strategy | undefined,
): Promise<Strategy> {
  const path = join(place.root, base.path);
  if (forced === 'in_place') return forced;
  const cloned = forced !== 'copy' && (await tryClone(path, target));
  if (cloned || forced === 'reflink') {
    if (cloned) return 'reflink';
    throw new StrataError('repository_unsupported', `The file system of ${place.root} cannot clone files.`);
  }
  const { availableBytes } = await recordCapacity(deps.ds, place.repository, deps.clock.now());
  const strategy =
    forced ??
    pickStrategy({
      canClone: false,
      baseType: base.type,
      baseBytes: await allocatedBytes(path),
      availableBytes,
      reserveBytes: place.repository.minFreeBytes,
    });
  if (strategy === 'copy') await copyFileWhole({ from: path, to: target, ...io });
  return strategy;
}

/**
 * Writes a file that stands alone with the content of a backup and all below it.
 * @throws wrong_state when the room that it may take is not there: a job that waits would keep the disk's backups waiting
 */
export async function buildAlone(work: Work, lineage: readonly Layer[], target: string): Promise<BuiltImage> {
  const { deps, place, io } = work;
  const [top] = lineage;
  if (!top) throw new RangeError('A backup is the first layer of its lineage.');
  const { availableBytes } = await recordCapacity(deps.ds, place.repository, deps.clock.now());
  const most = lineage.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (availableBytes - most < place.repository.minFreeBytes) {
    throw new StrataError(
      'wrong_state',
      `A synthetic full may take ${most} bytes; with them the reserve of ${place.repository.name} would be touched.`,
    );
  }
  const onShare = work.progress.begin('copying', worthOf(lineage) / 2);
  await copyOut({
    image: join(place.root, top.path),
    virtualSizeBytes: top.virtualSize,
    target: { path: target, format: 'qcow2', exists: false },
    onProgress: ({ bytesDone, bytesTotal }) => onShare(bytesDone / bytesTotal),
    ...io,
  });
  await syncFile(target);
  return { strategy: 'convert', path: target };
}
