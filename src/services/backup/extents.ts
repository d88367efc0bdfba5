import type { DataSource } from '../../db/database.js';
import { asking } from '../../db/transaction.js';
import { BackupExtents } from '../../entities/index.js';
import { BLOCK_SIZE, type Extent, normaliseExtents } from '../../shared/extents.js';

const BYTES_PER_PAIR = 16;

/** The change list that came with the request, as it was given. */
export async function loadExtents(ds: DataSource, backupId: string): Promise<Extent[]> {
  const parts = await asking(() =>
    ds.getRepository(BackupExtents).find({ where: { backupId }, order: { part: 'ASC' } }),
  );
  return parts.flatMap(({ pairs }) => {
    const extents: Extent[] = [];
    for (let at = 0; at < pairs.length; at += BYTES_PER_PAIR) {
      extents.push({
        offset: Number(pairs.readBigUInt64LE(at)),
        length: Number(pairs.readBigUInt64LE(at + 8)),
      });
    }
    return extents;
  });
}

/**
 * What has to be copied: the changes in whole blocks, and on a grown disk everything beyond the old end, of which
 * a tracker says nothing.
 */
export function extentsToCopy(changes: readonly Extent[], parentSize: number, virtualSize: number): Extent[] {
  const beyond = { offset: parentSize - (parentSize % BLOCK_SIZE), length: 0 };
  beyond.length = virtualSize - beyond.offset;
  return normaliseExtents(virtualSize > parentSize ? [...changes, beyond] : changes, virtualSize);
}
