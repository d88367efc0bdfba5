import { basename, join } from 'node:path';
import { contentId, contentIdOfImage } from '../../datapath/index.js';
import { chainInfo, checkImage, repairLeaks } from '../../qcow2/index.js';
import { StrataError } from '../../shared/errors.js';
import { syncFile } from '../repository/durable.js';
import { noteProof } from '../restore/proof.js';
import type { LayerFact } from './facts.js';
import type { Work } from './work.js';

export interface Merged {
  top: LayerFact;
  /** Absolute paths of the merged image and its index, flushed. */
  image: string;
  digests: string;
  /** What the merged image stands on, topmost first. */
  below: readonly LayerFact[];
}

/**
 * Proves a merged file before anything is given up for it (invariant 8): the bytes that are read back from it and what it
 * stands on have the content id of the restore point; so have the indexes; its metadata is in order.
 * @throws content_mismatch, image_corrupt
 */
export async function proveMerged(
  work: Work,
  merged: Merged,
  digestsOfBelow: readonly string[],
): Promise<void> {
  const { held, deps, report } = work;
  const { top, image, digests, below } = merged;
  const { signal } = held;
  const total = top.virtualSize;
  await checkMetadata(image, signal);
  const [chain, byIndex] = await Promise.all([
    chainInfo(image, { signal }),
    contentId({ layers: [digests, ...digestsOfBelow], virtualSizeBytes: total, signal }),
  ]);
  assertChain(work, merged, chain);
  const byBytes = await contentIdOfImage({ type: 'file', path: image, format: 'qcow2' }, total, {
    signal,
    scratchDir: deps.scratchDir,
    onProgress: ({ bytesDone }) => report({ phase: 'proving', bytes_done: bytesDone, bytes_total: total }),
  });
  if (byBytes === top.contentId && byIndex === top.contentId) return;
  if (byBytes !== top.contentId) await blameTop(work, top);
  throw new StrataError(
    'content_mismatch',
    `The merged file of ${top.id} does not hold what was backed up.`,
    {
      details: { expected: top.contentId, bytes: byBytes, index: byIndex, below: below.length },
    },
  );
}

/** The file is private, or an expired base: what a killed commit has leaked is given back before the bytes are proved. */
async function checkMetadata(image: string, signal: AbortSignal): Promise<void> {
  let check = await checkImage(image, { signal });
  if (check.leaks > 0 && check.corruptions === 0) {
    check = await repairLeaks(image, { signal });
    await syncFile(image);
  }
  if (check.corruptions === 0 && check.checkErrors === 0) return;
  throw new StrataError(
    'image_corrupt',
    `qemu-img check found ${check.corruptions} corruptions in ${image}.`,
  );
}

function assertChain(
  { place }: Work,
  { top, image, below }: Merged,
  chain: Awaited<ReturnType<typeof chainInfo>>,
): void {
  const expected = [image, ...below.map(({ path }) => join(place.root, path))];
  const [first] = chain;
  const same =
    chain.length === expected.length &&
    chain.every(({ filename, format }, depth) => filename === expected[depth] && format === 'qcow2') &&
    first?.virtualSizeBytes === top.virtualSize &&
    first.backingName === (below[0] && basename(below[0].path));
  if (!same)
    throw new StrataError(
      'content_mismatch',
      `The merged file of ${top.id} does not stand on what it should.`,
    );
}

/** Where the restore point itself does not hold its content any more, the merge has only found it out. */
async function blameTop({ deps, place, held }: Work, top: LayerFact): Promise<void> {
  const found = await contentIdOfImage(
    { type: 'file', path: join(place.root, top.path), format: 'qcow2' },
    top.virtualSize,
    { signal: held.signal, scratchDir: deps.scratchDir },
  );
  if (found !== top.contentId) await noteProof(deps.ds, top.id, false);
}
