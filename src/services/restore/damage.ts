import { join } from 'node:path';
import { contentId, contentIdOfImage, differencesOfImage, type ReadBack } from '../../datapath/index.js';
import type { ImageRef } from '../../qcow2/index.js';
import { errnoOf, isStrataError } from '../../shared/errors.js';
import type { Extent } from '../../shared/extents.js';
import { sidecarsOf } from '../repository/layout.js';
import type { RestoreRequest } from './request.js';

/** Ranges that a result lists; beyond that their bytes are counted only. */
const MOST_RANGES = 4096;

/** What of a restored disk is not what was backed up, as it was read back. */
export interface RestoredDamage {
  /** In blocks of 64 KiB, in bytes of the guest's disk, in order; null where no digest index tells. */
  ranges: Extent[] | null;
  /** All of them; null as above. */
  bytes: number | null;
  /** There are more ranges than are listed. */
  more: boolean;
}

const UNKNOWN: RestoredDamage = { ranges: null, bytes: null, more: false };

/**
 * Reads a restored target back and compares every block with the digest that was taken when it was backed up. Where an
 * index of the chain cannot be believed only the content id is compared: then it is known whether, and not where.
 * @throws what reading the target throws
 */
export async function findDamage(
  request: RestoreRequest,
  target: ImageRef,
  readBack: ReadBack,
): Promise<RestoredDamage> {
  const { virtualSize } = request;
  const indexes = await soundIndexes(request, readBack.signal);
  if (indexes === undefined) {
    const found = await contentIdOfImage(target, virtualSize, readBack);
    return found === request.contentId ? { ranges: [], bytes: 0, more: false } : UNKNOWN;
  }
  const ranges: Extent[] = [];
  let bytes = 0;
  let more = false;
  await differencesOfImage(target, { layers: indexes, virtualSizeBytes: virtualSize }, readBack, (extent) => {
    bytes += extent.length;
    if (ranges.length < MOST_RANGES) ranges.push(extent);
    else more = true;
  });
  return { ranges, bytes, more };
}

/** The digest indexes of the backup and all below it, topmost first, where they give the recorded content id. */
async function soundIndexes(request: RestoreRequest, signal: AbortSignal): Promise<string[] | undefined> {
  const { root, virtualSize } = request;
  const layers = request.layers.map(({ path }) => join(root, sidecarsOf(path).digests));
  try {
    const id = await contentId({ layers, virtualSizeBytes: virtualSize, signal });
    return id === request.contentId ? layers : undefined;
  } catch (error) {
    if (isStrataError(error, 'digest_index_invalid', 'file_missing') || errnoOf(error) !== undefined) {
      return undefined;
    }
    throw error;
  }
}

/** Whether a target has something wrong that its point has not. Pure. */
export function isMoreThan(target: RestoredDamage, point: RestoredDamage): boolean {
  if (target.ranges === null || point.ranges === null || target.more || point.more) return false;
  const known = point.ranges;
  return target.ranges.some(
    ({ offset, length }) =>
      !known.some((range) => range.offset <= offset && offset + length <= range.offset + range.length),
  );
}
