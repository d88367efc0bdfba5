import { basename, join } from 'node:path';
import type { Layer } from '../chain/index.js';
import { createHashPool, proveLayer } from '../../datapath/index.js';
import { chainInfo, checkImage, type CheckResult, repairLeaks } from '../../qcow2/index.js';
import { both } from '../../shared/both.js';
import { StrataError } from '../../shared/errors.js';
import { BLOCK_SIZE } from '../../shared/extents.js';
import { isRecordedChain } from '../repository/checkFile.js';
import { syncFile } from '../repository/durable.js';
import { isPointRight, targetUnreliable } from '../repository/readPoint.js';
import { noteContent } from '../../db/chain/health.js';
import type { Work } from './work.js';

export interface Merged {
  top: Layer;
  /** Absolute paths of the merged image and its index, flushed. */
  image: string;
  digests: string;
  /** The content id by that index and those below. */
  byIndex: string;
  /** What the merged image stands on, topmost first. */
  below: readonly Layer[];
}

/**
 * Proves a merged file before anything is given up for it (invariant 8, decision 18): its bytes are read back and are what the
 * merged index says; by that index and those below it is the restore point; its metadata is in order. What it stands on was
 * not touched, and is not read.
 * @param worth bytes of progress
 * @throws content_mismatch, image_corrupt, repository_unavailable; target_unreliable where the restore point is right
 */
export async function proveMerged(
  work: Work,
  merged: Merged,
  digestsOfBelow: readonly string[],
  worth: number,
): Promise<void> {
  const { top, image, byIndex, below } = merged;
  const { io } = work;
  const onShare = work.progress.begin('proving', worth);
  const [check, chain] = await both(checkImage(image, io), chainInfo(image, io));
  await assertMetadata(image, check, io.signal);
  assertChain(work, merged, chain);
  const isRight = await holdsItsIndex(work, merged, digestsOfBelow, onShare);
  if (isRight && byIndex === top.contentId) return;
  if (!isRight) await blame(work, top, image);
  throw new StrataError(
    'content_mismatch',
    `The merged file of ${top.id} does not hold what was backed up.`,
    { details: { expected: top.contentId, index: byIndex, file_right: isRight, below: below.length } },
  );
}

/** Whether an image itself holds all that its index says, and nothing else that could be told from what lies below. */
export async function holdsItsIndex(
  { io }: Work,
  { top, image, digests }: Pick<Merged, 'top' | 'image' | 'digests'>,
  below: readonly string[],
  onShare: (share: number) => void,
): Promise<boolean> {
  const { virtualSize: virtualSizeBytes } = top;
  const pool = createHashPool();
  try {
    return await proveLayer({
      image,
      digests,
      below,
      virtualSizeBytes,
      fromBlock: 0,
      pool,
      ...io,
      onStep: ({ upTo, wrong, unproved }) => {
        if (unproved.length > 0)
          throw new StrataError('repository_unavailable', `The disk does not give all of ${image}.`);
        onShare((upTo * BLOCK_SIZE) / virtualSizeBytes);
        return Promise.resolve(wrong.length === 0);
      },
    });
  } finally {
    await pool.close();
  }
}

/** The file is private, or an expired base: what a killed commit has leaked is given back before the bytes are proved. */
async function assertMetadata(image: string, found: CheckResult, signal: AbortSignal): Promise<void> {
  let check = found;
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
    isRecordedChain(chain, expected) &&
    first?.virtualSizeBytes === top.virtualSize &&
    first.backingName === (below[0] && basename(below[0].path));
  if (!same)
    throw new StrataError(
      'content_mismatch',
      `The merged file of ${top.id} does not stand on what it should.`,
    );
}

/**
 * The restore point itself is read before it is accused. Where it is right, it is cleared, and what the merge has written is
 * not what the disk gives back.
 * @throws target_unreliable
 */
async function blame({ deps, io, place }: Work, top: Layer, image: string): Promise<void> {
  const point = { ...top, image: join(place.root, top.path) };
  const isRight = await isPointRight(point, io);
  await noteContent(deps.ds, top.id, isRight ? 'right' : 'wrong');
  if (isRight)
    throw targetUnreliable(`The merged file of ${top.id} in ${place.root}`, true, {
      path: image,
      backup_id: top.id,
    });
}
