import { digestBlocks } from '../../src/datapath/digests/block.js';
import { createDigestWriter, type DigestRun, DIGEST_BYTES } from '../../src/datapath/digests/index.js';
import { BLOCK_SIZE } from '../../src/shared/extents.js';
import { normaliseExtents } from './normaliseExtents.js';

/** A write of one repeated byte (0: zeros) in whole blocks of 64 KiB. */
export interface DiskWrite {
  offset: number;
  length: number;
  pattern: number;
}

/** The disk after the writes. */
export function applyWrites(before: Buffer, size: number, writes: readonly DiskWrite[]): Buffer {
  const content = Buffer.alloc(size);
  before.copy(content);
  for (const { offset, length, pattern } of writes) content.fill(pattern, offset, offset + length);
  return content;
}

/** Writes the digest index of a layer that holds the written blocks. */
export async function writeLayerIndex(
  path: string,
  layer: { backupId: string; content: Buffer; writes: readonly DiskWrite[] },
): Promise<void> {
  const { backupId, content, writes } = layer;
  const writer = await createDigestWriter(path, { virtualSizeBytes: content.length, backupId });
  const extents = writes.map(({ offset, length }) => ({ offset, length }));
  for (const { offset, length } of normaliseExtents(extents, content.length)) {
    const { digests, zero } = digestBlocks(content.subarray(offset, offset + length));
    const runs = [...zero].map((isZero, i): DigestRun => {
      const first = offset / BLOCK_SIZE + i;
      return isZero === 1
        ? { kind: 'zero', first, count: 1 }
        : {
            kind: 'data',
            first,
            count: 1,
            digests: digests.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES),
          };
    });
    await writer.append(runs);
  }
  await writer.finish();
}
