import { createHash } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { contentId } from '../../../src/datapath/digests/index.js';
import { BLOCK_SIZE } from '../../../src/shared/extents.js';
import { writeLayerIndex } from '../chainLayer.js';
import type { PlannedChain, PlannedPoint } from './plan.js';

/** Writes the disk of a point as a sparse raw file. */
export async function writeDisk(path: string, chain: PlannedChain, point: PlannedPoint): Promise<void> {
  const disk = await open(path, 'w');
  try {
    await disk.truncate(sizeOf(point));
    for (const [block, version] of point.versions.entries()) {
      if (version > 0)
        await disk.write(blockOf(chain.name, block, version), 0, BLOCK_SIZE, block * BLOCK_SIZE);
    }
  } finally {
    await disk.close();
  }
}

/** The content id that a backup of the point must have, computed without it. `scratch` is a path to write to. */
export async function expectedId(scratch: string, chain: PlannedChain, point: PlannedPoint): Promise<string> {
  const content = Buffer.alloc(sizeOf(point));
  for (const [block, version] of point.versions.entries()) {
    if (version > 0) blockOf(chain.name, block, version).copy(content, block * BLOCK_SIZE);
  }
  await writeLayerIndex(scratch, {
    backupId: 'bkp_expected',
    virtualSize: content.length,
    read: (offset, length) => content.subarray(offset, offset + length),
    written: [{ offset: 0, length: content.length }],
  });
  try {
    return await contentId({ layers: [scratch], virtualSizeBytes: content.length });
  } finally {
    await rm(scratch);
  }
}

export function sizeOf(point: PlannedPoint): number {
  return point.versions.length * BLOCK_SIZE;
}

/** Differs for every chain, place and version, so that nothing that went astray looks right. */
function blockOf(chain: string, block: number, version: number): Buffer {
  const pattern = createHash('sha256').update(`${chain}/${block}/${version}`).digest();
  return Buffer.alloc(BLOCK_SIZE, pattern);
}
