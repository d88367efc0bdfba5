import type { DataSource } from '../../db/database.js';
import { readExtentsPart } from '../../db/job/awaitExtents.js';
import type { BackupJob } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { BLOCK_SIZE, checkExtent, type Extent } from '../../shared/extents.js';

const BYTES_PER_PAIR = 16;

/**
 * The change list of a job, in order, read part by part: a list of millions takes no more memory than one of hundreds.
 * @throws internal for a job without one: an absent list must never be taken for an empty one
 */
export async function* listedExtents(
  ds: DataSource,
  { id: backupId, extentsUpload: upload }: Pick<BackupJob, 'id' | 'extentsUpload'>,
): AsyncGenerator<Extent, void, undefined> {
  if (upload === null) throw new StrataError('internal', `The change list of ${backupId} is not there.`);
  for (let part = 0; ; part++) {
    const pairs = await readExtentsPart(ds, { backupId, upload, part });
    if (!pairs) return;
    for (let at = 0; at < pairs.length; at += BYTES_PER_PAIR) {
      yield {
        offset: Number(pairs.readBigUInt64LE(at)),
        length: Number(pairs.readBigUInt64LE(at + 8)),
      };
    }
  }
}

/**
 * What has to be copied: the changes, and on a grown disk everything beyond the old end, of which a tracker says nothing.
 * @param changes in order, without overlaps; so is the result
 * @throws extents_out_of_range for a change beyond the end of the disk
 */
export async function* extentsToCopy(
  changes: AsyncIterable<Extent>,
  parentSize: number,
  virtualSize: number,
): AsyncGenerator<Extent, void, undefined> {
  // The block in which the old disk ended is copied whole.
  const beyond = virtualSize > parentSize ? parentSize - (parentSize % BLOCK_SIZE) : virtualSize;
  for await (const extent of changes) {
    checkExtent(extent, virtualSize, 'changed_extents');
    const { offset, length } = extent;
    if (offset < beyond) yield { offset, length: Math.min(length, beyond - offset) };
  }
  if (beyond < virtualSize) yield { offset: beyond, length: virtualSize - beyond };
}
