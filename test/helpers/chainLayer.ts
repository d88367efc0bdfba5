import { digestBlocks } from '../../src/datapath/digests/block.js';
import { createDigestWriter, type DigestRun, DIGEST_BYTES } from '../../src/datapath/digests/index.js';
import { BLOCK_SIZE, type Extent } from '../../src/shared/extents.js';
import { normaliseExtents } from './normaliseExtents.js';

/** A write of one repeated byte (0: zeros) in whole blocks of 64 KiB. */
export interface DiskWrite {
  offset: number;
  length: number;
  pattern: number;
}

/** What a disk holds in a range, in bytes, after these writes. */
export function readWritten(writes: readonly DiskWrite[], offset: number, length: number): Buffer {
  const content = Buffer.alloc(length);
  for (const write of writes) {
    const first = Math.max(write.offset - offset, 0);
    const end = Math.min(write.offset + write.length - offset, length);
    if (first < end) content.fill(write.pattern, first, end);
  }
  return content;
}

/** Writes the digest index of a layer that holds the written blocks. */
export async function writeLayerIndex(
  path: string,
  layer: {
    backupId: string;
    /** Bytes. */
    virtualSize: number;
    /** Gives the disk's content. */
    read: (offset: number, length: number) => Buffer;
    written: readonly Extent[];
  },
): Promise<void> {
  const { backupId, virtualSize, read, written } = layer;
  const writer = await createDigestWriter(path, { virtualSizeBytes: virtualSize, backupId });
  for (const { offset, length } of normaliseExtents(written, virtualSize)) {
    const { digests, zero } = digestBlocks(read(offset, length));
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
